"""Texts reduced to their letters, as vectors: what counts where phrases and words are compared.

Letters are in lower case (ASCII and Latin-1), line ends stay, and every other character of ASCII, Latin-1, punctuation,
arrows, symbols and emoji is a space. Other characters beyond ASCII stay as they are. Each byte keeps its place.
"""

from functools import cache, cached_property
from typing import TYPE_CHECKING

from assets.words import TextBytes, Words

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_SPACE = ord(" ")


class LetterWords:
    """Texts (large_string without nulls) in letters alone (``letters_of``), and their words; made when they are asked for."""

    def __init__(self, column: "pa.Array") -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @cached_property
    def letters(self) -> TextBytes:
        return letters_of(self.column)

    @cached_property
    def lines(self) -> list[list[str]]:
        """The lines of each text."""
        return [text.split("\n") for text in strings_of(self.letters)]

    @cached_property
    def words(self) -> Words:
        return Words.of(self.letters)

    @cached_property
    def hashes(self) -> "np.ndarray":
        """A hash of each word: uint64 [words]."""
        return self.words.hashes

    @cached_property
    def text(self) -> "np.ndarray":
        """The text that each word stands in: int64 [words]."""
        import numpy as np

        return np.repeat(np.arange(len(self)), np.diff(self.words.bounds))


def letters_of(column: "pa.Array") -> TextBytes:
    """The letters of texts (large_string without nulls)."""
    import numpy as np

    texts = TextBytes.of_column(column)
    data = texts.data
    letters = _table()[data]
    if data.size and data.max() >= 0x80:
        # What follows a lead byte is never over the end of the data: the texts are UTF-8.
        after = np.flatnonzero(data == 0xC3) + 1
        second = data[after]
        letters[after] = np.where((second >= 0x80) & (second <= 0x9E), second + 0x20, second)
        signs = (second == 0x97) | (second == 0xB7)  # of multiplication and division
        _blank(letters, after[signs] - 1, 2)
        _blank(letters, np.flatnonzero(data == 0xC2), 2)
        _blank(letters, np.flatnonzero(data == 0xE2), 3)
        _blank(letters, np.flatnonzero(data >= 0xF0), 4)
    return TextBytes(letters, texts.bounds)


def _blank(letters: "np.ndarray", first: "np.ndarray", length: int) -> None:
    for place in range(length):
        letters[first + place] = _SPACE


def strings_of(texts: TextBytes) -> list[str]:
    """The texts as strings."""
    import pyarrow as pa

    bounds, data = pa.py_buffer(texts.bounds), pa.py_buffer(texts.data)
    found: list[str] = pa.LargeStringArray.from_buffers(len(texts), bounds, data).to_pylist()
    return found


@cache
def _table() -> "np.ndarray":
    """What each byte becomes by itself: uint8 [256]."""
    import numpy as np

    table = np.arange(256, dtype=np.uint8)
    table[:128] = [ord(chr(byte).lower()) if chr(byte).isalpha() else _SPACE for byte in range(128)]
    table[ord("\n")] = ord("\n")
    return table
