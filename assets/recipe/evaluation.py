"""Configuration of the evaluation: which tasks, from which data."""

from typing import Annotated, Literal

from pydantic import Field

from assets.recipe.base import Config, Language, Positive


class BitsPerCharacter(Config):
    """Bits per character on held-out documents: -log2 p(document) / characters, summed over all documents."""

    kind: Literal["bits_per_character"] = "bits_per_character"
    files: str
    language: Language
    limit: Positive | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("bits_per_character",)


class Translation(Config):
    """Translation of held-out pairs with the pair template: BLEU and chrF (sacrebleu), greedy decoding, 0-shot."""

    kind: Literal["translation"] = "translation"
    files: str
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
    files: str
    language: Language = "fi"
    shots: int = Field(3, ge=0)
    limit: Positive | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("accuracy",)


Task = Annotated[BitsPerCharacter | Translation | FinBench, Field(discriminator="kind")]


class ReferenceCurve(Config):
    """Scores that a recipe is known to reach, by step. The gate fails where a score is worse by more than ``tolerance``.

    ``tolerance`` is a share of the reference: 0.1 lets a score be 10 % worse.
    """

    scores: dict[int, float] = Field(min_length=1)
    tolerance: float = Field(0.1, ge=0)
    lower_is_better: bool = False
