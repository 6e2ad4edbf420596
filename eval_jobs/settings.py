"""What an evaluation is given beside the model: settings that all tasks share, and the items of one task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.recipe.evaluation import ScoredTask
from assets.recipe.tokens import PairTemplate

if TYPE_CHECKING:
    import numpy as np

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What decides scores beside the checkpoint, the tasks and their items.

    ``max_length`` is the number of tokens that the model reads at most. ``unigram_counts`` gives float64 [vocabulary], how
    often each token stands in the training mixture, for a baseline; None where no mixture is known, and then there is no
    baseline.
    """

    seed: int
    max_length: int
    template: PairTemplate
    unigram_counts: "Callable[[], np.ndarray] | None" = None


@dataclass(frozen=True)
class TaskInput:
    """One task and its items.

    ``rows`` hold an ``id`` and the keys of the task's kind; none where the data is not at hand or cannot be read, and
    ``reason`` is the sentence that says so. ``expected`` is the number of items that the benchmark holds. ``contaminated``
    are the ids of items that were trained on, and ``data`` is the digest of the benchmark's version or of its files.
    ``broken`` tells data that cannot be read from data that is missing.
    """

    config: ScoredTask
    rows: list[Row]
    expected: int
    reason: str
    contaminated: frozenset[str]
    data: str
    broken: bool = False
