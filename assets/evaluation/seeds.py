"""Is a difference between two recipes more than chance, given several seeds of each?

Two things are left to chance: the seed of training, and which items a task happens to have. The seeds of two recipes are paired
(same seed, same order of draws), and the items are the same, so differences are taken by seed. Their spread over n seeds and the
bootstrap error over the items (``assets.evaluation.statistics``) add up: se^2 = s^2 / n + mean item error^2. The item error
is not divided by n, since all seeds are scored on the same items. Student's t with n - 1 degrees of freedom gives interval and p
(Student 1908); Holm (1979) corrects the p of the comparisons that are made on one metric.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95
LEAST = 3
"""Seeds below which nothing is said of significance."""
POWER = 0.8
"""Share of all studies in which a difference of the size ``detectable`` would be found."""
_STEPS = 2_000


def t_below(t: float, df: int) -> float:
    """Share of Student's t distribution with ``df`` degrees of freedom below ``t``, by Simpson's rule."""
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)
    # With t = sqrt(df) tan(a) the density is scale cos(a)^(df - 1), smooth up to the end.
    width = math.atan(abs(t) / math.sqrt(df)) / _STEPS
    values = [math.cos(i * width) ** (df - 1) for i in range(_STEPS + 1)]
    area = scale * width / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))
    return 0.5 + math.copysign(area, t)


def t_quantile(share: float, df: int) -> float:
    """The t that ``share`` of the distribution lies below, by bisection; 0.5 < share < 1."""
    low, high = 0.0, 1.0
    while t_below(high, df) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_below(middle, df) < share else (low, middle)
    return high


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with the bounds of its 95 % interval; None with fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def mean_of(values: Sequence[float]) -> Mean:
    """The mean over seeds with its t interval, which speaks of seeds alone."""
    n, mean = len(values), sum(values) / len(values)
    if n < 2:
        return Mean(mean, None, None, n)
    half = t_quantile((1 + LEVEL) / 2, n - 1) * _deviation(values) / math.sqrt(n)
    return Mean(mean, mean - half, mean + half, n)


@dataclass(frozen=True)
class Paired:
    """A mean difference over seeds with the bounds of its 95 % interval and its p, before any correction.

    ``detectable`` is the smallest difference that a study with this error would find in four of five cases, whatever its
    other comparisons show: (t of the first of Holm's steps + t of POWER) x standard error (Cohen 1988, section 2.4). A
    difference that is not significant is therefore always smaller. None with fewer than LEAST seeds.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    detectable: float | None
    seeds: int


def paired(differences: Sequence[float], item_errors: Sequence[float], comparisons: int = 1) -> Paired:
    """The difference of two recipes, from one difference and one standard error over items for each seed.

    ``comparisons`` is the size of the family that Holm's correction is over.
    """
    n, mean = len(differences), sum(differences) / len(differences)
    if n < LEAST:
        return Paired(mean, None, None, None, None, n)
    items = sum(error**2 for error in item_errors) / n
    error = math.sqrt(_deviation(differences) ** 2 / n + items)
    half = t_quantile((1 + LEVEL) / 2, n - 1) * error
    p = 1.0 if mean == 0 else 0.0 if error == 0 else 2 * (1 - t_below(abs(mean) / error, n - 1))
    strictest = t_quantile(1 - (1 - LEVEL) / 2 / comparisons, n - 1)
    return Paired(mean, mean - half, mean + half, p, (strictest + t_quantile(POWER, n - 1)) * error, n)


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """The p-values of a family of comparisons, each so that the chance of a single false one in the family stays below it."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda item: (item[1], item[0]))):
        largest = max(largest, min(1.0, p * (len(ps) - place)))
        adjusted[name] = largest
    return adjusted
