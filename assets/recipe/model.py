"""The recipe: everything that decides the result of one experiment."""

from typing import Self

from pydantic import Field, model_validator

from assets.recipe.automation import Automation
from assets.recipe.base import Config, Name
from assets.recipe.data import Decontamination, Dedup, Source
from assets.recipe.evaluation import (
    Average,
    BitsPerCharacter,
    CharacterPerplexity,
    Continuation,
    Evaluation,
    FewShotTranslation,
    FinBench,
    Harness,
    Programming,
    Protected,
    ReferenceCurve,
    ScoredTask,
    Task,
    Translation,
)
from assets.recipe.suites import check_averages
from assets.recipe.tokens import Mixture, PairTemplate, Tokenizer
from assets.recipe.training import Model, Training


class Recipe(Config):
    """One experiment, from its sources to its evaluation.

    ``sources``, ``pools``, ``tokenizer`` and ``tasks`` are shared by name between recipes: two recipes that use the same
    name must mean the same thing, and then share every artefact made from it.
    """

    name: Name = Field(description="as the file is called")
    description: str = Field(description="what the experiment is, for people")
    sources: dict[Name, Source] = Field(min_length=1, description="the corpora")
    pools: dict[Name, Dedup] = Field(default_factory=dict, description="deduplication by pool; defaults where left out")
    decontamination: Decontamination = Field(Decontamination(), description="removal of benchmark text")
    tokenizer: Tokenizer = Field(description="the tokenizer and the sample it is trained on")
    pair_template: PairTemplate = Field(description="how translation pairs become text")
    mixture: Mixture = Field(description="how much of each source is trained on")
    model: Model = Field(description="architecture and size")
    training: Training = Field(description="schedule, batch, optimizer, checkpoints")
    tasks: dict[Name, Task] = Field(
        min_length=1, description="what checkpoints are scored on, and what must be kept out of training"
    )
    suites: tuple[Name, ...] = Field((), description="sets of tasks, by name, that stand among the tasks")
    evaluation: Evaluation = Field(Evaluation(), description="how checkpoints are evaluated, whatever the task")
    averages: dict[Name, Average] = Field(default_factory=dict, description="means of scores over tasks")
    reference: dict[Name, dict[str, ReferenceCurve]] = Field(
        default_factory=dict, description="by task and metric: scores known to be reached, which the gate compares with"
    )
    automation: Automation = Field(Automation(), description="training by schedule, promotion; decides no result")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        known = sorted(self.sources)
        for place, names in [("mixture.sources", self.mixture.sources), *self._tokenizer_sources()]:
            for name in names:
                if name not in self.sources:
                    raise ValueError(f"{place} names {name!r}, which is not among the sources: {', '.join(known)}")
        self._tokenizer_is_possible()
        if not self.scored_tasks:
            raise ValueError("tasks has only protected benchmarks; a checkpoint is scored on at least one task")
        check_averages(self.averages, self.tasks)
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

    def _tokenizer_is_possible(self) -> None:
        for language, names in self.tokenizer.sources.items():
            for name in names:
                source = self.sources[name]
                if source.is_pairs and language not in (source.language, source.pair_language):
                    raise ValueError(
                        f"tokenizer.sources.{language} names {name!r}, which has pairs of {source.pair_language} and "
                        f"{source.language}; it has no text in {language}"
                    )
        for language, name in self.tokenizer.fertility_tasks.items():
            place = f"tokenizer.fertility_tasks.{language} names {name!r}"
            if name not in self.tasks:
                raise ValueError(f"{place}, which is not among the tasks: {', '.join(sorted(self.tasks))}")
            task = self.tasks[name]
            if isinstance(task, FinBench | Harness | FewShotTranslation | Programming):
                raise ValueError(f"{place}, which is of the kind {task.kind}; allowed are the other kinds")
            if isinstance(task, Protected) and len(task.fields) > 1:
                raise ValueError(
                    f"{place}, whose items are of the fields {', '.join(task.fields)}; allowed is a protected task of one "
                    "field, which then is in one language"
                )
            if isinstance(task, Translation) and language not in (task.source_language, task.language):
                raise ValueError(f"{place}, which translates from {task.source_language} into {task.language}")
            if isinstance(task, BitsPerCharacter | CharacterPerplexity | Continuation) and language != task.language:
                raise ValueError(f"{place}, which is in {task.language}")

    def _tokenizer_sources(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(f"tokenizer.sources.{language}", names) for language, names in self.tokenizer.sources.items()]

    @property
    def evaluated_length(self) -> int:
        """Tokens that a checkpoint reads at once when it is evaluated."""
        return self.evaluation.max_length or self.training.sequence_length

    @property
    def mixed_sources(self) -> list[str]:
        """The sources that are trained on, in order of their names."""
        return sorted(self.mixture.sources)

    @property
    def scored_tasks(self) -> dict[str, ScoredTask]:
        """The tasks that checkpoints are scored on, in order of their names; the others are only kept out of training."""
        return {name: task for name, task in sorted(self.tasks.items()) if not isinstance(task, Protected)}
