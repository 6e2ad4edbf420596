"""The files of which the shards of a source consist: ``shards/part-00000.bin`` and ``.idx``, and so on, each a whole Megatron
dataset, and beside each a document index ``documents/part-00000.parquet`` that leads from tokens back to documents.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from assets.lake import InputRef, Manifest, VersionWriter
from assets.lake.documents import part_path
from assets.shards.indexed import ShardError, ShardWriter

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS = "shards"
ROW_GROUP = 10_000


def shard_prefix(number: int) -> str:
    """``shards/part-00000``."""
    return f"{SHARDS}/part-{number:05d}"


def shard_prefixes(manifest: Manifest) -> list[str]:
    """The prefixes ``shards/part-00000`` and so on of a version's .bin and .idx files, in order."""
    return [entry.path.removesuffix(".bin") for entry in manifest.under(SHARDS) if entry.path.endswith(".bin")]


def tokenizer_of(shards: Iterable[Manifest]) -> InputRef:
    """The tokenizer of some shards. Raises ShardError where they were made with different ones."""
    found: dict[str, InputRef] = {}
    for manifest in shards:
        (tokenizer,) = [ref for ref in manifest.inputs if ref.asset == "tokenizer"]
        found.setdefault(manifest.name, tokenizer)
    (first, expected), *others = found.items()
    for name, tokenizer in others:
        if tokenizer.digest != expected.digest:
            raise ShardError(
                f"{name} was made with {tokenizer.name} (digest {tokenizer.digest[:12]}), {first} with {expected.name} (digest "
                f"{expected.digest[:12]}): the ids of one mean other texts than those of the other. Make the shards again."
            )
    return expected


def index_schema() -> "pa.Schema":
    """The columns of a document index.

    Document ``document``, in the ``rendering`` "document" or of a pair "en-fi" and the like, has ``length`` tokens from
    ``token_offset`` on, both counted in tokens of the ``.bin`` of the same number; its text came from ``source_version``
    (``decontaminated_corpus/SOURCE/VERSION``).
    """
    import pyarrow as pa

    strings = ("document", "rendering", "source_version")
    return pa.schema([("token_offset", pa.int64()), ("length", pa.int64())] + [(n, pa.large_string()) for n in strings])


class PartsWriter:
    """Writes documents as shards, in as many files as ``shard_bytes`` asks for, with their document indexes.

    A file ends before the document with which its ``.bin`` would pass ``shard_bytes``; a document that is larger has a file
    of its own. What is finished is added to the version at once.
    """

    def __init__(
        self, out: VersionWriter, vocab_size: int, shard_bytes: int, renderings: tuple[str, ...], source_version: str
    ) -> None:
        self.out = out
        self.vocab_size = vocab_size
        self.shard_bytes = shard_bytes
        self.renderings = renderings
        self.source_version = source_version
        self.number = -1
        self.documents = 0
        self.tokens = 0

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._finish()
        else:
            self._shard.abandon()
            self._index.close()

    def append(self, ids: npt.NDArray[Any], lengths: npt.NDArray[Any], names: "pa.ChunkedArray") -> None:
        """Append the documents that rows became: ids [tokens], lengths [documents] and the rows' ids ``names`` [rows].

        Raises ShardError for what cannot be a document; it names file, offset and document.
        """
        ends = np.cumsum(lengths, dtype=np.int64)
        done = 0
        while done < len(lengths):
            begin = int(ends[done - 1]) if done else 0
            # Up to where the file's bytes, with those of the documents from here on, stay within the bound.
            room = (self.shard_bytes - self._shard.size) // self._shard.dtype.itemsize
            until = int(np.searchsorted(ends, begin + room, side="right"))
            if until <= done:
                if self._shard.documents:
                    self._finish()
                    self._begin()
                    continue
                until = done + 1
            self._append(ids[begin : int(ends[until - 1])], lengths[done:until], names, done)
            done = until

    def _append(self, ids: npt.NDArray[Any], lengths: npt.NDArray[Any], names: "pa.ChunkedArray", first: int) -> None:
        import pyarrow as pa

        offset = self._shard.tokens
        try:
            self._shard.append(ids, lengths)
        except ShardError as error:
            raise ShardError(f"{self.source_version}: {error}") from error
        rows, renderings = np.divmod(np.arange(first, first + len(lengths)), len(self.renderings))
        self._index.add(
            pa.Table.from_arrays(
                [
                    pa.array(offset + np.cumsum(lengths, dtype=np.int64) - lengths),
                    pa.array(lengths, pa.int64()),
                    names.take(pa.array(rows)),
                    pa.array(self.renderings, pa.large_string()).take(pa.array(renderings)),
                    pa.repeat(pa.scalar(self.source_version, pa.large_string()), len(lengths)),
                ],
                schema=index_schema(),
            )
        )
        self.documents += len(lengths)
        self.tokens += int(ids.size)

    def _begin(self) -> None:
        self.number += 1
        self.out.stage(f"{shard_prefix(self.number)}.bin")
        self._shard = ShardWriter(self.out.folder / shard_prefix(self.number), self.vocab_size)
        self._index = TableStream(self.out, part_path(self.number), index_schema())

    def _finish(self) -> None:
        self._shard.close()
        self.out.add(f"{shard_prefix(self.number)}.bin")
        self.out.add(f"{shard_prefix(self.number)}.idx", rows=self._shard.documents)
        self._index.close()
        self.out.add(part_path(self.number), rows=self._shard.documents)


class TableStream:
    """Writes rows to a Parquet file of a version as they come; its bytes do not depend on how many come at a time."""

    def __init__(self, out: VersionWriter, path: str, schema: "pa.Schema") -> None:
        import pyarrow.parquet as pq

        self.writer = pq.ParquetWriter(out.stage(path), schema, compression="zstd")
        self.waiting: list[pa.Table] = []
        self.rows = 0

    def add(self, table: "pa.Table") -> None:
        """Append rows."""
        self.waiting.append(table)
        self.rows += table.num_rows
        if self.rows >= ROW_GROUP:
            self._write(self.rows - self.rows % ROW_GROUP)

    def close(self) -> None:
        """Write what is left."""
        self._write(self.rows)
        self.writer.close()

    def _write(self, rows: int) -> None:
        import pyarrow as pa

        if not rows:
            return
        table = pa.concat_tables(self.waiting).combine_chunks()
        self.writer.write_table(table.slice(0, rows), row_group_size=ROW_GROUP)
        self.waiting = [table.slice(rows)] if rows < table.num_rows else []
        self.rows -= rows
