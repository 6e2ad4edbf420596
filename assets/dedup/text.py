"""What makes two texts the same: normalised text and its digest; and what makes them similar: their shingles."""

import hashlib
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from assets.words import TextBytes, Words, ngram_hashes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DIGEST_BYTES = 16
# Anything but characters that stand alone and are already case-folded by being made lower-case: of ASCII, Latin-1 (not the micro
# sign and sharp s), S and Z with caron, dashes, quotation marks and other punctuation, the euro sign.
_NOT_PLAIN = r"[^\x00-\x7F\x{A0}-\x{B4}\x{B6}-\x{DE}\x{E0}-\x{FF}\x{160}\x{161}\x{17D}\x{17E}\x{2010}-\x{205E}\x{20AC}]"
PIECE_BYTES = 32_000_000


def normalise(text: str) -> str:
    """The text case-folded, in NFC, its words (runs without white space) joined by single spaces."""
    return " ".join(fold(text).split())


def fold(text: str) -> str:
    """The text case-folded, in NFC; its white space as it was."""
    # Case-folding can take a text out of NFC, so NFC comes after it as well as before.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def normalised(words: Words) -> list[bytes]:
    """The texts with the words of each joined by single spaces."""
    data = words.texts.data.copy()
    data[words.spaces] = ord(" ")
    texts = TextBytes(data, words.texts.bounds)
    return [_joined(texts[place]) for place in range(len(texts))]


def _joined(text: bytes) -> bytes:
    """A text whose white space is all spaces, without superfluous ones."""
    is_joined = b"  " not in text and not text.startswith(b" ") and not text.endswith(b" ")
    return text if is_joined else b" ".join(text.split())


def digests(texts: list[bytes], translations: list[bytes], paired: "np.ndarray") -> list[bytes]:
    """A digest (BLAKE2b, 16 bytes) of each document, from its normalised sides; ``paired``, bool [documents], says which
    are pairs.

    A pair is the same as another when both sides are; it is never the same as a document without a translation.
    """
    # No normalised text has a line break.
    sides = [
        text + b"\n" + translation if pair else text
        for text, translation, pair in zip(texts, translations, paired.tolist(), strict=True)
    ]
    return [hashlib.blake2b(side, digest_size=DIGEST_BYTES).digest() for side in sides]


def words_of(column: "pa.ChunkedArray") -> Words:
    """The words of a column of texts, each as ``fold`` makes it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pa.chunked_array([column.combine_chunks()])
    # Arrow is three times as fast where it does the same.
    places = np.flatnonzero(pc.match_substring_regex(column, _NOT_PLAIN).to_numpy())
    texts = [fold(text) for text in column.take(pa.array(places)).to_pylist()]
    return Words.of(TextBytes.of_column(replaced(pc.utf8_lower(column), places, texts)))


def digested(rows: "pa.Table") -> "pa.Table":
    """The digests of documents, given with ``text`` and ``translation``: one column of 16 bytes each."""
    import numpy as np
    import pyarrow as pa

    text, translation = (normalised(words_of(rows[side].fill_null(""))) for side in ("text", "translation"))
    found = digests(text, translation, ~np.asarray(rows["translation"].is_null()))
    return pa.table({"digest": pa.array(found, pa.large_binary())})


def pieces(table: "pa.Table") -> "Iterator[pa.Table]":
    """A table in runs of rows of about ``PIECE_BYTES``: for work whose results are larger than the texts."""
    rows = max(1, PIECE_BYTES * table.num_rows // max(table.nbytes, 1))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def replaced(column: "pa.ChunkedArray", places: "np.ndarray", texts: list[str]) -> "pa.ChunkedArray":
    """The column with other texts at some places (int64)."""
    import numpy as np
    import pyarrow as pa

    if not len(places):
        return column
    rows = np.arange(len(column))
    rows[places] = len(column) + np.arange(len(texts))
    return pa.chunked_array([*column.chunks, pa.array(texts, column.type)], column.type).take(pa.array(rows))


def shingle_sets(words: Words, size: int) -> "list[np.ndarray]":
    """For each text the sorted, distinct hashes of its runs of ``size`` words: uint64 [shingles]."""
    hashes = ngram_hashes(words.hashes, size)
    return [_distinct(hashes[first : max(last - size + 1, first)]) for first, last in pairwise(words.bounds.tolist())]


def _distinct(values: "np.ndarray") -> "np.ndarray":
    """Values sorted, each once. (``numpy.unique`` takes five times as long.)"""
    import numpy as np

    in_order = np.sort(values)
    is_first = np.ones(len(in_order), bool)
    np.not_equal(in_order[1:], in_order[:-1], out=is_first[1:])
    found: np.ndarray = in_order[is_first]
    return found


def jaccard(a: "np.ndarray", b: "np.ndarray") -> float:
    """Jaccard similarity, 0 to 1, of two sets given as sorted arrays of distinct values."""
    import numpy as np

    if len(a) > len(b):
        a, b = b, a
    if not len(a):
        return 0.0
    places = np.minimum(np.searchsorted(b, a), len(b) - 1)
    common = int(np.count_nonzero(b[places] == a))
    return common / (len(a) + len(b) - common)
