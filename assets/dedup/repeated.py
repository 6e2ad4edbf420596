"""Which n-grams of a source stood in an earlier line, for sources whose n-grams do not fit into memory.

Each n-gram is written to disk with the number of its line, in one of 256 files by the upper bits of its hash. Then each
file by itself fits into memory, and tells which of its n-grams occur in an earlier line. What stays in memory is one
count for each line.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from assets import engine
from assets.dedup.lines import hashed, hashed_schema
from assets.dedup.text import pieces
from assets.recipe.data import Lines

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BUCKET_BITS = 8
MOST_LINES = 2**32 - 1


@dataclass(frozen=True)
class Repeated:
    """``seen``, uint32 [lines]: how many n-grams of a line an earlier line has. The lines of document d begin at
    ``begins[d]``, and it has ``counts[d]`` of them; int64 [documents].
    """

    seen: "np.ndarray"
    begins: "np.ndarray"
    counts: "np.ndarray"

    def of(self, first: int, last: int) -> "pa.LargeListArray":
        """``seen`` of the documents ``first`` to ``last`` (not with it)."""
        import numpy as np
        import pyarrow as pa

        counts = self.counts[first:last]
        offsets = np.append(0, np.cumsum(counts))
        lines = np.arange(offsets[-1]) + np.repeat(self.begins[first:last] - offsets[:-1], counts)
        return pa.LargeListArray.from_arrays(offsets, pa.array(self.seen[lines]))


def count_repeated(parts: "Iterable[pa.Table]", config: Lines, folder: Path) -> Repeated:
    """Count for each line of the documents (``text``) the n-grams that an earlier line has.

    ``folder`` is made and removed; its files are about twice as large as the texts. Raises ValueError for a source of more
    than 2^32 lines.
    """
    import numpy as np

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    documents = [np.empty(0, np.int64)]
    lines = 0
    for piece in (piece for part in parts for piece in pieces(part.select(["text"]))):
        rows = engine.map_rows(piece, partial(hashed, config=config), hashed_schema(), threads=True)
        counts = rows["counts"].combine_chunks()
        documents.append(np.asarray(counts.value_lengths()))
        lengths = np.asarray(counts.flatten())
        if lines + len(lengths) > MOST_LINES:
            raise ValueError(
                f"The source has more than {MOST_LINES:,} lines, the most that `lines` can count. Split it."
            )
        numbers = lines + np.arange(len(lengths))
        if config.newest_first:
            numbers += np.repeat(_mirrored(lines, documents[-1]), documents[-1])
        lines += len(lengths)
        _write(folder, np.asarray(rows["ngrams"].combine_chunks().flatten()), np.repeat(numbers, lengths))
    counts = np.concatenate(documents)
    ends = np.cumsum(counts)
    if config.newest_first:
        repeated = Repeated(_count(folder, lines, MOST_LINES - lines), lines - ends, counts)
    else:
        repeated = Repeated(_count(folder, lines, 0), ends - counts, counts)
    shutil.rmtree(folder)
    return repeated


def _mirrored(lines: int, counts: "np.ndarray") -> "np.ndarray":
    """What to add to the numbers of the lines of each document, so that documents are numbered from the last to the first
    (backwards from ``MOST_LINES``: how many there are is not known yet) and their lines from the first to the last: int64
    [documents]. ``lines`` is the number of the first line, ``counts`` the lines of each document.
    """
    import numpy as np

    ends = lines + np.cumsum(counts)
    return MOST_LINES - ends - (ends - counts)


def _record() -> "np.dtype":
    import numpy as np

    return np.dtype([("hash", "<u8"), ("line", "<u4")])


def _write(folder: Path, hashes: "np.ndarray", lines: "np.ndarray") -> None:
    """Add n-grams to the files of their buckets."""
    import numpy as np

    bucket = (hashes >> np.uint64(64 - BUCKET_BITS)).astype(np.uint8)
    order = np.argsort(bucket, kind="stable")
    records = np.empty(len(hashes), _record())
    records["hash"], records["line"] = hashes[order], lines[order]
    ends = np.cumsum(np.bincount(bucket, minlength=2**BUCKET_BITS)).tolist()
    for number, (begin, end) in enumerate(pairwise([0, *ends])):
        if end > begin:
            with (folder / f"{number:03d}").open("ab") as file:
                records[begin:end].tofile(file)


def _count(folder: Path, lines: int, first: int) -> "np.ndarray":
    """For each line, of which the first has the number ``first``, its n-grams that a line of a lower number has: uint32."""
    import numpy as np

    seen = np.zeros(lines, np.uint32)
    for path in sorted(folder.iterdir()):
        records = np.fromfile(path, _record())
        path.unlink()
        hashes = records["hash"].copy()
        order = np.argsort(hashes)
        hashes, numbers = hashes[order], records["line"][order]
        is_first = np.append(True, hashes[1:] != hashes[:-1])
        begins = np.flatnonzero(is_first)
        earliest = np.repeat(np.minimum.reduceat(numbers, begins), np.diff(begins, append=len(numbers)))
        repeated = numbers[numbers > earliest].astype(np.int64) - first
        np.add.at(seen, repeated, 1)
    return seen
