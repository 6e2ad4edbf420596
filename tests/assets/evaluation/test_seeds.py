"""Statistics over seeds, against published values of Student's t and worked examples."""

import pytest

from assets.evaluation.seeds import holm, mean_of, paired, t_below, t_quantile


@pytest.mark.parametrize(("df", "value"), [(1, 12.706), (2, 4.303), (4, 2.776), (30, 2.042)])
def test_quantiles_of_students_table(df, value):
    assert t_quantile(0.975, df) == pytest.approx(value, abs=0.001)
    assert t_below(-value, df) == pytest.approx(0.025, abs=1e-4)


def test_a_mean_over_seeds():
    found = mean_of([1.0, 2.0, 3.0])
    assert (found.mean, found.seeds) == (2.0, 3)
    assert found.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=0.001)
    assert mean_of([1.0]).low is None


def test_a_difference_in_every_seed_is_found_and_noise_is_not():
    sure = paired([-0.50, -0.52, -0.51], [0.01, 0.01, 0.01])
    assert sure.p < 0.01 and sure.high < 0
    open_ = paired([-0.5, 0.4, 0.2], [0.01, 0.01, 0.01])
    assert open_.p > 0.5 and open_.low < 0 < open_.high


def test_the_error_over_items_does_not_go_away_with_seeds():
    """Equal differences in all seeds, but items so few that they prove nothing."""
    assert paired([0.5, 0.5, 0.5], [1.0, 1.0, 1.0]).p > 0.5


def test_what_could_have_been_found():
    """Three differences with a standard error of 1: t is 4.303 for the interval and 1.061 for four of five cases."""
    found = paired([-(3**0.5), 0.0, 3**0.5], [0.0, 0.0, 0.0])
    assert found.high == pytest.approx(4.303, abs=0.001)
    assert found.detectable == pytest.approx(4.303 + 1.061, abs=0.002)


def test_two_seeds_say_nothing():
    assert paired([1.0, 1.0], [0.1, 0.1]).p is None


def test_holm():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
