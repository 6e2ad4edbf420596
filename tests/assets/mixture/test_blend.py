"""The arithmetic of a blend, with the numbers of Poro 34B (figure 1 of its paper)."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.mixture.blend import MixtureError, blend, file_weights
from assets.mixture.show import blend_rows
from assets.recipe.tokens import Mixture

BILLION = 1_000_000_000
# Original tokens in billions and their share; sampled tokens in billions, their share, and the epochs asked for.
PORO = {
    "english": (541.6, 68.6, 541.6, 54.5, 1),
    "finnish": (32.3, 4.1, 129.1, 13.0, 4),
    "code": (207.5, 26.3, 315.4, 31.7, 1.52),
    "pairs": (8.0, 1.0, 8.0, 0.8, 1),
}
ORIGINAL, SAMPLED = 789.4, 994.1
TOKENS = {name: round(row[0] * BILLION) for name, row in PORO.items()}


def by_epochs(**epochs):
    return Mixture.model_validate({"sources": {name: {"epochs": value} for name, value in epochs.items()}})


def by_weights(**weights):
    return Mixture.model_validate({"sources": {name: {"weight": value} for name, value in weights.items()}})


def test_both_columns_of_poro_34b_come_out():
    mixture = by_epochs(**{name: row[4] for name, row in PORO.items()})
    blended = {b.source: b for b in blend(mixture, TOKENS, round(SAMPLED * BILLION))}
    for name, (tokens, share, sampled, sampled_share, epochs) in PORO.items():
        entry = blended[name]
        assert entry.tokens == TOKENS[name] and round(entry.tokens / BILLION, 1) == tokens
        assert round(100 * entry.original_share, 1) == share
        # The figure rounds to 0.1 B, the epochs of code to 0.01.
        assert entry.sampled_tokens / BILLION == pytest.approx(sampled, abs=0.11)
        assert round(100 * entry.weight, 1) == sampled_share
        assert entry.epochs == pytest.approx(epochs, rel=2e-3)
        assert entry.wanted_epochs == epochs
    assert sum(b.tokens for b in blended.values()) / BILLION == pytest.approx(ORIGINAL)
    assert sum(b.sampled_tokens for b in blended.values()) / BILLION == pytest.approx(SAMPLED)


def test_the_table_that_people_see_is_poro_34bs_figure():
    mixture = by_epochs(**{name: row[4] for name, row in PORO.items()})
    blended = blend(mixture, TOKENS, round(SAMPLED * BILLION))
    rows = {row["source"]: row for row in blend_rows([{**asdict(entry), "files": [{}]} for entry in blended])}
    assert set(rows) == {*PORO, "all sources"}
    whole = rows["all sources"]
    assert whole["original tokens"] == pytest.approx(ORIGINAL * BILLION) and whole["original share"] == pytest.approx(1)
    assert whole["sampled tokens"] == pytest.approx(SAMPLED * BILLION) and whole["sampled share"] == pytest.approx(1)
    assert whole["epochs"] == pytest.approx(SAMPLED / ORIGINAL)
    assert rows["finnish"]["sampled tokens"] / BILLION == pytest.approx(129.1, abs=0.11)


def test_the_files_of_a_source_share_its_weight_by_their_tokens():
    assert file_weights(0.5, [300, 100, 0]) == [0.375, 0.125, 0]


def test_a_shorter_run_passes_over_every_source_less_often():
    half, whole = (blend(by_epochs(a=4, b=1), {"a": 100, "b": 600}, planned) for planned in (500, 1000))
    assert [b.weight for b in half] == [b.weight for b in whole] == [0.4, 0.6]
    assert [b.epochs for b in whole] == [4, 1]
    assert [b.epochs for b in half] == [2, 0.5]
    assert [b.wanted_epochs for b in half] == [4, 1]


def test_weights_are_the_shares_and_epochs_follow_from_them():
    first, second = blend(by_weights(a=0.25, b=0.75), {"a": 100, "b": 1000}, 2000)
    assert (first.weight, first.epochs, first.wanted_epochs) == (0.25, 5, None)
    assert (second.weight, second.epochs) == (0.75, 1.5)


def test_a_source_without_tokens_is_refused_by_name():
    with pytest.raises(ValueError, match="source empty has no tokens"):
        blend(by_epochs(full=1, empty=1), {"full": 10, "empty": 0}, 10)


def test_a_source_smaller_than_a_sample_is_refused_with_the_numbers():
    mixture = by_epochs(full=1, small=1)
    with pytest.raises(MixtureError, match=r"small has 2,048 tokens to train on; a sample needs 2,049"):
        blend(mixture, {"full": 10_000, "small": 2_048}, 10, sequence_length=2_048)
    assert len(blend(mixture, {"full": 10_000, "small": 2_049}, 10, sequence_length=2_048)) == 2


def test_weights_that_do_not_sum_to_one_or_mix_with_epochs_are_refused():
    with pytest.raises(ValidationError, match="sum to 1"):
        by_weights(a=0.5, b=0.4)
    with pytest.raises(ValidationError, match="use one of the two"):
        Mixture.model_validate({"sources": {"a": {"weight": 0.5}, "b": {"epochs": 1}}})


SOURCES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.integers(1, 10**13), st.floats(0.01, 100)),
    min_size=1,
)


@given(SOURCES, st.integers(1, 10**13))
def test_shares_sum_to_one_and_epochs_add_up_to_the_plan(sources, planned):
    tokens = {name: count for name, (count, _) in sources.items()}
    blended = blend(by_epochs(**{name: epochs for name, (_, epochs) in sources.items()}), tokens, planned)
    assert [b.source for b in blended] == sorted(sources)
    assert sum(b.weight for b in blended) == pytest.approx(1)
    assert sum(b.original_share for b in blended) == pytest.approx(1)
    assert sum(b.epochs * b.tokens for b in blended) == pytest.approx(planned)
    # Every source is passed over in the same proportion to what the recipe asks for.
    ratios = [b.epochs / b.wanted_epochs for b in blended]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
