"""Configuration of the tokenizer, the pair template and the mixture."""

from typing import Literal

from pydantic import Field, model_validator

from assets.recipe.base import Config, Language, Name, Positive


class Tokenizer(Config):
    """Byte-level BPE, trained on a uniform sample of the languages (Poro 34B, section 3.1)."""

    name: Name
    vocab_size: int = Field(ge=300, le=262_144, description="ids in all: 24 special tokens, 256 bytes, merges")
    pretokenizer: Literal["bloom", "gpt2"] = "bloom"
    split_digits: bool = False
    sources: dict[Language, tuple[Name, ...]] = Field(
        description="which sources the sample of a language is drawn from"
    )
    sample_bytes: Positive = Field(description="UTF-8 bytes of text per language, at most")
    seed: int = 1234
    max_fertility: dict[Language, float] = Field(
        default_factory=dict, description="tokens per word, at most (default 4)"
    )


class PairTemplate(Config):
    """How a pair becomes two documents: ``<|user|>{instruction}{source} <|assistant|>{target}`` (Poro 34B, section 2)."""

    instructions: dict[Language, str] = Field(description="by the language that is translated into")
    separator: str = " "


class SourceWeight(Config):
    """How much of a source is trained on: ``epochs`` over its tokens, or its ``weight`` among all samples."""

    epochs: float | None = Field(None, gt=0)
    weight: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> "SourceWeight":
        if (self.epochs is None) == (self.weight is None):
            raise ValueError("give exactly one of epochs and weight")
        return self


class Mixture(Config):
    """The blend of sources. All by epochs, or all by weights, which then sum to 1."""

    sources: dict[Name, SourceWeight] = Field(min_length=1)
    max_epochs: float = Field(8, gt=0, description="the gate fails above this many epochs of a source")
    warn_epochs: float = Field(4, gt=0, description="the gate warns above this (Muennighoff et al. 2023, section 5)")

    @model_validator(mode="after")
    def _weights_add_up(self) -> "Mixture":
        weights = [s.weight for s in self.sources.values() if s.weight is not None]
        if weights and len(weights) != len(self.sources):
            raise ValueError("some sources have epochs and others a weight; use one of the two for all")
        if weights and abs(sum(weights) - 1) > 1e-6:
            raise ValueError(f"the weights sum to {sum(weights):g}; they must sum to 1")
        return self
