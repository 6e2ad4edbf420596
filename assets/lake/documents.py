"""Documents in the lake: their schema, and how they are read and written as Parquet parts.

A version holds its documents in ``documents/part-00000.parquet`` and so on, in the order of the source's files by name.
Parts are the unit of work and of memory: each is made from one part upstream, so the bytes do not depend on how many
workers there are, and a stage holds one at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from assets.lake.manifest import Manifest
from assets.lake.store import Lake
from assets.lake.writer import VersionWriter

if TYPE_CHECKING:
    import pyarrow as pa

DOCUMENTS = "documents"
PART_ROWS = 50_000
PART_CHARACTERS = 50_000_000
"""A part ends at so many documents, or with the document that brings its text to so many characters."""


def document_schema() -> "pa.Schema":
    """The columns of a document; all strings.

    ``text`` is the document; of a pair it is the side in ``pair_language``, and ``translation`` the side in ``language``
    (null for documents that are no pairs). ``meta`` is a JSON object.
    """
    import pyarrow as pa

    required = ["id", "text", "source", "language", "license"]
    return pa.schema(
        [pa.field(name, pa.large_string(), nullable=False) for name in required]
        + [pa.field(name, pa.large_string()) for name in ("translation", "url", "meta")]
    )


def write_table(out: VersionWriter, path: str, table: "pa.Table") -> None:
    """Write one Parquet file of a version: zstd, row groups of 10,000 rows, nothing in it that differs between runs."""
    import pyarrow.parquet as pq

    pq.write_table(table, out.stage(path), compression="zstd", row_group_size=10_000)
    out.add(path, rows=table.num_rows)


def part_path(number: int, folder: str = DOCUMENTS) -> str:
    """Path of a part in its version: ``documents/part-00000.parquet``."""
    return f"{folder}/part-{number:05d}.parquet"


def write_parts(out: VersionWriter, tables: "Iterable[pa.Table]", folder: str = DOCUMENTS) -> int:
    """Write each table as one part; return the number of rows. No table at all is one empty part."""
    rows = 0
    number = -1
    for number, table in enumerate(tables):
        write_table(out, part_path(number, folder), table)
        rows += table.num_rows
    if number < 0:
        write_table(out, part_path(0, folder), document_schema().empty_table())
    return rows


def read_parts(
    lake: Lake, manifest: Manifest, columns: Sequence[str] | None = None, folder: str = DOCUMENTS
) -> "Iterator[pa.Table]":
    """The parts of a version in order, one table each."""
    for entry in manifest.under(folder):
        yield read_parquet(lake, manifest, entry.path, columns)


def read_all(lake: Lake, manifest: Manifest, columns: Sequence[str], folder: str = DOCUMENTS) -> "pa.Table":
    """Some columns of all documents of a version, in one table."""
    import pyarrow as pa

    return pa.concat_tables(list(read_parts(lake, manifest, columns, folder)))


def characters(table: "pa.Table") -> int:
    """Characters (code points) of the texts and translations of documents."""
    import pyarrow.compute as pc

    return sum(int(pc.sum(pc.utf8_length(table[side])).as_py() or 0) for side in ("text", "translation"))


def count_distinct(columns: "Iterable[pa.ChunkedArray]") -> int:
    """How many different ids some parts hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chunks = [chunk for column in columns for chunk in column.chunks]
    return int(pc.count_distinct(pa.chunked_array(chunks, pa.large_string())).as_py())


def evenly(table: "pa.Table", count: int) -> "pa.Table":
    """About ``count`` rows of a table, evenly spaced; all of them where there are fewer."""
    return table.take(_row_numbers(table.num_rows, count))


def _row_numbers(rows: int, count: int) -> "pa.Array":
    import pyarrow as pa

    return pa.array(range(0, rows, max(1, rows // count)), pa.int64())


def read_parquet(lake: Lake, manifest: Manifest, path: str, columns: Sequence[str] | None = None) -> "pa.Table":
    """One Parquet file of a version, or some of its columns."""
    import pyarrow.parquet as pq

    with lake.open_file(manifest, path) as stream:
        return pq.read_table(stream, columns=list(columns) if columns else None)
