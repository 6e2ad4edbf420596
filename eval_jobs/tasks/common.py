"""What the task modules share."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assets.recipe.jobs import EvaluationJob
from eval_jobs.model import CheckpointLM

Row = dict[str, Any]
RESAMPLES = 1000


@dataclass(frozen=True)
class Run:
    """What ``summarise`` may use beside lm-eval's samples. ``unigram_counts`` gives float64 [vocabulary]."""

    model: CheckpointLM
    job: EvaluationJob
    unigram_counts: Callable[[], np.ndarray]


@dataclass
class Summary:
    """What ``summarise`` makes of the samples; the first three by metric, ``items`` one record per item.

    ``metrics`` need not repeat those that lm-eval aggregates. ``truncated`` counts the items whose prompt is too long
    for the model and loses tokens on its left.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    stderr: dict[str, float] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    items: list[Row] = field(default_factory=list)
    truncated: int = 0


def digest(text: str) -> str:
    """SHA-256 (64 hex characters) of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def bootstrap_ratio(numerators: np.ndarray, denominators: np.ndarray, seed: int) -> float:
    """Standard error of sum(numerators) / sum(denominators), by resampling the items ``RESAMPLES`` times."""
    drawn = np.random.default_rng(seed).integers(len(numerators), size=(RESAMPLES, len(numerators)))
    return float(np.std(numerators[drawn].sum(axis=1) / denominators[drawn].sum(axis=1), ddof=1))
