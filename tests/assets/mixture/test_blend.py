"""The arithmetic of a blend, with the numbers of Poro 34B (figure 1 of its paper)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.mixture.blend import blend
from assets.recipe.tokens import Mixture

BILLION = 1_000_000_000
PORO = {
    "finnish": (32.3, 4, 13.0),
    "english": (541.6, 1, 54.5),
    "code": (207.5, 1.52, 31.7),
    "pairs": (8.0, 1, 0.8),
}
TOKENS = {name: round(tokens * BILLION) for name, (tokens, _, _) in PORO.items()}


def by_epochs(**epochs):
    return Mixture.model_validate({"sources": {name: {"epochs": value} for name, value in epochs.items()}})


def by_weights(**weights):
    return Mixture.model_validate({"sources": {name: {"weight": value} for name, value in weights.items()}})


def test_the_shares_of_poro_34b_come_out():
    mixture = by_epochs(**{name: epochs for name, (_, epochs, _) in PORO.items()})
    blended = blend(mixture, TOKENS, round(994.1 * BILLION))
    assert {b.source: round(100 * b.weight, 1) for b in blended} == {
        name: share for name, (_, _, share) in PORO.items()
    }
    assert sum(b.epochs * b.tokens for b in blended) == pytest.approx(994.1 * BILLION)
    for entry in blended:
        assert entry.epochs == pytest.approx(PORO[entry.source][1], rel=2e-3)
        assert entry.original_share == pytest.approx(entry.tokens / 789.4e9)


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
