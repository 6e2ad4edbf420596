"""The gate of tokenized_shards: tokens recounted, ends of documents, ids in range, text equal, the same bytes when rebuilt."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_least, empty, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import read_table
from assets.lake.documents import DOCUMENTS
from assets.recipe.catalog import split

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

    from assets.lake import Lake, Manifest
    from assets.shards.encode import Rendering
    from assets.shards.indexed import Shard

SAMPLE = 64
WINDOW = 2**22
"""Tokens that are looked at at a time."""
INDEX_ROWS = 65_536
"""Rows of document indexes that are read at a time."""


@dataclass
class Counted:
    """Faults of all files of a version."""

    documents: int = 0
    tokens: int = 0
    index_differs: int = 0
    documents_without_end: int = 0
    ends: int = 0
    ids_out_of_range: int = 0
    first_id_out_of_range: str = ""
    """File, offset and id."""


def profile(version: Profiled) -> list[Row]:
    """One row: counts over all files; text and bytes of a sample of about 64 documents, evenly spaced.

    Files are looked at a window at a time. The sample is rebuilt with Hugging Face's tokenizers, whatever engine wrote it.
    """
    from assets.shards.encode import COLUMNS, rendering_of
    from assets.shards.indexed import read_shard
    from assets.shards.parts import shard_prefixes
    from assets.shards.sample import sampled
    from assets.tokenizer import engines

    manifest = version.manifest
    source_name, tokenizer_name = split(manifest.partition)
    source = version.catalog.sources[source_name]
    rendering = rendering_of(source, version.catalog.pair_template(tokenizer_name) if source.is_pairs else None)
    corpus = version.input("decontaminated_corpus")
    tokenizer = (version.lake.local(version.input("tokenizer")) / "tokenizer.json").read_text("utf-8")
    folder, prefixes = version.lake.local(manifest), shard_prefixes(manifest)
    shards = [read_shard(folder / prefix) for prefix in prefixes]
    counted = Counted(index_differs=abs(len(shards) - len(manifest.under(DOCUMENTS))))
    rows = Expected(version.lake, corpus, rendering)
    with ThreadPoolExecutor(1) as beside:
        sampling = beside.submit(sampled, version.lake, corpus, COLUMNS, SAMPLE)
        for prefix, shard, entry in zip(prefixes, shards, manifest.under(DOCUMENTS), strict=False):
            _count(folder / f"{prefix}.bin", shard, engines.vocab_size(tokenizer), counted)
            counted.index_differs += _index_faults(version.lake, manifest, entry.path, shard, rows, corpus.name)
    expected = len(rendering.names) * int(corpus.counts["documents"])
    counted.index_differs += abs(rows.taken - expected)
    row: Row = {
        "documents": counted.documents,
        "tokens": counted.tokens,
        "files": len(shards),
        "tokens_miscounted": abs(counted.tokens - int(manifest.counts["tokens"])),
        "documents_miscounted": abs(counted.documents - expected),
        "index_differs": counted.index_differs,
        "documents_without_end": counted.documents_without_end,
        "ends_inside_documents": counted.ends - counted.documents + counted.documents_without_end,
        "ids_out_of_range": counted.ids_out_of_range,
        "first_id_out_of_range": counted.first_id_out_of_range,
    }
    return [row | _rebuilt(*sampling.result(), tokenizer, rendering, shards)]


def _count(data: Path, shard: "Shard", vocab_size: int, counted: Counted) -> None:
    """Count over a ``.bin``, which is read and not mapped: mapped pages would stay in memory."""
    import numpy as np

    from assets.tokenizer.bpe import END_OF_DOCUMENT

    last = shard.offsets + shard.lengths - 1
    tokens, dtype = len(shard.tokens), shard.tokens.dtype
    counted.documents += len(last)
    counted.tokens += tokens
    for start in range(0, tokens, WINDOW):
        window = np.fromfile(data, dtype, WINDOW, offset=start * dtype.itemsize)
        here = slice(*np.searchsorted(last, [start, start + len(window)]))
        counted.documents_without_end += int(np.count_nonzero(window[last[here] - start] != END_OF_DOCUMENT))
        counted.ends += int(np.count_nonzero(window == END_OF_DOCUMENT))
        if window.max() >= vocab_size or window.min() < 0:
            wrong = np.flatnonzero((window >= vocab_size) | (window < 0))
            at = (start + int(wrong[0])) * dtype.itemsize
            counted.ids_out_of_range += len(wrong)
            counted.first_id_out_of_range = counted.first_id_out_of_range or (
                f"{data.name}, offset {at}: {window[wrong[0]]} of {vocab_size} ids"
            )


class Expected:
    """The rows that the document indexes shall have, in order: the corpus' documents, each in all its renderings."""

    def __init__(self, lake: "Lake", corpus: "Manifest", rendering: "Rendering") -> None:
        self.renderings = rendering.names
        self.parts = (read_table(lake, corpus, entry.path, ["id"]) for entry in corpus.under(DOCUMENTS))
        self.waiting: pa.ChunkedArray | None = None
        self.taken = 0

    def take(self, rows: int) -> "tuple[pa.ChunkedArray, pa.Array]":
        """The documents and renderings of the next rows; fewer at the end of the corpus."""
        import numpy as np
        import pyarrow as pa

        chunks: list[pa.Array] = [] if self.waiting is None else list(self.waiting.chunks)
        while sum(map(len, chunks)) < rows and (part := next(self.parts, None)) is not None:
            each = np.repeat(np.arange(part.num_rows), len(self.renderings))
            chunks += part["id"].take(pa.array(each)).chunks
        known = pa.chunked_array(chunks, pa.large_string())
        names, self.waiting = known.slice(0, rows), known.slice(rows)
        turns = np.arange(self.taken, self.taken + len(names)) % len(self.renderings)
        self.taken += len(names)
        return names, pa.array(self.renderings, pa.large_string()).take(pa.array(turns))


def _index_faults(
    lake: "Lake", manifest: "Manifest", path: str, shard: "Shard", expected: Expected, source_version: str
) -> int:
    """Rows of a document index that do not fit the ``.idx``, the corpus or its version."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    faults = begin = 0
    with lake.open_file(manifest, path) as stream:
        for rows in pq.ParquetFile(stream).iter_batches(INDEX_ROWS):
            names, renderings = expected.take(rows.num_rows)
            lengths, offsets = (numbers[begin : begin + rows.num_rows] for numbers in (shard.lengths, shard.offsets))
            known = min(len(lengths), len(names))
            fits = (rows["length"].to_numpy()[:known] == lengths[:known]) & (
                rows["token_offset"].to_numpy()[:known] == offsets[:known]
            )
            for column, wanted in (("document", names), ("rendering", renderings), ("source_version", source_version)):
                due = wanted if isinstance(wanted, str) else wanted.slice(0, known)
                same = pa.chunked_array([rows[column].slice(0, known)])
                fits &= pc.equal(same, due).to_numpy()
            faults += rows.num_rows - int(np.count_nonzero(fits))
            begin += rows.num_rows
    return faults + max(len(shard.lengths) - begin, 0)


def _rebuilt(
    rows: list[int], sample: "pa.Table", tokenizer: str, rendering: "Rendering", shards: "list[Shard]"
) -> dict[str, int]:
    """Sampled documents, by their ``rows`` in the corpus, against the shards: whether they are there, decode to their text, and
    encode to their bytes.
    """
    import numpy as np
    from tokenizers import Tokenizer

    from assets.shards.encode import encode
    from assets.tokenizer import engines

    ids, lengths = encode(sample, engines.load(engines.HUGGING_FACE, tokenizer), rendering)
    rebuilt = np.split(ids, np.cumsum(lengths)[:-1])
    begins = np.cumsum([0, *(len(shard.lengths) for shard in shards)])
    decoder = Tokenizer.from_str(tokenizer)
    renderings = len(rendering.names)
    missing = text_differs = bytes_differ = 0
    for place, document in enumerate(sample.to_pylist()):
        for one in range(renderings):
            number = rows[place] * renderings + one
            if number >= begins[-1]:
                missing += 1
                continue
            file = int(np.searchsorted(begins, number, side="right")) - 1
            found = shards[file].document(number - int(begins[file]))
            expected = rebuilt[place * renderings + one].astype(found.dtype)
            bytes_differ += not np.array_equal(expected, found)
            text_differs += not _holds_text(decoder.decode(found.tolist(), skip_special_tokens=True), document)
    return {
        "sampled": len(rows) * renderings,
        "sample_incomplete": missing,
        "text_differs": text_differs,
        "rebuilt_bytes_differ": bytes_differ,
    }


def _holds_text(decoded: str, document: dict[str, Any]) -> bool:
    if document["translation"] is not None:
        return document["text"] in decoded and document["translation"] in decoded
    return bool(decoded == document["text"])


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        at_least("documents", 1, "the shards are not empty"),
        none("tokens_miscounted", "the tokens are as many as the manifest counts"),
        none("documents_miscounted", "every document of the corpus is there, once per rendering"),
        none(
            "index_differs",
            "the document indexes give the token ranges of the .idx, and the corpus' documents in order",
        ),
        none("documents_without_end", "every document ends with </s>"),
        none("ends_inside_documents", "</s> stands at ends of documents only"),
        none("ids_out_of_range", "every id is in the vocabulary"),
        empty("first_id_out_of_range", "where the first one lies that is not"),
        none("sample_incomplete", "every sampled document is in the shards"),
        none("text_differs", "decoding gives back the text of sampled documents"),
        none(
            "rebuilt_bytes_differ",
            "encoding sampled documents again with Hugging Face's tokenizers gives the same bytes",
        ),
    ]


GATE = Gate(
    code=("assets.shards.gate", "assets.shards.sample", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    numbers=("documents", "tokens"),
)
