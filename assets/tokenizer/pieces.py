"""Encoding by pieces, for pre-tokenizers that split text into words and what stands between them, as BLOOM's does.

Such a split is a few passes over bytes, and most pieces of a text have come before: each is encoded once and remembered.
"""

import re
import threading
from array import array
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
        self._forget()

    def _forget(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.ids = array("I")
        self.begins = array("q", [0])
        self.bytes = 0

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
        ids, begins = self._encoded(pieces.dictionary.to_pylist())
        numbers = pieces.indices.to_numpy()
        lengths = np.diff(begins)[numbers]
        ends = np.cumsum(lengths)
        places = np.repeat(begins[numbers] - ends + lengths, lengths)
        places += np.arange(len(places))
        total = np.append(0, ends)[np.searchsorted(starts, offsets)]
        return ids[places], np.diff(total)

    def _encoded(self, pieces: list[bytes]) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        """The ids of different pieces, one after the other, and where each begins (and the last ends); what is new is encoded."""
        import numpy as np

        with self.lock:
            if self.bytes > REMEMBERED_BYTES:
                self._forget()
            known = self.numbers
            numbers = np.fromiter(map(known.get, pieces, repeat(-1)), np.int64, len(pieces))
            places = np.flatnonzero(numbers < 0)
            new = [pieces[place] for place in places]
            if new:
                encoded, lengths = self.encode_pieces(new)
                numbers[places] = np.arange(len(known), len(known) + len(new))
                known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
                self.begins.frombytes((self.begins[-1] + np.cumsum(lengths)).tobytes())
                self.ids.frombytes(encoded.tobytes())
            self.bytes += sum(map(len, new)) + ENTRY_BYTES * len(new)
            first = np.frombuffer(self.begins, np.int64)
            counts, first = np.diff(first)[numbers], first[numbers]
            begins = np.append(0, np.cumsum(counts))
            places = np.repeat(first - begins[:-1], counts)
            places += np.arange(len(places))
            return np.frombuffer(self.ids, np.uint32)[places], begins
