"""An index of the word n-grams of benchmarks, and finding them in documents.

Words become ids of the benchmarks' vocabulary (0 is any other word), n-grams 64-bit polynomials of the ids (Karp and
Rabin 1987), looked up by binary search. Every hit is compared word by word, so that no collision of hashes counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from assets.decontamination.words import composed, words
from assets.recipe.data import Decontamination

if TYPE_CHECKING:
    import numpy as np

# Odd, so that multiplying by it loses nothing modulo 2^64 (the golden ratio in 64 bits, Knuth, TAOCP 3, section 6.4).
MULTIPLIER = 0x9E3779B97F4A7C15


class Item(NamedTuple):
    """An item of a benchmark."""

    benchmark: str
    item: str


class Hit(NamedTuple):
    """The ``size`` words from word ``place`` on are n-gram number ``gram``, of ``items`` (as in ``Index.items``)."""

    place: int
    size: int
    gram: int
    items: "np.ndarray"


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of ``size`` words. Over all sizes they are numbered on; here numbers begin at ``offset``.

    ``hashes`` uint64 [distinct], ascending; ``words`` int32 [distinct, size], the ids of their words; the items of the
    n-gram at place g are ``items[starts[g]:starts[g + 1]]``. ``maybe`` bool [2^bits] says by the first ``bits`` bits of
    a hash whether it can be there at all, which spares most binary searches.
    """

    size: int
    offset: int
    hashes: "np.ndarray"
    words: "np.ndarray"
    starts: "np.ndarray"
    items: "np.ndarray"
    maybe: "np.ndarray"
    bits: int


@dataclass(frozen=True)
class Index:
    """All n-grams, by size. ``mixed`` uint64 [words + 1] is the random number that stands for a word id in a hash."""

    items: list[Item]
    vocabulary: dict[str, int]
    mixed: "np.ndarray"
    grams: list[Grams]
    unindexed: int

    @property
    def ngrams(self) -> int:
        """Number of distinct n-grams of all sizes."""
        return sum(len(grams.hashes) for grams in self.grams)

    def ids(self, text: str) -> "np.ndarray":
        """The words of a text as ids: int32 [words]."""
        import numpy as np

        found = words(composed(text))
        return np.fromiter(map(self.vocabulary.get, found, repeat(0)), dtype=np.int32, count=len(found))

    def hits(self, ids: "np.ndarray") -> list[Hit]:
        """Every n-gram that stands in a text, given by its ids; ordered by size, then place."""
        hits = []
        for grams in self.grams:
            for place, gram in zip(*(found.tolist() for found in self._find(grams, ids)), strict=True):
                items = grams.items[grams.starts[gram] : grams.starts[gram + 1]]
                hits.append(Hit(place, grams.size, grams.offset + gram, items))
        return hits

    def find(self, ids: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Where n-grams begin, and their numbers: two int64 [hits]."""
        import numpy as np

        found = [(places, grams.offset + gram) for grams in self.grams for places, gram in [self._find(grams, ids)]]
        empty = np.empty(0, np.int64)
        return np.concatenate([empty, *(p for p, _ in found)]), np.concatenate([empty, *(g for _, g in found)])

    def _find(self, grams: Grams, ids: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Places in ``ids``, and places in ``grams`` of what begins there: two int64 [hits]."""
        import numpy as np

        rolled = rolling(self.mixed[ids], grams.size)
        places = np.flatnonzero(grams.maybe[rolled >> np.uint64(64 - grams.bits)])
        found = np.minimum(np.searchsorted(grams.hashes, rolled[places]), len(grams.hashes) - 1)
        same = grams.hashes[found] == rolled[places]
        places, found = places[same], found[same]
        same = (windows(ids, places, grams.size) == grams.words[found]).all(axis=1)
        return places[same], found[same]


def rolling(values: "np.ndarray", size: int) -> "np.ndarray":
    """Hash of every run of ``size`` values (uint64 [n]), modulo 2^64: uint64 [n - size + 1]."""
    import numpy as np

    count = max(0, len(values) - size + 1)
    rolled = np.zeros(count, dtype=np.uint64)
    for place in range(size):
        rolled *= np.uint64(MULTIPLIER)
        rolled += values[place : place + count]
    return rolled


def windows(ids: "np.ndarray", places: "np.ndarray", size: int) -> "np.ndarray":
    """The runs of ``size`` ids from each of ``places`` on: int32 [places, size]."""
    import numpy as np

    return ids[places[:, None] + np.arange(size)]


def build_index(benchmarks: Mapping[str, Iterable[tuple[str, str]]], config: Decontamination) -> Index:
    """Index the items, (id, text), of each benchmark.

    An item of ``ngram`` words or more gives all its n-grams; a shorter one of ``min_words`` or more is one n-gram as a
    whole; the others cannot be told from common phrases and are only counted.
    """
    import numpy as np

    vocabulary: dict[str, int] = {}
    items: list[Item] = []
    # By size: where n-grams begin in `stream`, and the items they are of.
    begins: dict[int, list[np.ndarray]] = {}
    owners: dict[int, list[np.ndarray]] = {}
    stream: list[np.ndarray] = []
    length = unindexed = 0
    for benchmark, texts in benchmarks.items():
        for item, text in texts:
            found = words(composed(text))
            if len(found) < min(config.min_words, config.ngram):
                unindexed += 1
                continue
            size = min(config.ngram, len(found))
            begins.setdefault(size, []).append(np.arange(length, length + len(found) - size + 1))
            owners.setdefault(size, []).append(np.full(len(found) - size + 1, len(items), dtype=np.int32))
            stream.append(np.array([vocabulary.setdefault(w, len(vocabulary) + 1) for w in found], dtype=np.int32))
            items.append(Item(benchmark, item))
            length += len(found)
    ids = np.concatenate(stream) if stream else np.empty(0, np.int32)
    mixed = np.random.default_rng(0).integers(0, 2**64, len(vocabulary) + 1, dtype=np.uint64)
    grams: list[Grams] = []
    for size in sorted(begins):
        offset = sum(len(g.hashes) for g in grams)
        places, of = np.concatenate(begins[size]), np.concatenate(owners[size])
        hashes = rolling(mixed[ids], size)[places]
        grams.append(_grams(offset, hashes, windows(ids, places, size), of))
    return Index(items, vocabulary, mixed, grams, unindexed)


def _grams(offset: int, hashes: "np.ndarray", ngrams: "np.ndarray", owners: "np.ndarray") -> Grams:
    """The table of n-grams of one size, given by occurrence: hash, word ids [occurrences, size] and item."""
    import numpy as np

    size = ngrams.shape[1]
    order = np.lexsort((owners, hashes))
    hashes, owners, ngrams = hashes[order], owners[order], ngrams[order]
    distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    if not np.array_equal(ngrams, ngrams[first][inverse]):
        # One of them would be left in the texts. Among n n-grams there is such a pair with a probability of n^2 / 2^65.
        raise ValueError(f"two different {size}-word n-grams of the benchmarks have one hash; take another MULTIPLIER")
    # An n-gram that an item holds twice is listed once.
    fresh = np.ones(len(hashes), dtype=bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(inverse[fresh], minlength=len(distinct)))])
    bits = max(12, (16 * len(distinct)).bit_length())
    maybe = np.zeros(1 << bits, dtype=bool)
    maybe[distinct >> np.uint64(64 - bits)] = True
    return Grams(size, offset, distinct, ngrams[first], starts, owners[fresh], maybe, bits)


def search(
    texts: Sequence[str], rows: Sequence[int], index: Index, characters: int = 4_000_000
) -> "tuple[list[int], np.ndarray]":
    """The rows in whose texts some n-gram stands, in order, and in how many rows each n-gram does: int64 [n-grams].

    ``rows`` says which row a text is of; the texts of a row follow each other. Works on about ``characters`` at a time.
    """
    import numpy as np

    found: set[int] = set()
    frequency = np.zeros(index.ngrams, dtype=np.int64)
    separator = np.zeros(1, dtype=np.int32)  # the id of no indexed word, so that no n-gram goes over two texts
    row_of = np.array(rows, dtype=np.int64)
    start = 0
    while start < len(texts) and index.grams:
        chunks: list[np.ndarray] = []
        size, end = 0, start
        # A row is not split, so that it counts once.
        while end < len(texts) and (size < characters or rows[end] == rows[end - 1]):
            chunks += (index.ids(texts[end]), separator)
            size += len(texts[end])
            end += 1
        ends = np.cumsum([len(chunk) for chunk in chunks])[1::2]
        places, grams = index.find(np.concatenate(chunks))
        hit_rows = row_of[start + np.searchsorted(ends, places, side="right")]
        distinct = np.unique(np.stack([hit_rows, grams]), axis=1)
        frequency += np.bincount(distinct[1], minlength=index.ngrams)
        found.update(distinct[0].tolist())
        start = end
    return sorted(found), frequency
