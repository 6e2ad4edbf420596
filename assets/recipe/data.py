"""Configuration of the data plane: sources, cleaning, deduplication, decontamination."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from assets.recipe.base import Config, Count, Language, Name, Positive, Share

CleaningProfile = Literal["documentation", "web", "news", "social", "books", "wiki", "code", "pairs"]
SourceFormat = Literal["jsonl", "parquet", "text", "pairs_jsonl", "pairs_tsv"]


class SourceBounds(Config):
    """Bounds of the gates of one source. Shares are of documents."""

    bad_records: Share = Field(0.001, description="records that cannot be read, at most this share")
    min_documents: Count = Field(1, description="documents in the raw corpus, at least")
    max_documents: Positive = Field(10_000_000_000, description="documents in the raw corpus, at most")
    language_share: Share = Field(0.8, description="sampled documents identified as the declared language, at least")
    encoding_damage: Share = Field(0.01, description="documents with replacement characters or mojibake, at most")
    removed: Share = Field(0.5, description="documents that cleaning removes in all, at most")
    removed_by_reason: dict[str, Share] = Field(default_factory=dict, description="per reason, at most (default 0.5)")
    removed_change: Share = Field(
        0.2, description="change of the removal rate against the last version, at most (warns)"
    )
    duplicates: Share = Field(0.5, description="documents that deduplication removes, at most")
    contaminated: Share = Field(0.2, description="documents that decontamination drops, at most")


class Source(Config):
    """One corpus: where it lies, what it is declared to be, and how it is cleaned."""

    format: SourceFormat
    files: tuple[str, ...] = Field(
        min_length=1, description="fsspec URIs or globs; a relative path starts at the project"
    )
    language: Language = Field(description="declared language of the documents; of pairs, the one translated into")
    pair_language: Language | None = Field(None, description="of pairs: the other language")
    license: str | None = Field(None, description="SPDX id; where the records carry their own, leave it out")
    cleaning: CleaningProfile
    without: tuple[str, ...] = Field((), description="cleaning steps left out for this source")
    pool: Name = Field(description="sources of one pool are deduplicated against each other")
    priority: int = Field(0, description="of two duplicates in a pool, the one with the lower number survives")
    ids: Literal["record", "line"] = Field(
        "record", description="what makes ids unique: the record's own, or with its line"
    )
    fields: dict[str, str] = Field(
        default_factory=dict, description="record field that holds id, text, url, license, ..."
    )
    bounds: SourceBounds = SourceBounds()

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pairs_have_two_languages(self) -> "Source":
        if self.is_pairs != (self.pair_language is not None):
            raise ValueError("pair_language belongs to the formats pairs_jsonl and pairs_tsv, and only to them")
        if self.is_pairs != (self.cleaning == "pairs"):
            raise ValueError(
                "the cleaning profile 'pairs' belongs to the formats pairs_jsonl and pairs_tsv, and only to them"
            )
        return self

    @property
    def is_pairs(self) -> bool:
        return self.format.startswith("pairs_")


class Dedup(Config):
    """Deduplication of a pool: exact, then MinHash LSH with verification.

    ``bands x rows`` hash values on ``shingle``-word shingles; a candidate is a duplicate when its true Jaccard similarity
    to the survivor is at least ``threshold``. With 16 bands of 8 rows a pair of similarity 0.8 is found with probability
    1 - (1 - 0.8^8)^16 = 0.95, one of 0.9 with 0.9999 (Leskovec et al., Mining of Massive Datasets, section 3.4).
    """

    shingle: Positive = 5
    bands: Positive = 16
    rows: Positive = 8
    threshold: Share = 0.8
    max_cluster_share: Share = Field(0.2, description="documents of the pool in its largest cluster, at most")


class Decontamination(Config):
    """Removal of benchmark text from the corpora.

    An n-gram of ``ngram`` words of a benchmark item that stands in a document is cut out of it, with the words that touch
    it; where more than ``drop_share`` of the words would go, the document goes. Items shorter than ``ngram`` words are
    matched whole when they have at least ``min_words`` words (13 and 8: Brown et al. 2020, appendix C).
    """

    ngram: Positive = 13
    min_words: Positive = 8
    drop_share: Share = 0.3
