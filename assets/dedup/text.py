"""What makes two texts the same: normalised text, its digest, and the shingles of near-duplicates."""

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Odd, so that multiplying by it loses nothing modulo 2^64 (the golden ratio in 64 bits, Knuth, TAOCP 3, section 6.4).
MULTIPLIER = 0x9E3779B97F4A7C15


def normalise(text: str) -> str:
    """The text case-folded, in NFC, its words (runs without white space) joined by single spaces."""
    # Case-folding can take a text out of NFC, so NFC comes after it as well as before.
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def digest(text: str, translation: str | None) -> bytes:
    """SHA-256 (32 bytes) of a normalised document; a pair is the same as another when both sides are."""
    sides = text if translation is None else f"{text}\n{translation}"  # no normalised text has a line break
    return hashlib.sha256(sides.encode()).digest()


def shingles(words: Sequence[str], size: int) -> "np.ndarray":
    """Sorted, distinct 64-bit hashes of the runs of ``size`` words: uint64 [shingles].

    A polynomial over 64-bit hashes of the words (SipHash with a fixed key, as pandas has it), modulo 2^64. That any two
    of n shingles share a hash has a probability of about n^2 / 2^65.
    """
    import numpy as np
    from pandas.util import hash_array

    if len(words) < size:
        return np.empty(0, dtype=np.uint64)
    hashes = hash_array(np.array(words, dtype=object), categorize=False)
    count = len(words) - size + 1
    rolled = np.zeros(count, dtype=np.uint64)
    for place in range(size):
        rolled = rolled * np.uint64(MULTIPLIER) + hashes[place : place + count]
    return np.unique(rolled)


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
