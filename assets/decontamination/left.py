"""Finding benchmark text that is left in documents, for the gate: by other means than the code that cuts.

Words come from Arrow's regular expressions and become numbers of the benchmarks' vocabulary, n-grams are FNV-1a hashes of
these in sorted arrays, and what is found is compared word by word.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from assets.engine import map_rows
from assets.lake.machine import cores

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NOT_WORD = r"[^\pL\pN_ ]+"
# FNV-1a of 64 bits (RFC 9923).
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3
BITS = 24
"""Bits of a hash by which a place is looked up in the Bloom filter."""
UPPER, LOWER = 64 - BITS, (1 << BITS) - 1
"""The shift and the mask that leave the upper and the lower BITS of a hash."""
SLICE = 1 << 12
"""Items of benchmarks that a thread takes at a time."""
CACHED = 1 << 14
"""Hashes that are rolled at a time: they and what they take stay in a processor's cache."""
TEXTS = 4_000_000
"""Bytes of documents that a thread takes at a time; for each lot Arrow makes a table of the benchmarks' vocabulary."""


@dataclass(frozen=True)
class Known:
    """The n-grams of benchmarks: their ``words``, numbered from 1 on, and ``hashes`` by size, uint64, ascending.

    ``shortest`` is the least size. ``maybe`` holds the hashes of so many words at the beginning of all n-grams, by their upper
    and by their lower bits: bool [2, 2^BITS], a Bloom filter.
    """

    words: "pa.LargeStringArray"
    shortest: int
    hashes: "dict[int, np.ndarray]"
    maybe: "np.ndarray"


def known_ngrams(texts: Sequence[str], ngram: int, min_words: int) -> Known:
    """The n-grams of items: runs of ``ngram`` words; items and passages of ``min_words`` and more that are shorter, whole.

    Form feeds part the passages of a text.
    """
    import numpy as np
    import pyarrow as pa

    shortest = min(min_words, ngram)
    maybe = np.zeros((2, 1 << BITS), dtype=bool)
    slices = [texts[start : start + SLICE] for start in range(0, max(len(texts), 1), SLICE)]
    with ThreadPoolExecutor(cores()) as pool:
        words, items, passages = zip(*pool.map(_passages, slices), strict=True)
        numbers = pa.chunked_array(words).unify_dictionaries()
        ids = [chunk.indices.to_numpy().astype(np.uint64) + np.uint64(1) for chunk in numbers.chunks]
        found = list(pool.map(partial(_ngrams, shortest=shortest, ngram=ngram, maybe=maybe), ids, items, passages))
    sizes = sorted(set(chain.from_iterable(found)))
    hashes = {size: np.sort(np.concatenate([of[size] for of in found if size in of])) for size in sizes}
    return Known(numbers.chunk(0).dictionary, shortest, hashes, maybe)


def left_in(documents: "pa.Table", known: Known) -> "np.ndarray":
    """The documents (text, translation) in which the hash of some n-gram is found: their rows, int64, ascending."""
    import numpy as np
    import pyarrow as pa

    schema = pa.schema([("left", pa.bool_())])
    sides = documents.select(["text", "translation"])
    held = map_rows(sides, partial(_left, known=known), schema, threads=True, slice_bytes=TEXTS)["left"]
    return np.flatnonzero(held.to_numpy())


def confirmed(documents: "pa.Table", texts: Sequence[str], ngram: int, min_words: int) -> list[int]:
    """The rows of documents in which some n-gram of the items stands, compared as lists of words; slow, and for a few."""
    suspects: dict[tuple[str, ...], set[int]] = {}
    for row, sides in enumerate(searched(documents)):
        for words in map(_plain_words, sides):
            for size in range(min(min_words, ngram), ngram + 1):
                for run in _runs(words, size):
                    suspects.setdefault(run, set()).add(row)
    rows: set[int] = set()
    for text in texts:
        words = _plain_words(text)
        for run in _runs(words, ngram):
            rows |= suspects.get(run, set())
        for short in (words, *map(_plain_words, text.split("\f"))):
            if min_words <= len(short) < ngram:
                rows |= suspects.get(tuple(short), set())
    return sorted(rows)


def searched(documents: "pa.Table") -> Iterator[tuple[str, ...]]:
    """What of a document holds no n-gram: its text; of a pair, both sides in either order, as benchmarks hold them."""
    sides = zip(documents["text"].to_pylist(), documents["translation"].to_pylist(), strict=True)
    for text, translation in sides:
        yield (text,) if translation is None else (f"{text}\n{translation}", f"{translation}\n{text}")


def _passages(texts: Sequence[str]) -> "tuple[pa.DictionaryArray, np.ndarray, np.ndarray]":
    """The words of some texts, and which text and which passage each is of (int32)."""
    import numpy as np

    passages = [text.split("\f") for text in texts]
    words, passage = _words(list(chain.from_iterable(passages)))
    text = np.repeat(np.arange(len(texts), dtype=np.int32), [len(of_text) for of_text in passages])
    return words.dictionary_encode(), text[passage], passage.astype(np.int32)


def _ngrams(
    ids: "np.ndarray", item: "np.ndarray", passage: "np.ndarray", shortest: int, ngram: int, maybe: "np.ndarray"
) -> "dict[int, np.ndarray]":
    """The hashes of the n-grams of items by size, from the numbers of their words; marks their beginnings in ``maybe``."""
    import numpy as np

    places = {ngram: np.flatnonzero(item[: max(len(ids) - ngram + 1, 0)] == item[ngram - 1 :])}
    for of in (item, passage):
        starts = np.flatnonzero(np.append(True, of[1:] != of[:-1])[: len(of)])
        lengths = np.diff(np.append(starts, len(ids)))
        for size in range(shortest, ngram):
            places[size] = np.append(places.get(size, starts[:0]), starts[lengths == size])
    head = _heads(ids, shortest)
    for at in places.values():
        maybe[0, head[at] >> UPPER] = True
        maybe[1, head[at] & LOWER] = True
    return {size: _longer(head, ids, at, shortest, size) for size, at in places.items() if len(at)}


def _left(rows: "pa.Table", known: Known) -> "pa.Table":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = list(searched(rows))
    words, text = _words(list(chain.from_iterable(texts)))
    # A word of no benchmark is 0.
    ids = pc.fill_null(pc.add(pc.index_in(words, known.words), 1), 0).to_numpy().astype(np.uint64)
    row = np.repeat(np.arange(len(texts)), [len(sides) for sides in texts])
    left = np.zeros(len(texts), dtype=bool)
    head = _heads(ids, known.shortest)
    begins = np.flatnonzero(known.maybe[0, head >> UPPER])
    begins = begins[known.maybe[1, head[begins] & LOWER]]
    for size, hashes in known.hashes.items():
        places = begins[begins <= len(ids) - size]
        places = places[text[places] == text[places + size - 1]]
        places = places[_is_in(_longer(head, ids, places, known.shortest, size), hashes)]
        left[row[text[places]]] = True
    return pa.table({"left": left})


def _heads(ids: "np.ndarray", size: int) -> "np.ndarray":
    """FNV-1a of the ``size`` numbers from each place on that has so many: uint64 [places]."""
    import numpy as np

    rolled = np.full(max(len(ids) - size + 1, 0), OFFSET, dtype=np.uint64)
    for start in range(0, len(rolled), CACHED):
        part = rolled[start : start + CACHED]
        for word in range(start, start + size):
            part ^= ids[word : word + len(part)]
            part *= np.uint64(PRIME)
    return rolled


def _longer(head: "np.ndarray", ids: "np.ndarray", places: "np.ndarray", shortest: int, size: int) -> "np.ndarray":
    """FNV-1a of the ``size`` numbers from each of some places on, uint64 [places]: the hashes of the first ``shortest`` of them,
    which ``head`` has for every place, go on.
    """
    import numpy as np

    rolled = head[places]
    for start in range(0, len(places), CACHED):
        part, at = rolled[start : start + CACHED], places[start : start + CACHED]
        for word in range(shortest, size):
            part ^= ids[at + word]
            part *= np.uint64(PRIME)
    return rolled


def _is_in(values: "np.ndarray", ascending: "np.ndarray") -> "np.ndarray":
    """Which of ``values`` are among those that ascend: bool [values]."""
    import numpy as np

    found = np.minimum(np.searchsorted(ascending, values), max(len(ascending) - 1, 0))
    return ascending[found] == values if len(ascending) else np.zeros(len(values), dtype=bool)


def _words(texts: list[str]) -> "tuple[pa.LargeStringArray, np.ndarray]":
    """All words of some texts, and which text each is of (int64)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folded = pa.array([unicodedata.normalize("NFC", text).casefold() for text in texts], pa.large_string())
    # Few words end with anything but a space: to look for the rest alone takes half the time of splitting by an expression.
    split = pc.split_pattern(pc.replace_substring_regex(folded, NOT_WORD, " "), " ")
    words = pc.list_flatten(split)
    # Between two spaces, and before the first and behind the last, is an empty one.
    real = pc.not_equal(words, "")
    return words.filter(real), pc.list_parent_indices(split).filter(real).to_numpy()


def _plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def _runs(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of ``size`` words."""
    return zip(*(words[place:] for place in range(size)), strict=False)
