"""The stage tokenized_shards: one version per source and tokenizer."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assets.ahead import ahead
from assets.lake import Lake, Manifest
from assets.lake.documents import DOCUMENTS, part_path, read_parts
from assets.recipe.catalog import Catalog, join, split
from assets.shards import gate
from assets.stage import Input, Shown, Stage, Table, Work

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.shards.encode import Rendering

PROOF_DOCUMENTS = 64
PROOF_CHARACTERS = 50_000
"""An encoding engine is proved on so many documents of the source; of each the first so many characters."""


def inputs(catalog: Catalog, key: str) -> list[Input]:
    source, tokenizer = split(key)
    return [("decontaminated_corpus", source), ("tokenizer", tokenizer)]


def config(catalog: Catalog, key: str) -> dict[str, Any]:
    """What decides the shards beside text and tokenizer: the files' size, and of pairs the languages and the template."""
    source, tokenizer = split(key)
    declared, shard_bytes = catalog.sources[source], catalog.tokenizers[tokenizer].shard_bytes
    if not declared.is_pairs:
        return {"rendering": "document", "shard_bytes": shard_bytes}
    template = catalog.pair_template(tokenizer).model_dump(mode="json")
    languages = [declared.pair_language, declared.language]
    return {"rendering": "pairs", "shard_bytes": shard_bytes, "languages": languages, "template": template}


def make(work: Work) -> None:
    """Encode every document and write ``.bin``, ``.idx`` and the document index.

    Reading, encoding and writing go on at once: a part is read and another written while threads encode slices of what was
    read. So all cores have work, and memory is that of a few parts.
    Raises ShardError for a source without documents, and for what cannot be a document.
    """
    from assets.shards.encode import COLUMNS, encode_parts, rendering_of
    from assets.shards.indexed import ShardError
    from assets.shards.parts import PartsWriter
    from assets.tokenizer import engines

    source_name, tokenizer_name = split(work.key)
    source = work.catalog.sources[source_name]
    rendering = rendering_of(source, work.catalog.pair_template(tokenizer_name) if source.is_pairs else None)
    corpus = work.input("decontaminated_corpus")
    if not corpus.counts["documents"]:
        raise ShardError(
            f"{corpus.name}/{part_path(0)}, row 0: the source {source_name} has no document left, and a source without tokens "
            "cannot be trained on. See why with `tokka why`, or leave the source out of the recipe."
        )
    tokenizer = (work.lake.local(work.input("tokenizer")) / "tokenizer.json").read_text("utf-8")
    engine = _proved_engine(work, corpus, tokenizer, rendering)
    shard_bytes = work.catalog.tokenizers[tokenizer_name].shard_bytes
    parts = _logged(ahead(read_parts(work.lake, corpus, COLUMNS)), len(corpus.under(DOCUMENTS)), work.log)
    with PartsWriter(work.out, engines.vocab_size(tokenizer), shard_bytes, rendering.names, corpus.name) as writer:
        for names, ids, lengths in encode_parts(parts, engine, tokenizer, rendering):
            writer.append(ids, lengths, names)
    work.out.counts.update(
        documents_in=corpus.counts["documents"],
        documents=writer.documents,
        tokens=writer.tokens,
        files=writer.number + 1,
    )


def _proved_engine(work: Work, corpus: Manifest, tokenizer: str, rendering: "Rendering") -> str:
    """The engine that encodes this source: the fastest that gives Hugging Face's ids on a sample of its documents."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from assets.shards.encode import COLUMNS, texts_of
    from assets.shards.sample import sampled
    from assets.tokenizer import engines

    _, rows = sampled(work.lake, corpus, COLUMNS, PROOF_DOCUMENTS)
    texts = pc.utf8_slice_codeunits(texts_of(rows, rendering), 0, PROOF_CHARACTERS)
    names = rows["id"].take(pa.array([row for row in range(rows.num_rows) for _ in range(rendering.texts)]))
    return engines.choose(tokenizer, texts, names.to_pylist(), work.log)


def _logged(parts: "Iterator[pa.Table]", count: int, log: logging.Logger) -> "Iterator[pa.Table]":
    for number, part in enumerate(parts, start=1):
        log.info("encoding part %d of %d", number, count)
        yield part


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The first documents with their token ranges."""
    import pyarrow.parquet as pq

    with lake.open_file(manifest, part_path(0)) as stream:
        first = next(pq.ParquetFile(stream).iter_batches(10))
    return {"document index": Table(first.to_pylist())}


STAGE = Stage(
    asset="tokenized_shards",
    space="source_tokenizer",
    description="Token ids in Megatron's .bin/.idx, and an index from token ranges to document ids.",
    keys=lambda catalog: [join(source, tokenizer) for source, tokenizer in catalog.shards],
    inputs=inputs,
    config=config,
    # The encoding engine is no part of it: each is proved to give the same ids.
    code=("assets.shards.encode", "assets.shards.indexed", "assets.shards.parts"),
    libraries=("tokenizers",),
    group="tokens",
    kinds=("numpy",),
    make=make,
    gate=gate.GATE,
    show=show,
)
