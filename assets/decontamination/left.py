"""Finding benchmark text that is left in documents, for the gate: by other means than the code that cuts.

Words become 32-bit polynomials of their characters, n-grams FNV-1a hashes of these in sorted arrays, and what is found is
compared word by word.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from assets.engine import map_parts
from assets.lake.machine import cores

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# FNV-1a of 64 bits (RFC 9923).
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3
# Odd, so that multiplying by them loses nothing modulo 2^32: FNV's prime of 32 bits, and the golden ratio (Knuth, TAOCP 3,
# section 6.4).
BASE, SPREAD = 0x01000193, 0x9E3779B9
SEVERAL = 0xFFFFFFFF
"""Stands for the value of a character that is case-folded to several."""
CASES, CODE_POINTS = 0x20000, 0x40000
"""Where the planes of Unicode end that hold letters with case, and those that hold any; the last code point is none."""
BITS = 24
"""Bits of a hash by which a place is looked up in the Bloom filter."""
UPPER, LOWER = 64 - BITS, (1 << BITS) - 1
"""The shift and the mask that leave the upper and the lower BITS of a hash."""
ITEMS, TEXT_BYTES = 1_024, 600_000
"""Items of benchmarks, and bytes of documents, that a thread takes at a time: what is made of them stays in a cache."""

USUAL = 1 << 20
"""Characters of a lot for which the powers of BASE are kept; a lot with a longer document makes its own."""


@dataclass(frozen=True)
class Known:
    """The n-grams of benchmarks: their ``hashes`` by size in words, uint64, ascending.

    ``shortest`` is the least size. ``maybe`` holds the hashes of so many words at the beginning of all n-grams, by their upper
    and by their lower bits: bool [2, 2^BITS], a Bloom filter.
    """

    shortest: int
    hashes: "dict[int, np.ndarray]"
    maybe: "np.ndarray"


def known_ngrams(benchmarks: Iterable[Sequence[str]], ngram: int, min_words: int) -> Known:
    """The n-grams of the items of benchmarks: runs of ``ngram`` words; items and passages of ``min_words`` and more that are
    shorter, whole.

    Form feeds part the passages of an item's text.
    """
    import numpy as np

    shortest = min(min_words, ngram)
    _values()  # once, before threads ask for it
    maybe = np.zeros((2, 1 << BITS), dtype=bool)
    lots = (texts[start : start + ITEMS] for texts in benchmarks for start in range(0, len(texts), ITEMS))
    with ThreadPoolExecutor(cores()) as pool:
        found = list(pool.map(partial(_ngrams, shortest=shortest, ngram=ngram, maybe=maybe), lots))
    hashes = {}
    for size in sorted(set(chain.from_iterable(found))):
        hashes[size] = np.concatenate([of.pop(size) for of in found if size in of])
        hashes[size].sort()
    return Known(shortest, hashes, maybe)


def left_in(tables: "Iterable[pa.Table]", known: Known) -> "Iterator[pa.Table]":
    """The documents of some tables in which the hash of some n-gram is found, in order, by slices that hold any."""
    import pyarrow as pa

    schema = pa.schema([("left", pa.bool_())])
    for documents, found in map_parts(tables, partial(_left, known=known), schema, TEXT_BYTES):
        left = documents.filter(found["left"])
        if left.num_rows:
            yield left


def confirmed(documents: "pa.Table", texts: Iterable[str], ngram: int, min_words: int) -> list[int]:
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


def _ngrams(texts: Sequence[str], shortest: int, ngram: int, maybe: "np.ndarray") -> "dict[int, np.ndarray]":
    """The hashes of the n-grams of items by size; marks their beginnings in ``maybe``."""
    import numpy as np

    passages = [text.split("\f") for text in texts]
    words, passage = _words(list(chain.from_iterable(passages)))
    item = np.repeat(np.arange(len(texts)), [len(of_text) for of_text in passages])[passage]
    places = {ngram: np.flatnonzero(item[: max(len(words) - ngram + 1, 0)] == item[ngram - 1 :])}
    for of in (item, passage):
        starts = np.flatnonzero(np.append(True, of[1:] != of[:-1])[: len(of)])
        lengths = np.diff(np.append(starts, len(words)))
        for size in range(shortest, ngram):
            places[size] = np.append(places.get(size, starts[:0]), starts[lengths == size])
    head = _heads(words, shortest)
    for at in places.values():
        maybe[0, head[at] >> UPPER] = True
        maybe[1, head[at] & LOWER] = True
    return {size: _longer(head, words, at, shortest, size) for size, at in places.items() if len(at)}


def _left(rows: "pa.Table", known: Known) -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    texts = list(searched(rows))
    words, text = _words(list(chain.from_iterable(texts)))
    row = np.repeat(np.arange(len(texts)), [len(sides) for sides in texts])
    left = np.zeros(len(texts), dtype=bool)
    head = _heads(words, known.shortest)
    begins = np.flatnonzero(known.maybe[0, head >> UPPER])
    begins = begins[known.maybe[1, head[begins] & LOWER]]
    for size, hashes in known.hashes.items():
        places = begins[begins <= len(words) - size]
        places = places[text[places] == text[places + size - 1]]
        places = places[_is_in(_longer(head, words, places, known.shortest, size), hashes)]
        left[row[text[places]]] = True
    return pa.table({"left": left})


def _heads(words: "np.ndarray", size: int) -> "np.ndarray":
    """FNV-1a of the ``size`` words from each place on that has so many: uint64 [places]."""
    import numpy as np

    rolled = np.full(max(len(words) - size + 1, 0), OFFSET, dtype=np.uint64)
    for word in range(size if len(rolled) else 0):
        rolled ^= words[word : word + len(rolled)]
        rolled *= np.uint64(PRIME)
    return rolled


def _longer(head: "np.ndarray", words: "np.ndarray", places: "np.ndarray", shortest: int, size: int) -> "np.ndarray":
    """FNV-1a of the ``size`` words from each of some places on, uint64 [places]: the hashes of the first ``shortest`` of them,
    which ``head`` has for every place, go on.
    """
    import numpy as np

    rolled = head[places]
    for word in range(shortest, size):
        rolled ^= words[places + word]
        rolled *= np.uint64(PRIME)
    return rolled


def _is_in(values: "np.ndarray", ascending: "np.ndarray") -> "np.ndarray":
    """Which of ``values`` are among those that ascend: bool [values]."""
    import numpy as np

    found = np.minimum(np.searchsorted(ascending, values), max(len(ascending) - 1, 0))
    return ascending[found] == values if len(ascending) else np.zeros(len(values), dtype=bool)


def _words(texts: list[str]) -> "tuple[np.ndarray, np.ndarray]":
    """All words of some texts as numbers, uint64 [words], and which text each is of, int64 [words].

    The number of a word c[0] .. c[n - 1] is the sum of value(c[i]) BASE^i modulo 2^32. Characters between words have the value 0,
    so that the sum of value(c) BASE^place from the start of a word to that of the next, divided by BASE^start, is its number.
    """
    import numpy as np

    normal = [unicodedata.normalize("NFC", text) for text in texts]
    values = _values_of(normal)
    if (values == SEVERAL).any():
        normal = [text.casefold() for text in normal]
        values = _values_of(normal)
    inside = values != 0
    starts = np.flatnonzero(inside & ~np.append(False, inside[:-1]))
    raised, lowered = _powers(len(values))
    values *= raised[: len(values)]
    words = np.add.reduceat(values, starts, dtype=np.uint32) * lowered[starts]
    after = np.cumsum([len(text) + 1 for text in normal])
    return words.astype(np.uint64), np.searchsorted(after, starts, side="right")


def _values_of(texts: list[str]) -> "np.ndarray":
    """The values of all characters of some texts, uint32; after each text stands a line feed, which is no part of a word."""
    import numpy as np

    characters = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le"), np.uint32)
    return _values().take(characters, mode="clip")


@cache
def _values() -> "np.ndarray":
    """The value of each character by its code point, uint32 [CODE_POINTS]: that of the character that it is case-folded to,
    SEVERAL where these are several, 0 where it is no part of a word.
    """
    import numpy as np

    points = np.arange(CODE_POINTS, dtype=np.uint32)
    folded = [chr(point).casefold() for point in range(CASES)]
    points[:CASES] = [ord(characters[0]) for characters in folded]
    characters = points.view("U1")
    is_word = np.strings.isalnum(characters) | (characters == "_")
    values = np.where(is_word, points * np.uint32(SPREAD), np.uint32(0))
    values[[point for point, characters in enumerate(folded) if len(characters) > 1]] = SEVERAL
    return values


def _powers(size: int) -> "tuple[np.ndarray, np.ndarray]":
    """BASE^i modulo 2^32 for the first ``size`` places, and the inverses of these: uint32 [size or more] each."""
    return _usual_powers() if size <= USUAL else _powers_of(size)


@cache
def _usual_powers() -> "tuple[np.ndarray, np.ndarray]":
    return _powers_of(USUAL)


def _powers_of(size: int) -> "tuple[np.ndarray, np.ndarray]":
    import numpy as np

    raised, lowered = (np.full(size, base, np.uint32) for base in (BASE, pow(BASE, -1, 1 << 32)))
    raised[0] = lowered[0] = 1
    return np.multiply.accumulate(raised, dtype=np.uint32), np.multiply.accumulate(lowered, dtype=np.uint32)


def _plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def _runs(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of ``size`` words."""
    return zip(*(words[place:] for place in range(size)), strict=False)
