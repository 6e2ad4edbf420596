"""Which documents share an LSH band, and which of those have survived so far: a few arrays, whatever the number of documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Buckets:
    """The buckets that more than one document falls into; the documents in them are the candidates, numbered in order.

    ``places`` int64 [candidates], the documents; ``of`` int32 [candidates, bands], the bucket in each band, -1 where it holds
    no other document. Bucket b has its survivors, as candidates in ascending order, in
    ``survivors[starts[b]:starts[b] + counts[b]]`` (int32).
    """

    places: "np.ndarray"
    of: "np.ndarray"
    starts: "np.ndarray"
    counts: "np.ndarray"
    survivors: "np.ndarray"

    @classmethod
    def group(cls, places: "np.ndarray", keys: "Iterable[np.ndarray]", bands: int) -> "Buckets":
        """Group documents (``places`` int64, ascending) by their ``keys``: for each band uint64 [documents]."""
        import numpy as np

        of = np.full((len(places), bands), -1, np.int32)
        sizes: list[np.ndarray] = []
        found = 0
        for band, values in enumerate(keys):
            order = np.argsort(values, kind="stable")
            is_first = np.ones(len(order), bool)
            is_first[1:] = values[order[1:]] != values[order[:-1]]
            size = np.diff(np.flatnonzero(is_first), append=len(order))
            shared = size > 1
            number = np.where(shared, found + np.cumsum(shared) - 1, -1).astype(np.int32)
            of[order, band] = np.repeat(number, size)
            sizes.append(size[shared])
            found += len(sizes[-1])
        candidate = (of >= 0).any(axis=1)
        size = np.concatenate([np.empty(0, np.int64), *sizes])
        starts = np.cumsum(size) - size
        return cls(
            places[candidate],
            of[candidate],
            starts,
            np.zeros(len(size), np.int32),
            np.zeros(int(size.sum()), np.int32),
        )

    def rivals(self, candidate: int) -> "np.ndarray":
        """The survivors that share a band with a candidate: int32, ascending."""
        import numpy as np

        buckets = self._buckets(candidate)
        counts = self.counts[buckets]
        held = [
            self.survivors[start : start + count]
            for start, count in zip(self.starts[buckets].tolist(), counts.tolist(), strict=True)
            if count
        ]
        return np.unique(np.concatenate(held)) if held else np.empty(0, np.int32)

    def survive(self, candidate: int) -> None:
        """A candidate survives: later ones are compared with it."""
        buckets = self._buckets(candidate)
        self.survivors[self.starts[buckets] + self.counts[buckets]] = candidate
        self.counts[buckets] += 1

    def _buckets(self, candidate: int) -> "np.ndarray":
        found: np.ndarray = self.of[candidate]
        return found[found >= 0]
