"""Which parts of a corpus a gate reads whole.

Ids, counts and schemas are judged over all of a corpus, from the ends of its files and its short columns. What is judged by
reading texts again - what cleaning, trimming and cutting left - is judged over all texts of a corpus of up to ``TEXT_BYTES``,
and of a larger one over whole parts of about so many, spaced evenly from a place that the version's digest decides: nobody
chooses which they are, and the next version's are others. ``texts_read`` in a receipt's profile is the share that was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.lake import Lake, Manifest
from assets.lake.documents import DOCUMENTS, read_parquet
from assets.lake.manifest import FileEntry

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_BYTES = 64_000_000


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


def read_part(lake: Lake, manifest: Manifest, part: Part, columns: Sequence[str] | None = None) -> "pa.Table":
    """A part, or some of its columns."""
    return read_parquet(lake, manifest, part.entry.path, columns)


def share_read(parts: Sequence[Part], whole: set[int]) -> float:
    """Share of the documents that are in parts that are read whole; 1 where there are none."""
    rows = sum(part.rows for part in parts)
    return sum(parts[number].rows for number in whole) / rows if rows else 1.0
