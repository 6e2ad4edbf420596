"""Paired bootstrap: what is known of it holds, on simulated items and on sacrebleu's own numbers."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.evaluation.statistics import (
    LEVEL,
    StatisticError,
    agreed,
    bootstrap,
    candidates,
    difference,
    lower_is_better,
)

ACCURACY = "accuracy"


def records(scores, metric=ACCURACY, **more):
    """Item-level results with these scores; ``more`` are lists of other keys."""
    return [
        {"id": f"task/{n}", "scores": {metric: float(score)}, **{key: values[n] for key, values in more.items()}}
        for n, score in enumerate(scores)
    ]


def compared(a, b, name="task", way="mean", **kwargs):
    sides = [candidates(ACCURACY, each)[way] for each in (a, b)]
    return difference(sides[0].value(), sides[1].value(), bootstrap(sides, name, **kwargs))


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(7)
    covered, trials = 0, 300
    for trial in range(trials):
        # Two models that agree on most items: what they share does not widen the interval of their difference.
        hard = rng.random(120)
        a, b = (hard + rng.normal(0, 0.15, 120) < limit for limit in (0.6, 0.5))
        found = compared(records(a), records(b), resamples=400, seed=trial)
        covered += found.low <= TRUTH <= found.high
    # Three standard errors of a share of 300 about 0.95, and what a percentile interval of 120 items lacks.
    assert abs(covered / trials - LEVEL) < 0.045


def _truth():
    """The expected difference, from a million items."""
    rng = np.random.default_rng(0)
    hard = rng.random(1_000_000)
    a, b = (hard + rng.normal(0, 0.15, len(hard)) < limit for limit in (0.6, 0.5))
    return float(a.mean() - b.mean())


TRUTH = _truth()


def test_pairing_makes_a_difference_sure_that_two_intervals_would_leave_open():
    rng = np.random.default_rng(3)
    b = rng.random(200)
    a = b + rng.normal(0.03, 0.02, 200)
    found = compared(records(a), records(b))
    alone = compared(records(a), records(rng.permutation(b)))
    assert found.better(ACCURACY) == "a" and alone.better(ACCURACY) == "open"
    assert found.stderr == pytest.approx(np.std(a - b) / np.sqrt(200), rel=0.1)
    assert found.detectable == pytest.approx(2.8 * found.stderr, rel=0.01)


def test_two_models_of_the_same_quality_are_rarely_called_different():
    rng = np.random.default_rng(11)
    called = sum(
        compared(*(records(rng.random(100) < 0.5) for _ in range(2)), resamples=400).better(ACCURACY) != "open"
        for _ in range(200)
    )
    assert called / 200 < 0.10


SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_turned_round_a_comparison_says_the_opposite(pairs):
    a, b = (records(side) for side in zip(*pairs, strict=True))
    there, back = compared(a, b, resamples=300), compared(b, a, resamples=300)
    assert back.difference == -there.difference
    assert (back.low, back.high) == (pytest.approx(-there.high, abs=1e-12), pytest.approx(-there.low, abs=1e-12))
    assert back.p == there.p and back.stderr == pytest.approx(there.stderr)
    turned = {"a": "b", "b": "a", "open": "open", "same": "same"}
    if min(abs(there.low), abs(there.high)) > 1e-9:
        assert back.better(ACCURACY) == turned[there.better(ACCURACY)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_checkpoint_does_not_differ_from_itself(scores):
    found = compared(records(scores), records(scores), resamples=200)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert found.better(ACCURACY) == "same"


def test_the_draw_is_the_same_each_time_and_another_for_another_task():
    a, b = (records(np.random.default_rng(seed).random(50)) for seed in (1, 2))
    assert compared(a, b) == compared(a, b)
    assert compared(a, b, name="other") != compared(a, b)


def test_a_mean_of_sub_tasks_weighs_each_the_same_and_its_error_is_that_of_strata():
    rng = np.random.default_rng(5)
    groups = ["small"] * 20 + ["large"] * 180
    scores = np.concatenate([rng.random(20) < 0.9, rng.random(180) < 0.1]).astype(float)
    items = records(scores, subtask=groups)
    statistic = candidates(ACCURACY, items)["mean of sub-tasks"]
    small, large = scores[:20], scores[20:]
    assert statistic.value() == pytest.approx((small.mean() + large.mean()) / 2)
    expected = np.sqrt(small.var() / 20 + large.var() / 180) / 2
    drawn = bootstrap([statistic], "task", resamples=4_000)[0]
    assert drawn.std() == pytest.approx(expected, rel=0.06)
    assert next(iter(candidates(ACCURACY, items))) == "mean of sub-tasks"


def test_bits_per_character_are_weighted_by_characters():
    characters = [10, 1_000]
    items = records([8.0, 2.0], "bits_per_character", characters=characters)
    way, (statistic, other) = agreed("bits_per_character", [(items, "", (80 + 2_000) / 1_010)] * 2)
    assert way == "weighted by characters"
    assert statistic.value() == other.value() == pytest.approx(2_080 / 1_010)
    drawn = bootstrap([statistic], "task", resamples=500)[0]
    # Of two items both are drawn in half of the samples, one of them alone in a quarter each.
    assert {round(float(value), 6) for value in drawn} == {2.0, 8.0, round(2_080 / 1_010, 6)}


def test_what_the_items_do_not_give_is_refused_with_both_numbers():
    items = records([0.0, 1.0])
    with pytest.raises(
        StatisticError,
        match=r"do not give accuracy as it was reported: reported 0.5, .*; reported 0.9, by the items 0.5 ",
    ):
        agreed(ACCURACY, [(items, "", 0.5), (items, "", 0.9)])
    with pytest.raises(StatisticError, match="'task/0' has chrf = None"):
        candidates("chrf", items)


GENERATED = [
    "Avaa tiedosto.",
    "Tallenna kaikki nyt heti.",
    "Sulje ikkuna ja poistu.",
    "Valitse valikosta kohta Ohje.",
] * 5
MEANT = ["Avaa tiedosto nyt.", "Tallenna kaikki heti.", "Sulje ikkuna ja poistu ohjelmasta.", "Valitse kohta Ohje."] * 5


@pytest.mark.parametrize(
    "scorer",
    [sacrebleu.BLEU(), sacrebleu.BLEU(lowercase=True, tokenize="char"), sacrebleu.CHRF(), sacrebleu.CHRF(word_order=2)],
    ids=["bleu", "bleu-char", "chrf", "chrf++"],
)
def test_a_corpus_metric_is_sacrebleus_on_the_whole_and_on_a_resample(scorer):
    score = scorer.corpus_score(GENERATED, [MEANT]).score
    items = [
        {"id": str(n), "generation": g, "reference": m, "scores": {}}
        for n, (g, m) in enumerate(zip(GENERATED, MEANT, strict=True))
    ]
    way, (statistic,) = agreed("metric", [(items, str(scorer.get_signature()), score)])
    assert way == "corpus" and statistic.value() == pytest.approx(score)
    chosen = [0, 0, 3, 7, 9, 9, 9]
    resampled = statistic.of_sums(statistic.rows[chosen].sum(axis=0)[None])[0]
    expected = scorer.corpus_score([GENERATED[n] for n in chosen], [[MEANT[n] for n in chosen]]).score
    assert resampled == pytest.approx(expected)


def test_a_signature_that_is_not_sacrebleus_is_named():
    with pytest.raises(StatisticError, match="'nrefs:1' of bleu is not one of sacrebleu's"):
        candidates("bleu", [{"id": "1", "generation": "a", "reference": "a", "scores": {}}], "nrefs:1")


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("bits_per_character", True), ("character_perplexity", True), ("accuracy/subtask", False), ("pass@10", False)],
)
def test_which_way_is_better(metric, lower):
    assert lower_is_better(metric) is lower
