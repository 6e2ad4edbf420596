"""Configuration of the evaluation: which tasks, from which data."""

from typing import Annotated, Literal

from pydantic import Field

from assets.recipe.base import Config, Language, OneOrMany, Positive

Files = Annotated[OneOrMany, Field(description="fsspec URIs or globs; a relative path starts at the project")]


class BitsPerCharacter(Config):
    """Bits per character on held-out documents: -log2 p(document) / characters, summed over all documents."""

    kind: Literal["bits_per_character"] = "bits_per_character"
    files: Files
    language: Language
    limit: Positive | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bits_per_character",)


class Translation(Config):
    """Translation of held-out pairs with the pair template: BLEU and chrF (sacrebleu), greedy decoding, 0-shot."""

    kind: Literal["translation"] = "translation"
    files: Files
    source_language: Language
    language: Language = Field(description="the language that is translated into")
    limit: Positive | None = None
    max_new_tokens: Positive = 64

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bleu", "chrf")


class FinBench(Config):
    """A task of FIN-bench in BIG-bench's JSON: accuracy of the likeliest choice, shots drawn as FIN-bench's harness does."""

    kind: Literal["finbench"] = "finbench"
    files: Files
    language: Language = "fi"
    shots: int = Field(3, ge=0)
    limit: Positive | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("accuracy",)


class Protected(Config):
    """A benchmark that no checkpoint is scored on, and whose text must not be trained on either.

    ``fields`` of a record are the passages of an item: a string, or all strings in a list or an object (of an object of
    numbers, such as BIG-bench's ``target_scores``, its keys); ``choices.text`` is the field ``text`` of the object
    ``choices``. A record may lack some of them. ``id`` is the field that tells records of a file apart.
    """

    kind: Literal["protected"] = "protected"
    files: Files
    fields: tuple[str, ...] = Field(min_length=1)
    id: str | None = Field(None, description="field with the id of a record; where left out, the record's number")
    limit: Positive | None = None


ScoredTask = Annotated[BitsPerCharacter | Translation | FinBench, Field(discriminator="kind")]
Task = Annotated[BitsPerCharacter | Translation | FinBench | Protected, Field(discriminator="kind")]


class ReferenceCurve(Config):
    """Scores that a recipe is known to reach, by step. The gate fails where a score is worse by more than ``tolerance``.

    ``tolerance`` is a share of the reference: 0.1 lets a score be 10 % worse.
    """

    scores: dict[int, float] = Field(min_length=1)
    tolerance: float = Field(0.1, ge=0)
    lower_is_better: bool = False
