"""Which parts of a corpus a gate reads whole.

Ids, counts and schemas are judged over all of a corpus, from the ends of its files and its short columns. What is judged by
reading texts again - what cleaning, trimming and cutting left - is judged over all texts of a corpus of up to ``TEXT_BYTES``,
and of a larger one over whole parts of about so many, spaced evenly from a place that the version's digest decides: nobody
chooses which they are, and the next version's are others. ``texts_read`` in a receipt's profile is the share that was read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from assets.lake import InputRef, Lake, Manifest
from assets.lake.documents import DOCUMENTS, PART_ROWS
from assets.lake.manifest import FileEntry

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_BYTES = 64_000_000
SLICE_ROWS = 1_000
"""Documents that are read at a time with their texts: the memory of one slice serves the next."""
READ_BYTES = 1_000_000
"""Bytes of a column that are read from a file at a time."""


@dataclass(frozen=True)
class Part:
    """A file of rows: their number and schema, and the bytes of its columns before they were packed."""

    entry: FileEntry
    rows: int
    size: int
    schema: "pa.Schema"


def parts_of(lake: Lake, manifest: Manifest, folder: str = DOCUMENTS) -> list[Part]:
    """The parts of a version in order, by what stands at the end of each file."""
    import pyarrow.parquet as pq

    found = []
    for entry in manifest.under(folder):
        with lake.open_file(manifest, entry.path) as stream:
            file = pq.ParquetFile(stream)
            about = file.metadata
            size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
            found.append(Part(entry, about.num_rows, size, file.schema_arrow))
    return found


def read_whole(parts: Sequence[Part], manifest: Manifest, budget: int | None = None) -> set[int]:
    """The numbers of the parts whose texts are judged: all within ``budget`` bytes (TEXT_BYTES), else some; at least one."""
    budget = TEXT_BYTES if budget is None else budget
    size = sum(part.size for part in parts)
    if size <= budget:
        return set(range(len(parts)))
    count = max(1, len(parts) * budget // size)
    first = int(manifest.digest[:8], 16)
    return {(first + number * len(parts) // count) % len(parts) for number in range(count)}


def read_table(lake: Lake, version: Manifest | InputRef, path: str, columns: Sequence[str] | None = None) -> "pa.Table":
    """A Parquet file of a version, or some of its columns.

    Of small files this takes half the time of ``pyarrow.parquet.read_table``, which ``read_parquet`` calls; that is code of the
    stages, and another way there would be new versions of all corpora.
    """
    import pyarrow.parquet as pq

    with lake.open_file(version, path) as stream:
        return pq.ParquetFile(stream).read(None if columns is None else list(columns), use_threads=False)


def slices(lake: Lake, manifest: Manifest, path: str, columns: Sequence[str] | None = None) -> "Iterator[pa.Table]":
    """The documents of a part in order, or some of their columns: a few at a time with their texts, all without these."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = SLICE_ROWS if columns is None or "text" in columns else PART_ROWS
    with lake.open_file(manifest, path) as stream:
        file = pq.ParquetFile(stream, buffer_size=READ_BYTES)
        for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
            yield pa.Table.from_batches([batch])


def aligned(
    before: "Iterator[pa.Table]", after: "Iterator[pa.Table]", gone: "pa.Array | pa.ChunkedArray"
) -> "Iterator[tuple[pa.Table, pa.Table]]":
    """Slices of a part, without the documents ``gone``, each beside the next rows of the part that was made from it.

    These are fewer where documents were lost, and stand beside none where there are too many.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    waiting: pa.Table | None = None
    for given in before:
        expected = given.filter(pc.invert(pc.is_in(given["id"], gone)))
        while (waiting is None or waiting.num_rows < expected.num_rows) and (more := next(after, None)) is not None:
            waiting = more if waiting is None else pa.concat_tables([waiting, more])
        found = expected.slice(0, 0) if waiting is None else waiting.slice(0, expected.num_rows)
        waiting = None if waiting is None else waiting.slice(expected.num_rows)
        yield expected, found
    for rest in after if waiting is None else chain([waiting], after):
        yield rest.slice(0, 0), rest


def same_values(one: "pa.ChunkedArray", other: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Where two columns of the same length hold the same value, or both none: bool [rows], without nulls."""
    import pyarrow.compute as pc

    return pc.or_(pc.fill_null(pc.equal(one, other), False), pc.and_(pc.is_null(one), pc.is_null(other)))


def share_read(parts: Sequence[Part], whole: set[int]) -> float:
    """Share of the documents that are in parts that are read whole; 1 where there are none."""
    rows = sum(part.rows for part in parts)
    return sum(parts[number].rows for number in whole) / rows if rows else 1.0
