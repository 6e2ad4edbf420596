"""Configuration of the data plane: sources, cleaning, deduplication, decontamination."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assets.recipe.base import Config, Count, Language, Name, OneOrMany, Positive, Share

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


class Lines(Config):
    """Removal of duplicate lines within a source, in Onion's sense (``assets.dedup.lines``).

    Onion's defaults are 5-grams of words, a share of 0.5 and stubs of 20 words (onion.c; Pomikálek 2011). FinGPT uses them,
    with the newest documents first, and drops documents of which half of the rest is duplicate (Luukkonen et al. 2023, section 3;
    spyysalo/onion-tools, filter_onion.py).
    """

    ngram: Positive = Field(5, description="words of an n-gram")
    line_share: float = Field(
        0.5, gt=0, le=1, description="n-grams of a duplicate line that were seen before, at least"
    )
    stub: Count = Field(0, description="words between two duplicates, or up to a document's end, that go with them")
    document_share: float = Field(
        0.5, gt=0, le=1, description="duplicate words for which a trimmed document goes, at least"
    )
    newest_first: bool = Field(
        False, description="start at the last document, so that of two copies the later one stays"
    )


class LineModel(Config):
    """Lines of too high a perplexity in a KenLM model go, and documents of which too little remains.

    FinGPT's bound is 100,000 (Luukkonen et al. 2023, section 3).
    """

    kind: Literal["kenlm"] = Field(description="a KenLM model of lines")
    model: str = Field(description="fsspec URI of an ARPA or binary file; a relative path starts at the project")
    name: Name = Field("perplexity", description="the reason that documents go for")
    max_perplexity: float = Field(100_000, gt=1, description="a line's perplexity stays below this")
    min_remaining: Share = Field(0, description="characters of a document that remain, at least")


class Classifier(Config):
    """Documents go that a fastText model gives a label."""

    kind: Literal["fasttext"] = Field(description="a fastText classifier of documents")
    model: str = Field(description="fsspec URI of a .bin or .ftz file; a relative path starts at the project")
    name: Name = Field("classifier", description="the reason that documents go for")
    labels: OneOrMany = Field(description="any of these, such as __label__toxic")
    threshold: Share = Field(0.5, description="probability of a label, at least")


Filter = Annotated[LineModel | Classifier, Field(discriminator="kind")]


class Source(Config):
    """One corpus: where it lies, what it is declared to be, and how it is cleaned."""

    format: SourceFormat = Field(
        description="what a file holds: a record a line, Parquet, plain text, or translation pairs"
    )
    files: OneOrMany = Field(description="fsspec URIs or globs; a relative path starts at the project")
    language: Language = Field(description="declared language of the documents; of pairs, the one translated into")
    pair_language: Language | None = Field(None, description="of pairs: the other language")
    license: str | None = Field(None, description="SPDX id; where the records carry their own, leave it out")
    cleaning: CleaningProfile = Field(description="the profile of cleaning steps (docs/data-plane.md)")
    without: tuple[str, ...] = Field((), description="cleaning steps left out for this source")
    thresholds: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="other thresholds for cleaning steps, such as {digits: {at_most: 0.2}}"
    )
    filters: tuple[Filter, ...] = Field((), description="cleaning steps that a model file decides, after the profile's")
    pool: Name = Field(description="sources of one pool are deduplicated against each other")
    priority: int = Field(0, description="of two duplicates in a pool, the one with the lower number survives")
    ids: Literal["record", "line"] = Field(
        "record", description="what makes ids unique: the record's own, or with its line"
    )
    fields: dict[str, str] = Field(
        default_factory=dict, description="record field that holds id, text, url, license, ..."
    )
    leave_out: dict[str, OneOrMany] = Field(
        default_factory=dict,
        description="records are no part of the source whose field has one of these values; meta.kind is a field of meta",
    )
    lines: Lines | None = Field(None, description="removal of lines that stood in the source before; not for pairs")
    bounds: SourceBounds = Field(SourceBounds(), description="bounds of the gates of this source")

    @model_validator(mode="after")
    def _pairs_have_two_languages(self) -> "Source":
        if self.is_pairs != (self.pair_language is not None):
            raise ValueError("pair_language belongs to the formats pairs_jsonl and pairs_tsv, and only to them")
        if self.is_pairs != (self.cleaning == "pairs"):
            raise ValueError(
                "the cleaning profile 'pairs' belongs to the formats pairs_jsonl and pairs_tsv, and only to them"
            )
        if self.is_pairs and any(isinstance(each, LineModel) for each in self.filters):
            raise ValueError("a filter of the kind kenlm reads one language; it belongs to documents, not to pairs")
        if self.is_pairs and self.lines is not None:
            raise ValueError("lines belongs to documents; pairs are compared as a whole")
        return self

    @property
    def is_pairs(self) -> bool:
        return self.format.startswith("pairs_")


class Dedup(Config):
    """Deduplication of a pool: exact, then MinHash LSH with verification.

    ``bands x rows`` hash values on ``shingle``-word shingles; a candidate is a duplicate when its true Jaccard similarity
    to the survivor is at least ``threshold``. A pair of similarity s shares a band, and is then compared, with probability
    1 - (1 - s^rows)^bands: with 24 bands of 7 rows 0.9965 at 0.8 and above 0.9999 at 0.9 (Leskovec et al., Mining of
    Massive Datasets, section 3.4).

    A word changed here and there breaks many shingles: with 3 % of its words gone a text keeps a similarity of 0.75. So a
    candidate of at least 0.65 is a duplicate too, of the kind ``edited``, when the share of its words that stand in the
    same order in the survivor (normalised Indel similarity) is at least ``same_words``.
    """

    shingle: Positive = Field(5, description="words of a shingle")
    bands: Positive = Field(24, description="bands of MinHash LSH")
    rows: Positive = Field(7, description="hash values in a band")
    threshold: Share = Field(0.8, description="Jaccard similarity of a near-duplicate, at least")
    same_words: Share | None = Field(
        0.95,
        description="of less similar documents: words that are the same in the same order, at least; null: not asked",
    )
    max_cluster_share: Share = Field(0.2, description="documents of the pool in its largest cluster, at most")


class Decontamination(Config):
    """Removal of benchmark text from the corpora.

    A run of ``ngram`` words of a benchmark item that stands in a document is cut out of it, with the words that touch it.
    Items and passages of ``min_words`` words and more that are shorter than that are matched whole (13 and 8: Brown et
    al. 2020, appendix C). Pairs go as a whole.

    By ``policy`` a document that holds benchmark text is only ``cut``, or is ``drop``ped where it is benchmark text
    rather than a text that quotes one:

    - it holds an item: n-grams cover half of one of its passages (Tülu 3 asks for more than half of a prompt, in 8-grams:
      Lambert et al. 2024) and at least ``ngram`` words of the item (all of one that has fewer), which make at least
      ``item_share`` of the document: an item of 13 words takes a page of up to 2,600 words with it, but the novel that a question
      quotes stays; or
    - n-grams cover more than ``drop_share`` of its words. Much less would take a third of a source for the footers that its
      pages share with held-out ones.

    N-grams that identify no item (``assets.decontamination.index``) are cut, and count for neither.
    """

    ngram: Positive = Field(13, description="words of a run that counts as benchmark text")
    min_words: Positive = Field(8, description="items and passages from so many words on are matched whole")
    policy: Literal["cut", "drop"] = Field(
        "drop", description="cut benchmark text out, or drop documents that are benchmark text"
    )
    drop_share: Share = Field(0.3, description="a document goes when n-grams cover more than this share of its words")
    item_share: Share = Field(
        0.005, description="a document that holds an item goes when the item makes at least this share of it"
    )
