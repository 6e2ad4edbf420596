"""Configuration of the evaluation: which tasks, from which data."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from assets.recipe.base import Config, Count, Language, Name, OneOrMany, Positive

Files = Annotated[OneOrMany, Field(description="fsspec URIs or globs; a relative path starts at the project")]


class BitsPerCharacter(Config):
    """Bits per character on held-out documents: -log2 p(document) / characters, summed over all documents."""

    kind: Literal["bits_per_character"] = "bits_per_character"
    files: Files
    language: Language = Field(description="language of the documents")
    limit: Positive | None = Field(None, description="documents, at most")

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bits_per_character",)


class Translation(Config):
    """Translation of held-out pairs with the pair template: BLEU and chrF (sacrebleu), greedy decoding, 0-shot."""

    kind: Literal["translation"] = "translation"
    files: Files
    source_language: Language = Field(description="the language that is translated from")
    language: Language = Field(description="the language that is translated into")
    limit: Positive | None = Field(None, description="pairs, at most")
    max_new_tokens: Positive = Field(64, description="tokens of a translation, at most")

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bleu", "chrf")


class FinBench(Config):
    """A task of FIN-bench in BIG-bench's JSON: accuracy of the likeliest choice, shots drawn as FIN-bench's harness does."""

    kind: Literal["finbench"] = "finbench"
    files: Files
    language: Language = Field("fi", description="language of the items")
    shots: int = Field(3, ge=0, description="examples before each item")
    limit: Positive | None = Field(None, description="items, at most; of each file where there are several")

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("accuracy",)


class Harness(Config):
    """A task of lm-eval by its name (``arc_challenge``), or a user's own in lm-eval's YAML, on items from JSONL files.

    ``task`` may hold the name of a field in braces, ``mmlu_{subject}``: the items of each value of that field are a task of
    their own, with its own description and shots, and the score is the mean over these tasks.

    ``where`` picks the records that are scored and ``shots_where`` those that shots are taken from, by the values of their
    fields; a record without a field ``file`` has the name of its file there, up to the first dot. Without ``shots_where``
    the shots of an item are other items.

    ``include`` names a folder with a YAML of the user's own for ``task``. It is read with the recipe, into ``definition``;
    what is left out of ``files``, ``where``, ``shots_where``, ``shots``, ``metrics`` and ``language`` is taken from it.
    """

    kind: Literal["harness"] = "harness"
    task: str = Field(pattern=r"^[A-Za-z0-9_.+-]+(\{[A-Za-z0-9_]+\})?$", description="lm-eval's name of the task")
    files: Files
    language: Language = Field(description="language of the items")
    metrics: OneOrMany = Field(description="of lm-eval's task, the one that counts first; means over items")
    shots: int = Field(0, ge=0, description="examples before each item")
    where: dict[str, str] = Field(
        default_factory=dict, description="records that are scored, by the values of their fields"
    )
    shots_where: dict[str, str] = Field(
        default_factory=dict, description="records that shots are taken from, by the values of their fields"
    )
    filter: str | None = Field(None, description="of lm-eval's filters, where a task has several; else the first")
    fields: tuple[str, ...] = Field(
        (), description="the passages, as in ``protected``; else the fields of more than one word"
    )
    id: str | None = Field(None, description="field with the id of a record; where left out, the record's number")
    limit: Positive | None = Field(None, description="items, at most; of each task where there are several")
    definition: dict[str, Any] | None = Field(None, description="lm-eval's configuration of a task that is not its own")

    @model_validator(mode="before")
    @classmethod
    def _read_include(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "include" not in value:
            return value
        from assets.recipe.own_tasks import with_definition

        return with_definition(value)

    @property
    def field_of_subtask(self) -> str | None:
        """The field in braces."""
        return self.task.partition("{")[2].removesuffix("}") or None


class FewShotTranslation(Config):
    """Translation by examples, as Poro 34B is measured (Luukkonen et al. 2024, section 4.5): ``source=translation``.

    The examples are ``examples``; or pairs of the file ``shots_from``, which then is not translated itself: those at
    ``shot_indices`` (counted from 0), or as many drawn; or, without either, drawn from the last 100 pairs of ``files``, which
    then are not translated.
    """

    kind: Literal["few_shot_translation"] = "few_shot_translation"
    files: Files
    source_language: Language = Field(description="the language that is translated from")
    language: Language = Field(description="the language that is translated into")
    shots: int = Field(8, ge=0, description="examples before each sentence")
    examples: tuple[dict[Language, str], ...] = Field((), description="pairs by language, instead of drawn ones")
    shots_from: str | None = Field(None, description="name of the one of the files that the examples come from")
    shot_indices: tuple[Count, ...] = Field((), description="places of the examples in `shots_from`, counted from 0")
    limit: Positive | None = Field(None, description="pairs, at most")
    max_new_tokens: Positive = Field(1024, description="tokens of a translation, at most")

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bleu", "chrf++")

    @model_validator(mode="after")
    def _examples_are_told_once(self) -> Self:
        if self.examples and (self.shots_from or self.shot_indices):
            raise ValueError("examples and shots_from are two ways to say the same; allowed is one of them")
        if self.shot_indices and not self.shots_from:
            raise ValueError("shot_indices are places in the file shots_from, which is missing")
        for name in ("examples", "shot_indices"):
            if (given := getattr(self, name)) and len(given) != self.shots:
                raise ValueError(f"{name} has {len(given)} entries; it must have as many as shots, {self.shots}")
        for number, pair in enumerate(self.examples):
            for language in (self.source_language, self.language):
                if not pair.get(language, "").strip():
                    raise ValueError(f"examples.{number} has no text in {language}; each needs both languages")
        return self


class CharacterPerplexity(Config):
    """Perplexity per character, line by line (Poro 34B, table 1), with token loss and fertility beside it.

    Of code only lines with 10 letters or more are read.
    """

    kind: Literal["character_perplexity"] = "character_perplexity"
    files: Files
    language: Language = Field(description="language of the text")
    field: str = Field("text", description="the field of a record that holds the text")
    limit: Positive | None = Field(None, description="lines")

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("character_perplexity", "token_loss")


class Continuation(Config):
    """Health of free text: the beginnings of held-out documents are continued, and the continuations are looked at.

    A temperature of 0 is greedy decoding. A beginning ends with the word that reaches ``prompt_characters``.
    """

    kind: Literal["continuation"] = "continuation"
    files: Files
    language: Language = Field(description="language of the documents")
    limit: Positive | None = Field(100, description="documents, at most")
    prompt_characters: Positive = Field(200, description="characters of a beginning, up to the end of a word")
    max_new_tokens: Positive = Field(128, description="tokens of a continuation, at most")
    temperature: float = Field(0, ge=0, le=2, description="of sampling; 0 is greedy decoding")
    top_p: float = Field(1, gt=0, le=1, description="of sampling: the likeliest tokens that make this probability")

    @property
    def metrics(self) -> tuple[str, ...]:
        own = () if self.language == "code" else ("own_language",)
        return ("healthy", *own, "known_words", "looping", "repetition", "empty")


class Programming(Config):
    """Programs written by the model, run in a sandbox: pass@k by the unbiased estimator (Chen et al. 2021, section 2.1).

    ``samples`` programs are written for each problem. Prompts, the words that end a program, and the defaults are those of
    bigcode-evaluation-harness; with a temperature of 0 all samples of a problem would be the same.
    """

    kind: Literal["programming"] = "programming"
    benchmark: Literal["humaneval", "mbpp"] = Field(description="whose prompts and stop words are used")
    files: Files
    language: Literal["code"] = Field("code", description="programs are code")
    limit: Positive | None = Field(None, description="problems, at most")
    samples: Positive = Field(10, description="programs written for each problem")
    k: tuple[Positive, ...] = Field((1, 10), min_length=1, description="the k of pass@k")
    temperature: float = Field(0.2, ge=0, le=2, description="of sampling")
    top_p: float = Field(0.95, gt=0, le=1, description="of sampling: the likeliest tokens that make this probability")
    max_new_tokens: Positive = Field(512, description="tokens of a program, at most")
    seconds: float = Field(10, gt=0, le=300, description="of a processor's time for a program; twice that by the clock")

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(f"pass@{k}" for k in self.k)

    @model_validator(mode="after")
    def _enough_samples(self) -> Self:
        if max(self.k) > self.samples:
            raise ValueError(f"samples is {self.samples}; pass@{max(self.k)} needs {max(self.k)} or more")
        if not self.temperature and self.samples > 1:
            raise ValueError(f"temperature is 0, so all {self.samples} samples would be the same; allowed is 1 sample")
        return self


class Protected(Config):
    """A benchmark that no checkpoint is scored on, and whose text must not be trained on either.

    ``fields`` of a record are the passages of an item: a string, or all strings in a list or an object (of an object of
    numbers, such as BIG-bench's ``target_scores``, its keys); ``choices.text`` is the field ``text`` of the object
    ``choices``. A record may lack some of them. ``id`` is the field that tells records of a file apart.
    """

    kind: Literal["protected"] = "protected"
    files: Files
    fields: tuple[str, ...] = Field(min_length=1, description="fields of a record that are the passages of an item")
    id: str | None = Field(None, description="field with the id of a record; where left out, the record's number")
    limit: Positive | None = Field(None, description="items, at most")


_Scored = (
    BitsPerCharacter
    | Translation
    | FinBench
    | Harness
    | FewShotTranslation
    | CharacterPerplexity
    | Continuation
    | Programming
)
ScoredTask = Annotated[_Scored, Field(discriminator="kind")]
Task = Annotated[_Scored | Protected, Field(discriminator="kind")]


class Average(Config):
    """The mean of a score over ``tasks``: of their ``metric``, or of a metric of its own where ``metrics`` has the task."""

    tasks: tuple[Name, ...] = Field(min_length=1, description="tasks that the mean is taken over")
    metric: str = Field(description="the metric of every task that `metrics` does not name")
    metrics: dict[Name, str] = Field(default_factory=dict, description="the metric of single tasks")
    description: str = Field("", description="what the average is, for people")

    @model_validator(mode="after")
    def _tasks_are_known(self) -> Self:
        for task in self.metrics:
            if task not in self.tasks:
                raise ValueError(f"metrics names {task!r}, which is not among the tasks {', '.join(self.tasks)}")
        return self

    def metric_of(self, task: str) -> str:
        """The metric of a task that goes into the average."""
        return self.metrics.get(task, self.metric)

    def of(self, scores: Mapping[str, Mapping[str, float]]) -> float | None:
        """The average of scores by task and metric; None where one is missing, as the average of others is another number."""
        found = [scores.get(task, {}).get(self.metric_of(task)) for task in self.tasks]
        values = [value for value in found if value is not None]
        return sum(values) / len(values) if len(values) == len(found) else None


class Evaluation(Config):
    """How checkpoints are evaluated, whatever the task."""

    max_length: Positive | None = Field(
        None, description="tokens that the model reads at once; where left out, the sequence length of the training"
    )
    missing_data: Literal["fail", "warn"] = Field(
        "fail", description="what the gate does where the data of a task is not at hand"
    )


class ReferenceCurve(Config):
    """Scores that a recipe is known to reach, by step. The gate fails where a score is worse by more than ``tolerance``.

    ``tolerance`` is a share of the reference: 0.1 lets a score be 10 % worse.
    """

    scores: dict[int, float] = Field(min_length=1, description="the score at each step")
    tolerance: float = Field(0.1, ge=0, description="share of the reference by which a score may be worse")
    lower_is_better: bool = Field(False, description="whether a lower score is the better one")
