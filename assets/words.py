"""Words of many texts at once, as vectors: where they stand, their hashes, and the hashes of their n-grams.

A word is a run without white space, as ``str.split()`` sees it. Hashes are 64 bits wide and the same on every machine.
"""

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Odd, so that multiplying by it loses nothing modulo 2^64 (the golden ratio in 64 bits, Knuth, TAOCP 3, section 6.4).
MULTIPLIER = 0x9E3779B97F4A7C15
LONG_WORD = 64
"""Bytes from which on a word is hashed by itself."""


@dataclass(frozen=True)
class TextBytes:
    """Several texts in UTF-8, one behind the other: ``data`` uint8 [bytes]; text i is ``data[bounds[i]:bounds[i + 1]]``."""

    data: "np.ndarray"
    bounds: "np.ndarray"

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, place: int) -> bytes:
        return self.data[self.bounds[place] : self.bounds[place + 1]].tobytes()

    @classmethod
    def of_strings(cls, texts: list[str]) -> "TextBytes":
        """Copies the texts."""
        import numpy as np

        encoded = [text.encode() for text in texts]
        bounds = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in encoded], out=bounds[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), bounds)

    @classmethod
    def of_column(cls, column: "pa.ChunkedArray | pa.Array") -> "TextBytes":
        """The bytes of a column of strings without nulls, where they lie."""
        import numpy as np
        import pyarrow as pa

        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
        array = array.cast(pa.large_string())
        if not len(array):
            return cls(np.empty(0, np.uint8), np.zeros(1, np.int64))
        _, offsets, data = array.buffers()
        bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        held = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        return cls(held[bounds[0] : bounds[-1]], bounds - bounds[0])


@dataclass(frozen=True)
class Words:
    """The words of ``texts``: word i is ``data[starts[i]:ends[i]]``, int64 [words]; text t has the words ``bounds[t]`` to
    ``bounds[t + 1]``. ``spaces``: the places of the bytes that are white space.
    """

    texts: TextBytes
    spaces: "np.ndarray"
    starts: "np.ndarray"
    ends: "np.ndarray"
    bounds: "np.ndarray"

    @classmethod
    def of(cls, texts: TextBytes) -> "Words":
        """Find the words; none goes over the end of a text."""
        import numpy as np

        spaces = _spaces(texts.data)
        # A word stands between two breaks: white space, or the place where one text ends and the next begins.
        places = np.searchsorted(spaces, texts.bounds)
        starts = np.insert(spaces + 1, places, texts.bounds)[:-1]
        ends = np.insert(spaces, places, texts.bounds)[1:]
        found = ends > starts
        starts, ends = starts[found], ends[found]
        return cls(texts, spaces, starts, ends, np.searchsorted(starts, texts.bounds))

    @cached_property
    def hashes(self) -> "np.ndarray":
        """A hash of each word: uint64 [words].

        Eight bytes at a time are taken in by a permutation (``mix``), so that any two different words share a hash with a
        probability of about 2^-64.
        """
        import numpy as np

        padded = np.zeros(len(self.texts.data) + 8, np.uint8)
        padded[:-8] = self.texts.data
        eights = np.lib.stride_tricks.as_strided(padded[:8].view("<u8"), (len(padded) - 7,), (1,), writeable=False)
        masks = np.array([2 ** (8 * size) - 1 for size in range(9)], np.uint64)
        lengths = self.ends - self.starts
        first = eights[self.starts] & masks[np.minimum(lengths, 8)]
        hashes = mix(first ^ lengths.astype(np.uint64) * np.uint64(MULTIPLIER))
        left = np.flatnonzero((lengths > 8) & (lengths < LONG_WORD))
        for taken in range(8, LONG_WORD, 8):
            left = left[lengths[left] > taken]
            more = eights[self.starts[left] + taken] & masks[np.minimum(lengths[left] - taken, 8)]
            hashes[left] = mix(hashes[left] ^ more)
        for place in np.flatnonzero(lengths >= LONG_WORD).tolist():
            word = self.texts.data[self.starts[place] : self.ends[place]].tobytes()
            hashes[place] = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
        return hashes


def ngram_hashes(hashes: "np.ndarray", size: int) -> "np.ndarray":
    """Hashes of the runs of ``size`` words, from the hashes of the words: uint64 [words - size + 1], at least none.

    Every bit depends on all words.
    """
    return mix(rolling(hashes, size))


def rolling(hashes: "np.ndarray", size: int) -> "np.ndarray":
    """The runs of ``size`` hashes (uint64 [n]) as polynomials of ``MULTIPLIER`` modulo 2^64: uint64 [n - size + 1], at least
    none (Karp and Rabin 1987). Their lower bits know only the lower bits of the hashes.
    """
    import numpy as np

    rolled = np.zeros(max(len(hashes) - size + 1, 0), np.uint64)
    for place in range(size):
        rolled *= np.uint64(MULTIPLIER)
        rolled += hashes[place : place + len(rolled)]
    return rolled


def mix(values: "np.ndarray") -> "np.ndarray":
    """A permutation of the 64-bit numbers in which every bit depends on every other (SplitMix64: Steele, Lea, Flood 2014)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _spaces(data: "np.ndarray") -> "np.ndarray":
    """The places of the bytes that are white space, or part of one: int64, ascending."""
    import numpy as np

    single, longer = _white_space()
    space = data <= ord(" ")
    if data.size and data.max() >= 0x80:
        for first, codes in longer.items():
            places = np.flatnonzero(data == first)
            for code in codes:
                found = places[places <= len(data) - len(code)]
                for offset, byte in enumerate(code[1:], start=1):
                    found = found[data[found + offset] == byte]
                for offset in range(len(code)):
                    space[found + offset] = True
    found = np.flatnonzero(space)
    return found[single[data[found]]]


@cache
def _white_space() -> "tuple[np.ndarray, dict[int, list[bytes]]]":
    """White space in UTF-8: of the bytes below 0x80 those that are some, and all others (bool [256]); and the longer codes
    by their first byte.
    """
    import numpy as np

    # No white space comes after U+3000.
    encoded = [character.encode() for character in map(chr, range(0x3001)) if character.isspace()]
    single = np.arange(256) >= 0x80
    single[[code[0] for code in encoded if len(code) == 1]] = True
    longer: dict[int, list[bytes]] = {}
    for code in encoded:
        if len(code) > 1:
            longer.setdefault(code[0], []).append(code)
    return single, longer
