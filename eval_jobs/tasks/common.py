"""What the task modules share."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval_jobs.model import CheckpointLM
from eval_jobs.settings import Row, Settings

__all__ = [
    "CHARACTERS_PER_GENERATED_TOKEN",
    "RESAMPLES",
    "WORD",
    "Row",
    "Run",
    "Settings",
    "Summary",
    "add_corpus_scores",
    "bootstrap_ratio",
    "chrf",
    "digest",
    "new_tokens",
]

RESAMPLES = 1000
# A sample of a corpus score takes longer.
CORPUS_RESAMPLES = 200
# A generated token costs about as much as reading this many characters of a held-out document.
CHARACTERS_PER_GENERATED_TOKEN = 20
WORD = r"[[:alnum:]]+|[^[:space:]]"
"""What counts as a word, in the syntax of the library regex (LumiOpen/lumiopen-tools, scripts/fertility/fertility.py)."""


@dataclass(frozen=True)
class Run:
    """What ``summarise`` may use beside lm-eval's samples."""

    model: CheckpointLM
    settings: Settings


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


def new_tokens(wanted: int, settings: Settings) -> int:
    """How many tokens are generated at most: never more than a quarter of what the model reads, so that a prompt has the rest."""
    return min(wanted, max(1, settings.max_length // 4))


def chrf(**settings: Any) -> Any:
    """sacrebleu's chrF, with the ``settings`` of its ``CHRF``.

    Of a resample without any match sacrebleu's score is a float, of the others numpy's float32, and of such a mixture it cannot
    take the mean.
    """
    import sacrebleu

    class Chrf(sacrebleu.CHRF):
        def _compute_score_from_stats(self, stats: list[int]) -> Any:
            found = super()._compute_score_from_stats(stats)
            found.score = float(found.score)
            return found

    return Chrf(**settings)


def add_corpus_scores(
    summary: Summary, scorers: Mapping[str, Any], generations: Sequence[str], references: Sequence[str], seed: int
) -> None:
    """Add the scores of a corpus by sacrebleu's ``scorers``, with standard errors by bootstrap and signatures."""
    os.environ["SACREBLEU_SEED"] = str(seed)
    for name, scorer in scorers.items():
        score = scorer.corpus_score(generations, [references], n_bootstrap=CORPUS_RESAMPLES)
        summary.metrics[name] = float(score.score)
        # sacrebleu gives half of the 95 % interval, which is 1.96 standard errors.
        summary.stderr[name] = float(score._ci) / 1.96
        summary.signatures[name] = str(scorer.get_signature())
