"""What the tasks compute by themselves: ties, means, baselines and standard errors."""

import hashlib
import math

import numpy as np
import pytest

from eval_jobs.progress import clock
from eval_jobs.tasks import KINDS
from eval_jobs.tasks.bits_per_character import unigram_bits
from eval_jobs.tasks.common import bootstrap_ratio
from eval_jobs.tasks.finbench import mean_of_subtasks, pick


def test_every_kind_of_the_recipe_has_a_module() -> None:
    from typing import get_args

    from assets.recipe.evaluation import ScoredTask

    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(ScoredTask)[0])}
    assert set(KINDS) == kinds
    for module in KINDS.values():
        assert isinstance(module.VERSION, int)


def test_pick_takes_the_likeliest() -> None:
    assert pick([-3.0, -1.0, -2.0]) == 1


def test_pick_breaks_ties_by_the_digest_of_all_values() -> None:
    for values in ([-1.0, -2.0, -1.0], [-1.0, -1.0], [-5.0, -1.0, -1.0, -1.0]):
        ties = [i for i, value in enumerate(values) if value == max(values)]
        digest = int(hashlib.sha256(np.array(values).tobytes()).hexdigest(), 16)
        assert pick(values) == ties[digest % len(ties)]


def test_pick_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not all finite"):
        pick([-1.0, math.nan])


def test_a_small_subtask_weighs_as_much_as_a_large_one() -> None:
    assert mean_of_subtasks([("a", 1.0), ("a", 1.0), ("a", 1.0), ("b", 0.0)]) == 0.5
    assert mean_of_subtasks([("a", 1.0), ("a", 0.0)]) == 0.5


def test_unigram_bits_are_a_distribution_without_the_end_of_document() -> None:
    bits = unigram_bits(np.array([3, 0, 100, 5]), end_of_document=2)
    assert bits[2] == math.inf
    assert np.exp2(-bits).sum() == pytest.approx(1)
    assert bits[0] == pytest.approx(-math.log2(4 / 11))


@pytest.mark.parametrize("counts", [[[1.0]], [1.0, 2.0], [1.0, -1.0, 1.0], [1.0, math.nan, 1.0]])
def test_unigram_counts_that_are_none(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="one number of 0 or more for each token"):
        unigram_bits(np.array(counts), end_of_document=2)


def test_the_bootstrap_agrees_with_theory_and_repeats() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    error = bootstrap_ratio(values, np.ones(400), seed=1)
    assert error == pytest.approx(values.std() / math.sqrt(400), rel=0.1)
    assert error == bootstrap_ratio(values, np.ones(400), seed=1)
    assert bootstrap_ratio(np.array([3.0]), np.array([2.0]), seed=1) == 0


def test_clock() -> None:
    assert [clock(12.4), clock(75), clock(3723)] == ["0:12", "1:15", "1:02:03"]
