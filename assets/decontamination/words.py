"""Words as benchmarks and documents are compared by: runs of ``\\w`` of the case-folded text in NFC; and their hashes.

The hash of a word is a polynomial of its characters modulo 2^64 (Karp and Rabin 1987), taken from running sums over the
whole text, so that no word is handled by itself.
"""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from assets.words import MULTIPLIER

if TYPE_CHECKING:
    import numpy as np

WORD = re.compile(r"\w+")
INVERSE = pow(MULTIPLIER, -1, 1 << 64)
BLOCK = 1 << 17
"""Characters that are hashed at a time; what is made of so many stays in a processor's cache."""


def composed(text: str) -> str:
    """The text in NFC, so that a letter with its marks is one character of one word."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """The text as its words are compared: composed, without case."""
    return composed(text).casefold()


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return WORD.findall(folded(text))


def spans(text: str) -> list[tuple[int, int]]:
    """Where each of the words of a text in ``composed`` form begins and ends in it, in characters."""
    found = [match.span() for match in WORD.finditer(text.casefold())]
    if len(text.casefold()) == len(text):
        return found
    # Some characters fold to several: the place of each of these is the place of the one.
    place = [at for at, character in enumerate(text) for _ in character.casefold()]
    return [(place[start], place[end - 1] + 1) for start, end in found]


def hashed(text: str) -> "tuple[np.ndarray, np.ndarray]":
    """The words of a ``folded`` text: their hashes, uint64 [words], and where they begin, in characters, int64 [words]."""
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    edges = np.flatnonzero(np.diff(_word_characters()[codes], prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    hashes = np.empty(len(starts), dtype=np.uint64)
    first = 0
    while first < len(starts):
        begin = starts[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + BLOCK, side="right")))
        powers, inverses = _powers(int(ends[last - 1] - begin))
        block = codes[begin : ends[last - 1]] * powers[: ends[last - 1] - begin]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(block, dtype=np.uint64)])
        here, there = starts[first:last] - begin, ends[first:last] - begin
        hashes[first:last] = (sums[there] - sums[here]) * inverses[here]
        first = last
    # The lower bits of a polynomial know only the lower bits of its coefficients.
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(MULTIPLIER)
    hashes ^= hashes >> np.uint64(29)
    return hashes, starts


@cache
def _word_characters() -> "np.ndarray":
    """Which characters are of words: bool [code points]."""
    import sys

    import numpy as np

    of_words = np.zeros(sys.maxunicode + 1, dtype=bool)
    for match in WORD.finditer("".join(map(chr, range(sys.maxunicode + 1)))):
        of_words[match.start() : match.end()] = True
    return of_words


def _powers(count: int) -> "tuple[np.ndarray, np.ndarray]":
    """The powers of ``MULTIPLIER`` and of its inverse modulo 2^64, each uint64 [at least ``count``]."""
    return _block_powers() if count <= BLOCK else (powers(MULTIPLIER, count), powers(INVERSE, count))


@cache
def _block_powers() -> "tuple[np.ndarray, np.ndarray]":
    return powers(MULTIPLIER, BLOCK), powers(INVERSE, BLOCK)


def powers(base: int, count: int) -> "np.ndarray":
    """The powers of ``base`` from 0 on, modulo 2^64: uint64 [count]."""
    import numpy as np

    values = np.full(count, base, dtype=np.uint64)
    values[:1] = 1
    return np.cumprod(values, dtype=np.uint64)
