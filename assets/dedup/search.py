"""Finding the duplicates of a pool: exact ones by digest, near ones by MinHash LSH and verification.

Two passes over the documents in priority order, part by part and on all cores. The first signs them; of it stay 16 bytes a
document and 8 bytes a band. The second takes only the documents that share a band with another one, and decides each of them
against the survivors so far.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from assets import engine
from assets.dedup.buckets import Buckets
from assets.dedup.signatures import shingled, shingled_schema, sign, signature_schema
from assets.dedup.text import jaccard, pieces
from assets.recipe.data import Dedup

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

COLUMNS = ["text", "translation"]
EDITED = 0.65
"""Similarity from which on texts are compared word by word: about that of a text to itself with 5 % of its words changed."""


@dataclass(frozen=True)
class Duplicate:
    """A document to remove, and the surviving one that it repeats; both as places in priority order."""

    document: int
    survivor: int
    kind: Literal["exact", "near", "edited"]
    similarity: float


def find_duplicates(parts: "Callable[[], Iterable[pa.Table]]", config: Dedup) -> list[Duplicate]:
    """The documents to remove, in priority order, as a list; for what fits into memory, see ``duplicate_table``."""
    return [Duplicate(**row) for row in duplicate_table(parts, config).to_pylist()]


def duplicate_table(
    parts: "Callable[[], Iterable[pa.Table]]", config: Dedup, scratch: Path | None = None
) -> "pa.Table":
    """The documents to remove, in priority order, with the columns of ``Duplicate``.

    ``parts()`` gives the documents in priority order, as tables with the columns ``COLUMNS`` among others; it is called twice.
    Walking in that order, a document goes when it is a duplicate of one that stays, so that each removed document is
    itself similar to its survivor; a chain of similar documents does not collapse into one. ``scratch`` is a folder for
    a temporary file of at most three times the size of the texts (default: the system's).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    first, buckets = _sign(parts(), config)
    near, similarities = np.full(len(first), -1), np.zeros(len(first))
    edited = np.zeros(len(first), bool)
    with tempfile.TemporaryFile(dir=scratch, buffering=0) as file:
        shelf = Shelf(file, len(buckets.places), config.bands * config.rows)
        for place, found in _walk(parts(), buckets, config, shelf):
            near[place], similarities[place], edited[place] = found.survivor, found.similarity, found.edited
    # A copy of a document that goes itself is as similar to that one's survivor as the document is.
    is_near = near[first] >= 0
    survivors = np.where(is_near, near[first], first)
    removed = np.flatnonzero(survivors != np.arange(len(first)))
    return pa.table(
        {
            "document": removed,
            "survivor": survivors[removed],
            "kind": pc.case_when(
                pc.make_struct(pa.array(edited[first[removed]]), pa.array(is_near[removed])), "edited", "near", "exact"
            ).cast(pa.large_string()),
            "similarity": np.where(is_near[removed], similarities[first[removed]], 1.0),
        }
    )


def _sign(parts: "Iterable[pa.Table]", config: Dedup) -> "tuple[np.ndarray, Buckets]":
    """The first pass: the first document with the same digest as each (int64 [documents]), and the buckets of those."""
    import numpy as np

    digests: list[np.ndarray] = []
    places: list[np.ndarray] = []
    keys: list[list[np.ndarray]] = [[] for _ in range(config.bands)]
    start = 0
    for part in parts:
        signed = engine.map_rows(part.select(COLUMNS), partial(sign, config=config), signature_schema(), threads=True)
        digests.append(np.frombuffer(b"".join(signed["digest"].to_pylist()), np.uint64).reshape(-1, 2))
        column = signed["keys"].combine_chunks()
        places.append(start + np.flatnonzero(np.asarray(column.value_lengths())))
        found = np.asarray(column.flatten()).reshape(-1, config.bands)
        for band, of_band in enumerate(keys):
            of_band.append(found[:, band].copy())
        start += part.num_rows
    first = _first(np.concatenate([np.empty((0, 2), np.uint64), *digests]))
    near = np.concatenate([np.empty(0, np.int64), *places])
    # A copy is compared by its original.
    original = first[near] == near

    def bands() -> "Iterator[np.ndarray]":
        while keys:
            # The keys of a band are let go as soon as they are grouped.
            yield np.concatenate([np.empty(0, np.uint64), *keys.pop(0)])[original]

    return first, Buckets.group(near[original], bands(), config.bands)


def _first(digests: "np.ndarray") -> "np.ndarray":
    """For each of some digests (uint64 [documents, 2]) the place of the first one that is equal: int64 [documents]."""
    import numpy as np

    order = np.lexsort((digests[:, 1], digests[:, 0]))
    in_order = digests[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    first = np.empty(len(order), np.int64)
    # The sort is stable: the first of several equal ones is the one that comes first.
    first[order] = np.repeat(order[begins], np.diff(np.flatnonzero(begins), append=len(order)))
    return first


@dataclass(frozen=True)
class Candidate:
    """What a document is compared by: shingles (uint64, ascending), sketch (uint8), words in their order (uint64)."""

    shingles: "np.ndarray"
    sketch: "np.ndarray"
    words: "np.ndarray"


@dataclass(frozen=True)
class Similar:
    """The survivor that a document is similar to: by its shingles, or where ``edited`` by its words in their order."""

    survivor: int
    similarity: float
    edited: bool


class Shelf:
    """What the survivors are compared by. Their shingles and words lie in a file: memory does not grow with them, and the
    system's cache holds those that are asked for often.

    ``sizes`` int64 [candidates], in shingles; ``lengths``, in words; ``sketches`` uint8 [candidates, hashes], the lowest bytes of
    the MinHash values.
    """

    def __init__(self, file: IO[bytes], candidates: int, hashes: int) -> None:
        import numpy as np

        self.file = file
        self.begins = np.zeros(candidates, np.int64)
        self.sizes = np.zeros(candidates, np.int64)
        self.lengths = np.zeros(candidates, np.int64)
        self.sketches = np.empty((candidates, hashes), np.uint8)
        self.end = 0

    def put(self, place: int, survivor: Candidate) -> None:
        """Add a survivor."""
        for values in (survivor.shingles, survivor.words):
            self.file.write(values.tobytes())
        self.begins[place], self.sizes[place] = self.end, len(survivor.shingles)
        self.lengths[place] = len(survivor.words)
        self.sketches[place] = survivor.sketch
        self.end += len(survivor.shingles) + len(survivor.words)

    def shingles(self, place: int) -> "np.ndarray":
        """The shingles of a survivor: uint64, ascending."""
        return self._read(int(self.begins[place]), int(self.sizes[place]))

    def words(self, place: int) -> "np.ndarray":
        """The words of a survivor in their order: uint64."""
        return self._read(int(self.begins[place] + self.sizes[place]), int(self.lengths[place]))

    def _read(self, begin: int, count: int) -> "np.ndarray":
        import numpy as np

        return np.frombuffer(os.pread(self.file.fileno(), 8 * count, 8 * begin), np.uint64)


def _walk(parts: "Iterable[pa.Table]", buckets: Buckets, config: Dedup, shelf: Shelf) -> Iterator[tuple[int, Similar]]:
    """The second pass: the places of near-duplicates, each with the first similar survivor."""
    import numpy as np
    import pyarrow as pa

    start = number = 0
    for part in parts:
        first, last = np.searchsorted(buckets.places, (start, start + part.num_rows)).tolist()
        texts = part.select(["text"]).take(pa.array(buckets.places[first:last] - start))
        start += part.num_rows
        for candidate in _candidates(texts, config):
            similar = _first_similar(candidate, buckets.rivals(number), shelf, config)
            if similar is None:
                shelf.put(number, candidate)
                buckets.survive(number)
            else:
                survivor = int(buckets.places[similar.survivor])
                yield int(buckets.places[number]), replace(similar, survivor=survivor)
            number += 1


def _candidates(texts: "pa.Table", config: Dedup) -> Iterator[Candidate]:
    """What each text is compared by."""
    import numpy as np

    for piece in pieces(texts):
        found = engine.map_rows(piece, partial(shingled, config=config), shingled_schema(), threads=True)
        sketches = np.frombuffer(b"".join(found["sketch"].to_pylist()), np.uint8).reshape(found.num_rows, -1)
        yield from map(Candidate, _arrays(found["shingles"]), sketches, _arrays(found["words"]))


def _arrays(lists: "pa.ChunkedArray") -> "Iterator[np.ndarray]":
    import numpy as np

    column = lists.combine_chunks()
    values, ends = np.asarray(column.flatten()), np.cumsum(np.asarray(column.value_lengths())).tolist()
    return (values[begin:end] for begin, end in pairwise([0, *ends]))


def _first_similar(candidate: Candidate, rivals: "np.ndarray", shelf: Shelf, config: Dedup) -> Similar | None:
    """The first of some survivors that is similar enough."""
    import numpy as np

    if not len(rivals):
        return None
    least = config.threshold if config.same_words is None else min(config.threshold, EDITED)
    own = candidate.shingles
    sizes = shelf.sizes[rivals]
    # Sets of such different sizes have too small a part in common.
    possible = np.minimum(sizes, len(own)) / np.maximum(sizes, len(own)) >= least
    # Of two similar sets, fewer hashes than that agree less than once in a hundred thousand times (five deviations).
    agreeing = (shelf.sketches[rivals] == candidate.sketch).mean(axis=1)
    possible &= agreeing >= least - 5 * math.sqrt(least * (1 - least) / len(candidate.sketch))
    for rival in rivals[possible].tolist():
        similarity = jaccard(own, shelf.shingles(rival))
        if similarity >= config.threshold:
            return Similar(rival, similarity, edited=False)
        if config.same_words is not None and similarity >= EDITED:
            same = same_words(candidate.words, shelf.words(rival), config.same_words)
            if same >= config.same_words:
                return Similar(rival, same, edited=True)
    return None


def same_words(a: "np.ndarray", b: "np.ndarray", least: float) -> float:
    """The share of the words of two texts that stand in the same order in both, 0 to 1; 0 where it is below ``least``."""
    from rapidfuzz.distance import Indel

    return float(Indel.normalized_similarity(a.tolist(), b.tolist(), score_cutoff=least))
