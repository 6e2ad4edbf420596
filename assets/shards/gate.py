"""The gate of tokenized_shards: tokens recounted, ends of documents, ids in range, text equal, the same bytes when rebuilt."""

from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_least, none
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import split

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

SAMPLE = 64


def profile(version: Profiled) -> list[Row]:
    """One row: counts over the whole shard; text and bytes of a sample of at most 64 documents, evenly spaced."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from assets.lake.documents import evenly, read_parts
    from assets.shards.encode import encode
    from assets.shards.indexed import read_shard
    from assets.tokenizer import bpe

    manifest = version.manifest
    source_name, tokenizer_name = split(manifest.partition)
    source = version.catalog.sources[source_name]
    shard = read_shard(version.lake.local(manifest) / "shards/part-00000")
    index = pa.concat_tables(list(read_parts(version.lake, manifest)))
    corpus = version.input("decontaminated_corpus")
    tokenizer = bpe.load(str(version.lake.local(version.input("tokenizer")) / "tokenizer.json"))
    last = shard.offsets + shard.lengths - 1
    lengths = index["length"].to_numpy()
    documents = pa.concat_tables(list(read_parts(version.lake, corpus, ["id", "text", "translation"])))
    renderings = 2 if source.is_pairs else 1
    row: Row = {
        "documents": len(shard.lengths),
        "tokens": int(shard.lengths.sum(dtype=np.int64)),
        "tokens_miscounted": abs(int(shard.lengths.sum(dtype=np.int64)) - int(manifest.counts["tokens"])),
        "documents_miscounted": abs(len(shard.lengths) - renderings * documents.num_rows),
        "index_differs": int(
            len(lengths) != len(shard.lengths)
            or not np.array_equal(lengths, shard.lengths)
            or not np.array_equal(index["token_offset"].to_numpy(), shard.offsets)
        ),
        "documents_without_end": int((shard.tokens[last] != bpe.END_OF_DOCUMENT).sum()),
        "ends_inside_documents": int((shard.tokens == bpe.END_OF_DOCUMENT).sum()) - len(shard.lengths),
        "ids_out_of_range": int((shard.tokens >= tokenizer.get_vocab_size()).sum() + (shard.tokens < 0).sum()),
    }
    sample = evenly(documents, SAMPLE)
    template = version.catalog.pair_template(tokenizer_name)
    rebuilt = {(i, rendering): ids for i, rendering, ids in encode(tokenizer, sample, source, template)}
    sampled = index.filter(pc.is_in(index["document"], sample["id"]))
    texts = {r["id"]: r for r in sample.to_pylist()}
    text_differs = bytes_differ = 0
    for entry in sampled.to_pylist():
        ids = shard.tokens[entry["token_offset"] : entry["token_offset"] + entry["length"]]
        decoded = tokenizer.decode(ids.tolist(), skip_special_tokens=True)
        text_differs += not _holds_text(decoded, texts[entry["document"]], source.is_pairs)
        expected = np.asarray(rebuilt[entry["document"], entry["rendering"]], dtype=ids.dtype)
        bytes_differ += expected.tobytes() != ids.tobytes()
    row |= {
        "sampled": sampled.num_rows,
        "sample_incomplete": abs(sampled.num_rows - renderings * sample.num_rows),
        "text_differs": text_differs,
        "rebuilt_bytes_differ": bytes_differ,
    }
    return [row]


def _holds_text(decoded: str, document: dict[str, Any], is_pair: bool) -> bool:
    if is_pair:
        return document["text"] in decoded and document["translation"] in decoded
    return bool(decoded == document["text"])


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        at_least("documents", 1, "the shard is not empty"),
        none("tokens_miscounted", "the tokens are as many as the manifest counts"),
        none("documents_miscounted", "every document of the corpus is there, once per rendering"),
        none("index_differs", "the document index gives the token ranges of the .idx"),
        none("documents_without_end", "every document ends with </s>"),
        none("ends_inside_documents", "</s> stands at ends of documents only"),
        none("ids_out_of_range", "every id is in the vocabulary"),
        none("sample_incomplete", "every sampled document is in the document index"),
        none("text_differs", "decoding gives back the text of sampled documents"),
        none("rebuilt_bytes_differ", "encoding sampled documents again gives the same bytes"),
    ]


GATE = Gate(
    code=("assets.shards.gate",),
    profile=profile,
    expectations=expectations,
    numbers=("documents", "tokens"),
)
