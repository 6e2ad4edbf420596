"""Encoding by pieces, for pre-tokenizers that split text into words and what stands between them, as BLOOM's does.

Such a split is a few passes over bytes, and most pieces of a text have come before: each is encoded once and remembered.
"""

import re
import threading
from collections.abc import Callable
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

SPACE = 0x20
WHITE_SPACE = (
    *range(0x09, 0x0E), SPACE, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000,
)  # fmt: skip
"""What ``\\s`` stands for: the code points with Unicode's property White_Space."""
REMEMBERED_BYTES = 96_000_000
"""About so much memory may remembered pieces take; then they are forgotten."""
ID_BYTES = 4
ENTRY_BYTES = 150
"""What remembering a piece takes besides its own bytes, about."""

_WORDS = re.compile(r" \?\[\^(?P<inside>[^]\[&^-]+)\]\+")


def between_words(pattern: str) -> frozenset[int] | None:
    """The code points that stand between words, where ``pattern`` is an optional space and a run of all others.

    ``" ?[^\\s,]+"`` gives white space and the comma. None where the pattern is another one: ranges, nested classes and
    escapes other than ``\\s`` are not read.
    """
    found = _WORDS.fullmatch(pattern)
    if found is None:
        return None
    inside = found["inside"]
    literal = inside.replace(r"\s", "")
    if "\\" in literal or r"\s" not in inside:
        return None
    return frozenset(map(ord, literal)).union(WHITE_SPACE)


class Splitter:
    """Where the pieces begin that ``" ?[^X]+"`` with behaviour "isolated" makes of UTF-8 text; ``points`` are X.

    A word is a run of other characters, with one space before it where there is one; the rest of a run of X is a piece too.
    """

    def __init__(self, points: frozenset[int]) -> None:
        import numpy as np

        # 0: a byte of a word; 1: a character of X; 2: may be the first byte of one.
        self.kind = np.zeros(256, np.uint8)
        self.kind[[p for p in points if p < 0x80]] = 1
        self.longer: dict[int, npt.NDArray[np.uint32]] = {}
        encoded = [chr(point).encode() for point in sorted(points) if point >= 0x80]
        for size in sorted({len(one) for one in encoded}):
            of_size = [one for one in encoded if len(one) == size]
            self.kind[[one[0] for one in of_size]] = 2
            self.longer[size] = np.array([int.from_bytes(one, "big") for one in of_size], np.uint32)

    def starts(self, data: "npt.NDArray[np.uint8]", texts: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]":
        """Byte offsets of the pieces in ``data``, the UTF-8 of texts that begin at ``texts`` (an end at len(data) too)."""
        import numpy as np

        between = self._between(data)
        first = np.zeros(len(data) + 1, bool)
        first[texts] = True
        starts = np.zeros(len(data) + 1, bool)
        np.not_equal(between[1:], between[:-1], out=starts[1:-1])
        # A word after a space in the same text begins with that space.
        word_after_space = starts[1:-1] & ~between[1:] & (data[:-1] == SPACE) & ~first[1:-1]
        starts[1:-1] &= ~word_after_space
        starts[:-2] |= word_after_space
        starts |= first
        return np.flatnonzero(starts[:-1])

    def _between(self, data: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.bool_]":
        """Which bytes belong to characters of X."""
        import numpy as np

        kind = self.kind[data]
        between = kind == 1
        at = np.flatnonzero(kind == 2)
        value = data[at].astype(np.uint32)
        for size in range(2, max(self.longer, default=1) + 1):
            # What begins at the end of the data is no whole character of this size, so a zero after it does no harm.
            after = np.where(at + size <= len(data), data[np.minimum(at + size - 1, len(data) - 1)], 0)
            value = (value << np.uint32(8)) | after.astype(np.uint32)
            if size in self.longer:
                found = at[np.isin(value, self.longer[size])]
                for byte in range(size):
                    between[found + byte] = True
        return between


class PieceEncoder:
    """Encodes texts piece by piece. Threads share what it remembers.

    ``encode_pieces`` gives the ids of pieces' bytes, uint32, one piece after the other, and how many each has. All that are new
    in a slice go to it at once: a call for each would have threads wait for Python's lock longer than they work.
    """

    def __init__(
        self,
        points: frozenset[int],
        encode_pieces: Callable[[list[bytes]], "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]"],
    ) -> None:
        self.splitter = Splitter(points)
        self.encode_pieces = encode_pieces
        self.lock = threading.Lock()
        self.known = Known()

    def __call__(self, texts: "pa.LargeStringArray") -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        """The ids of all texts, one after the other, and how many each text has."""
        import numpy as np
        import pyarrow as pa

        offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
        if offsets[0] == offsets[-1]:
            return np.zeros(0, np.uint32), np.zeros(len(texts), np.int64)
        data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
        offsets = offsets - offsets[0]
        starts = self.splitter.starts(data, offsets)
        bounds = pa.py_buffer(np.append(starts, len(data)))
        pieces = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(starts), [None, bounds, pa.py_buffer(data)]
        ).dictionary_encode()
        made = self._encoded(pieces.dictionary.to_pylist()).take(pieces.indices)
        ends = np.frombuffer(made.buffers()[1], np.int64, len(made) + 1) // ID_BYTES
        total = ends[np.searchsorted(starts, offsets)]
        return np.frombuffer(made.buffers()[2], np.uint32, ends[-1]), np.diff(total)

    def _encoded(self, pieces: list[bytes]) -> "pa.LargeBinaryArray":
        """The ids of different pieces, each piece's as bytes; what is new is encoded.

        Threads encode at once: two that meet the same new piece both encode it, to the same ids.
        """
        import numpy as np
        import pyarrow as pa

        with self.lock:
            if self.known.bytes > REMEMBERED_BYTES:
                self.known = Known()
            known = self.known
        numbers = np.fromiter(map(known.numbers.get, pieces, repeat(-1)), np.int64, len(pieces))
        places = np.flatnonzero(numbers < 0)
        if len(places):
            new = [pieces[place] for place in places.tolist()]
            encoded, lengths = self.encode_pieces(new)
            with self.lock:
                numbers[places] = known.add(new, encoded, lengths)
        return known.ids.take(pa.array(numbers))


class Known:
    """Pieces that were encoded.

    ``ids`` are those of all, each piece's as bytes: Arrow copies them by number without Python's lock, which numpy's ``repeat``
    holds. It is replaced as a whole, before ``numbers`` has what is new, so that a thread that reads finds the ids of every
    number it has, while another adds.
    """

    def __init__(self) -> None:
        import pyarrow as pa

        self.numbers: dict[bytes, int] = {}
        self.ids = pa.array([], pa.large_binary())
        self.bytes = 0

    def add(
        self, pieces: list[bytes], encoded: "npt.NDArray[np.uint32]", lengths: "npt.NDArray[np.int64]"
    ) -> "npt.NDArray[np.int64]":
        """Take in different pieces; their numbers. One thread at a time."""
        import numpy as np
        import pyarrow as pa

        first, count = len(self.ids), len(pieces)
        bounds = pa.py_buffer(np.append(0, np.cumsum(lengths)) * ID_BYTES)
        new = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, [None, bounds, pa.py_buffer(encoded)])
        self.ids = pa.concat_arrays([self.ids, new])
        self.numbers.update(zip(pieces, range(first, first + count), strict=True))
        self.bytes += sum(map(len, pieces)) + ENTRY_BYTES * count
        return np.arange(first, first + count)
