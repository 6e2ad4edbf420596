"""The results of Poro 34B's paper as data, and which of our scores measure the same (``paper.yaml``)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import Field, model_validator

from assets.recipe.base import Config, OneOrMany

FILE = Path(__file__).with_name("paper.yaml")
LINES = ("poro-34b", "llama-33b", "fingpt-8b", "fingpt-13b")
"""Models that are drawn as lines beside ours; all stand in the tables."""


class PaperRow(Config):
    """One benchmark: its numbers, and our ``task`` with the metrics that measure it, or our ``average``; the best first."""

    task: OneOrMany = ()
    metrics: tuple[str, ...] = ()
    average: OneOrMany = ()
    scores: tuple[float | None, ...]


class PaperAverage(Config):
    """The printed averages over the rows of a table; ``ours`` is the average of a suite that is the same mean."""

    ours: OneOrMany
    scores: tuple[float | None, ...]


class Contradiction(Config):
    """A printed number that another printed number contradicts."""

    row: str
    model: str
    printed: float
    recomputed: float
    why: str


class PaperTable(Config):
    """A table of the paper. ``scale`` times one of our scores is a number of the table."""

    number: int
    title: str
    models: tuple[str, ...]
    rows: dict[str, PaperRow]
    average: PaperAverage | None = None
    scale: float = 1
    decimals: int = 2
    lower_is_better: bool = False
    note: str = ""
    contradictions: tuple[Contradiction, ...] = ()

    @model_validator(mode="after")
    def _a_number_for_each_model(self) -> "PaperTable":
        for name, row in self.every_row().items():
            if len(row.scores) != len(self.models):
                raise ValueError(f"{name} has {len(row.scores)} numbers for {len(self.models)} models")
        return self

    def every_row(self) -> "dict[str, PaperRow | PaperAverage]":
        """The rows, and after them the averages as ``average`` where they are printed."""
        return {**self.rows, "average": self.average} if self.average else {**self.rows}

    def scores(self, row: "PaperRow | PaperAverage") -> dict[str, float | None]:
        """The numbers of a row by model."""
        return dict(zip(self.models, row.scores, strict=True))


class TrainingPoint(Config):
    """Scores of one checkpoint of Poro 34B, by the rows of a table."""

    table: str
    step: int
    tokens: int
    source: str
    average: float
    scores: dict[str, float]


class Paper(Config):
    """All of it."""

    paper: str
    models: dict[str, str]
    tables: dict[str, PaperTable]
    over_training: tuple[TrainingPoint, ...] = Field(())


@cache
def read_paper() -> Paper:
    """The paper's results."""
    return Paper.model_validate(yaml.safe_load(FILE.read_text("utf-8")))


class Place(NamedTuple):
    """Where one of our scores stands in the paper; of several for one place that with the lowest ``rank`` counts."""

    table: str
    row: str
    scale: float
    scores: Mapping[str, float | None]
    rank: int


@cache
def places() -> dict[tuple[str, str], Place]:
    """By our (task or average, metric) the row of the paper's tables; an average has the metric ""."""
    found: dict[tuple[str, str], Place] = {}
    for name, table in read_paper().tables.items():
        if table.average:
            for rank, ours in enumerate(table.average.ours):
                found[ours, ""] = Place(name, "average", table.scale, table.scores(table.average), rank)
        for label, row in table.rows.items():
            place = Place(name, label, table.scale, table.scores(row), 0)
            for rank, average in enumerate(row.average):
                found.setdefault((average, ""), place._replace(rank=rank))
            for rank, task in enumerate(row.task):
                found.update({(task, metric): place._replace(rank=rank) for metric in row.metrics})
    return found


def levels(task: str, metric: str, models: tuple[str, ...] = LINES) -> dict[str, float]:
    """The paper's numbers for a task and metric of ours, or for an average (metric ""), on our scale, by the model's name."""
    place = places().get((task, metric))
    if place is None:
        return {}
    names = read_paper().models
    found = {model: place.scores.get(model) for model in models}
    return {names[model]: score / place.scale for model, score in found.items() if score is not None}
