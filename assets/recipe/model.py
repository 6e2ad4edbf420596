"""The recipe: everything that decides the result of one experiment."""

from typing import Self

from pydantic import Field, model_validator

from assets.recipe.base import Config, Name
from assets.recipe.data import Decontamination, Dedup, Source
from assets.recipe.evaluation import Protected, ReferenceCurve, ScoredTask, Task
from assets.recipe.tokens import Mixture, PairTemplate, Tokenizer
from assets.recipe.training import Model, Training


class Recipe(Config):
    """One experiment, from its sources to its evaluation.

    ``sources``, ``pools``, ``tokenizer`` and ``tasks`` are shared by name between recipes: two recipes that use the same
    name must mean the same thing, and then share every artefact made from it.
    """

    name: Name
    description: str
    sources: dict[Name, Source] = Field(min_length=1)
    pools: dict[Name, Dedup] = Field(default_factory=dict, description="deduplication by pool; defaults where left out")
    decontamination: Decontamination = Decontamination()
    tokenizer: Tokenizer
    pair_template: PairTemplate
    mixture: Mixture
    model: Model
    training: Training
    tasks: dict[Name, Task] = Field(min_length=1)
    reference: dict[Name, dict[str, ReferenceCurve]] = Field(
        default_factory=dict, description="by task and metric: scores known to be reached, which the gate compares with"
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = sorted(self.sources)
        for place, names in [("mixture.sources", self.mixture.sources), *self._tokenizer_sources()]:
            for name in names:
                if name not in self.sources:
                    raise ValueError(f"{place} names {name!r}, which is not among the sources: {', '.join(known)}")
        if not self.scored_tasks:
            raise ValueError("tasks has only protected benchmarks; a checkpoint is scored on at least one task")
        for task in self.reference:
            if task not in self.scored_tasks:
                raise ValueError(
                    f"reference names {task!r}, which is not among the tasks that are scored: "
                    f"{', '.join(sorted(self.scored_tasks))}"
                )
        pools = {source.pool for source in self.sources.values()}
        for pool in self.pools:
            if pool not in pools:
                raise ValueError(
                    f"pools names {pool!r}, but no source is in it; the sources are in {', '.join(sorted(pools))}"
                )
        for name, source in self.sources.items():
            if source.is_pairs and {source.language, source.pair_language} - set(self.pair_template.instructions):
                raise ValueError(
                    f"sources.{name} has pairs of {source.pair_language} and {source.language}; "
                    "pair_template.instructions needs both"
                )
        return self

    def _tokenizer_sources(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(f"tokenizer.sources.{language}", names) for language, names in self.tokenizer.sources.items()]

    @property
    def mixed_sources(self) -> list[str]:
        """The sources that are trained on, in order of their names."""
        return sorted(self.mixture.sources)

    @property
    def scored_tasks(self) -> dict[str, ScoredTask]:
        """The tasks that checkpoints are scored on, in order of their names; the others are only kept out of training."""
        return {name: task for name, task in sorted(self.tasks.items()) if not isinstance(task, Protected)}
