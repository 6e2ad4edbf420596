"""Configuration of the tokenizer, the pair template and the mixture."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.recipe.base import Config, Language, Name, Positive

MAX_SAMPLE_BYTES = 2**31 - 1
"""Bytes that a tokenizer is trained on, at most: what a signed 32-bit count of pairs can hold."""


class Tokenizer(Config):
    """Byte-level BPE, trained on a uniform sample of the languages (Poro 34B, section 3.1)."""

    name: Name = Field(description="recipes that name the same tokenizer share it")
    vocab_size: int = Field(ge=300, le=262_144, description="ids in all: 24 special tokens, 256 bytes, merges")
    pretokenizer: Literal["bloom", "gpt2", "regex"] = Field("bloom", description="what cuts text into pieces")
    regex: str | None = Field(
        None,
        min_length=1,
        max_length=4_000,
        description="of the pretokenizer regex: what it matches is a piece, and so is what lies between (Oniguruma's syntax)",
    )
    split_digits: bool = Field(False, description="each digit a piece of its own, as in Viking")
    sources: dict[Language, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(
        description="which sources the sample of a language is drawn from"
    )
    sample_bytes: Positive = Field(description="UTF-8 bytes of text per language, at most")
    seed: int = Field(1234, description="of the sample")
    shard_bytes: Positive = Field(
        4 * 2**30,
        description="a source's shards are cut into files whose .bin holds so many bytes, at most (default 4 GiB)",
    )
    max_fertility: dict[Language, float] = Field(
        default_factory=dict, description="tokens per word, at most (default 4)"
    )
    fertility_tasks: dict[Language, Name] = Field(
        default_factory=dict, description="by language: the task on whose sentences the report measures fertility too"
    )

    @model_validator(mode="after")
    def _regex_is_used(self) -> "Tokenizer":
        if (self.pretokenizer == "regex") != (self.regex is not None):
            raise ValueError("regex belongs to the pretokenizer regex, and only to it")
        return self

    @model_validator(mode="after")
    def _pairs_can_be_counted(self) -> "Tokenizer":
        # A pair of symbols occurs less often than there are bytes.
        total = self.sample_bytes * len(self.sources)
        if total > MAX_SAMPLE_BYTES:
            raise ValueError(
                f"sample_bytes is {self.sample_bytes:,} for each of {len(self.sources)} languages, {total:,} in all; at most "
                f"{MAX_SAMPLE_BYTES:,} in all are allowed, since the trainer counts pairs in 32 bits and a pair that occurs "
                "more often is silently left out of the vocabulary (huggingface/tokenizers, issue 2058)"
            )
        return self


class PairTemplate(Config):
    """How a pair becomes two documents: ``<|user|>{instruction}{source} <|assistant|>{target}`` (Poro 34B, section 2)."""

    instructions: dict[Language, str] = Field(description="by the language that is translated into")
    separator: str = Field(" ", description="between the source and the assistant's mark")


class SourceWeight(Config):
    """How much of a source is trained on: ``epochs`` over its tokens, or its ``weight`` among all samples."""

    epochs: float | None = Field(
        None, gt=0, description="times that the source's tokens are passed, relative to the others"
    )
    weight: float | None = Field(None, gt=0, le=1, description="share of all samples")

    @model_validator(mode="after")
    def _one_of_both(self) -> "SourceWeight":
        if (self.epochs is None) == (self.weight is None):
            raise ValueError("give exactly one of epochs and weight")
        return self


class Mixture(Config):
    """The blend of sources. All by epochs, or all by weights, which then sum to 1."""

    sources: dict[Name, SourceWeight] = Field(min_length=1, description="what is trained on, and how much of it")
    max_epochs: float = Field(8, gt=0, description="the gate fails above this many epochs of a source")
    warn_epochs: float = Field(4, gt=0, description="the gate warns above this (Muennighoff et al. 2023, section 5)")
    validation_share: float = Field(
        0, ge=0, lt=0.5, description="share of each source's documents that is never trained on, but validated on"
    )
    validation_samples: Positive = Field(64, description="samples per source of which a validation loss is taken")

    @model_validator(mode="after")
    def _weights_add_up(self) -> "Mixture":
        weights = [s.weight for s in self.sources.values() if s.weight is not None]
        if weights and len(weights) != len(self.sources):
            raise ValueError("some sources have epochs and others a weight; use one of the two for all")
        if weights and abs(sum(weights) - 1) > 1e-6:
            raise ValueError(f"the weights sum to {sum(weights):g}; they must sum to 1")
        return self
