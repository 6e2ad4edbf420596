"""The stage tokenized_shards: one version per source and tokenizer."""

from typing import Any

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parts, write_table
from assets.recipe.catalog import Catalog, join, split
from assets.shards import gate
from assets.stage import Input, Shown, Stage, Table, Work

SHARD = "shards/part-00000"
DOCUMENT_INDEX = "documents/part-00000.parquet"


def inputs(catalog: Catalog, key: str) -> list[Input]:
    source, tokenizer = split(key)
    return [("decontaminated_corpus", source), ("tokenizer", tokenizer)]


def config(catalog: Catalog, key: str) -> dict[str, Any]:
    """What decides the shards beside text and tokenizer: of pairs, the languages and the template."""
    source, tokenizer = split(key)
    declared = catalog.sources[source]
    if not declared.is_pairs:
        return {"rendering": "document"}
    template = catalog.pair_template(tokenizer).model_dump(mode="json")
    return {"rendering": "pairs", "languages": [declared.pair_language, declared.language], "template": template}


def make(work: Work) -> None:
    """Encode every document and write ``.bin``, ``.idx`` and the document index."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from assets.shards.encode import encode
    from assets.shards.indexed import ShardWriter
    from assets.tokenizer import bpe

    source_name, tokenizer_name = split(work.key)
    source = work.catalog.sources[source_name]
    template = work.catalog.pair_template(tokenizer_name)
    corpus, tokenizer_version = work.input("decontaminated_corpus"), work.input("tokenizer")
    tokenizer = bpe.load(str(work.lake.local(tokenizer_version) / "tokenizer.json"))
    vocab_size = tokenizer.get_vocab_size()
    work.out.stage(f"{SHARD}.bin")
    writer = ShardWriter(work.out.folder / SHARD, vocab_size)
    ids: list[str] = []
    renderings: list[str] = []
    parts = corpus.under("documents")
    columns = ["id", "text", "translation"]
    for number, table in enumerate(read_parts(work.lake, corpus, columns), start=1):
        for document_id, rendering, tokens in encode(tokenizer, table, source, template):
            writer.append(tokens)
            ids.append(document_id)
            renderings.append(rendering)
        work.log.info("encoded part %d of %d", number, len(parts))
    writer.close()
    lengths = pa.array(writer.lengths, pa.int64())
    ends = pc.cumulative_sum(lengths)
    index = pa.table(
        {
            "token_offset": pc.subtract(ends, lengths),
            "length": lengths,
            "document": pa.array(ids, pa.large_string()),
            "rendering": pa.array(renderings, pa.large_string()),
        }
    )
    write_table(work.out, DOCUMENT_INDEX, index)
    work.out.add(f"{SHARD}.bin")
    work.out.add(f"{SHARD}.idx", rows=len(ids))
    work.out.counts.update(documents_in=corpus.counts["documents"], documents=len(ids), tokens=sum(writer.lengths))


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The first documents with their token ranges."""
    index = next(read_parts(lake, manifest))
    return {"document index": Table(index.slice(0, 10).to_pylist())}


STAGE = Stage(
    asset="tokenized_shards",
    space="source_tokenizer",
    description="Token ids in Megatron's .bin/.idx, and an index from token ranges to document ids.",
    keys=lambda catalog: [join(source, tokenizer) for source, tokenizer in catalog.shards],
    inputs=inputs,
    config=config,
    code=("assets.shards.encode", "assets.shards.indexed"),
    libraries=("tokenizers",),
    group="tokens",
    kinds=("numpy",),
    make=make,
    gate=gate.GATE,
    show=show,
)
