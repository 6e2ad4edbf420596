"""A few documents of a corpus, evenly spaced, without reading all of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING

from assets.gates.parts import READ_BYTES, SLICE_ROWS
from assets.lake import Lake, Manifest
from assets.lake.documents import DOCUMENTS

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLED_PARTS = 8
READERS = 2
"""Parts that are read at a time."""


def sampled(lake: Lake, corpus: Manifest, columns: Sequence[str], count: int) -> "tuple[list[int], pa.Table]":
    """About ``count`` documents, from at most ``SAMPLED_PARTS`` parts: their row numbers in the whole corpus, and the rows.

    Of a part only the row groups that hold them are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = corpus.under(DOCUMENTS)
    begins = [0, *accumulate(int(entry.rows or 0) for entry in parts)]
    filled = [number for number, entry in enumerate(parts) if entry.rows]
    chosen = filled[:: max(1, -(-len(filled) // SAMPLED_PARTS))]

    def read(part: int) -> "tuple[list[int], pa.Table]":
        rows = begins[part + 1] - begins[part]
        wanted = list(range(0, rows, max(1, rows * len(chosen) // count)))
        with lake.open_file(corpus, parts[part].path) as stream:
            return [begins[part] + row for row in wanted], _rows(
                pq.ParquetFile(stream, buffer_size=READ_BYTES), wanted, columns
            )

    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(read, chosen))
    return [number for numbers, _ in found for number in numbers], pa.concat_tables([rows for _, rows in found])


def _rows(file: "pa.parquet.ParquetFile", wanted: list[int], columns: Sequence[str]) -> "pa.Table":
    """The ``wanted`` rows, ascending, of a file; read a few at a time, so that the memory of some serves the next."""
    import pyarrow as pa

    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    begins = [0, *accumulate(sizes)]
    by_group: dict[int, list[int]] = {}
    for row in wanted:
        group = bisect_right(begins, row) - 1
        by_group.setdefault(group, []).append(row - begins[group])
    taken = []
    for group, rows in by_group.items():
        begin = 0
        for batch in file.iter_batches(SLICE_ROWS, row_groups=[group], columns=list(columns)):
            here = rows[bisect_left(rows, begin) : bisect_left(rows, begin + batch.num_rows)]
            taken.append(batch.take(pa.array([row - begin for row in here], pa.int64())))
            begin += batch.num_rows
    return pa.Table.from_batches(taken)
