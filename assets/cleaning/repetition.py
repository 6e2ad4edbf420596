"""Tests of text that repeats itself: n-grams of words, and runs of characters.

The n-grams are those of Gopher (Rae et al. 2021, arXiv 2112.11446, Table A1), over vectors of word hashes instead of loops.
"""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from assets.cleaning.letters import LetterWords
from assets.cleaning.steps import Test
from assets.cleaning.texts import Documents
from assets.recipe.base import Share
from assets.words import MULTIPLIER, TextBytes, mix

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Bytes of a unit that is repeated in a run, and how often it stands there at least.
_UNITS = (1, 2, 3, 4)
_TIMES = 8


class RepeatedWords(Test):
    """Too large a part of a document's words stands in n-grams that repeat.

    ``top_n``: the one n-gram that takes most, its occurrences times its length. ``repeated_n``: n-grams that stood in the
    document before; a word that stands in several counts once. Words have letters only (``assets.cleaning.letters``), so
    that numbered copies of a sentence are copies; shares are of the bytes of the words. The defaults are Gopher's thresholds.
    """

    costly: ClassVar[bool] = True
    name: str = "repeated_words"
    top_2: float = Field(0.20, ge=0)
    top_3: float = Field(0.18, ge=0)
    top_4: float = Field(0.16, ge=0)
    repeated_5: Share = 0.15
    repeated_6: Share = 0.14
    repeated_7: Share = 0.13
    repeated_8: Share = 0.12
    repeated_9: Share = 0.11
    repeated_10: Share = 0.10

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        top = (self.top_2, self.top_3, self.top_4)
        repeated = (
            self.repeated_5,
            self.repeated_6,
            self.repeated_7,
            self.repeated_8,
            self.repeated_9,
            self.repeated_10,
        )
        found: np.ndarray = np.any(repeated_shares(documents.text.letters) > np.array([*top, *repeated]), axis=1)
        return found


def repeated_shares(texts: LetterWords) -> "np.ndarray":
    """The shares that ``RepeatedWords`` bounds, for n of 2 to 10, of each text: float64 [texts, 9].

    Two n-grams are the same when their 64-bit hashes are; among n words any two different ones share a hash with a
    probability of about n^2 / 2^65.
    """
    import numpy as np

    words, hashes, document = texts.words, texts.hashes, texts.text
    lengths = words.ends - words.starts
    ends = np.concatenate([[0], np.cumsum(lengths)])
    last = words.bounds[1:][document]
    shares = np.zeros((len(texts), 9))
    # The n-grams that are left: where they begin, and their hashes, which begin with the document so that none shares one.
    begins = np.arange(len(hashes))
    rolled = mix(document.astype(np.uint64)) + hashes
    for size in range(2, 11):
        inside = begins + size <= last[begins]
        begins, rolled = begins[inside], rolled[inside]
        rolled = mix(rolled) * np.uint64(MULTIPLIER) + hashes[begins + size - 1]
        counts, stood_before = _occurrences(rolled)
        repeats = counts > 1
        if size <= 4:
            taken = counts[repeats] * (ends[begins[repeats] + size] - ends[begins[repeats]])
            np.maximum.at(shares[:, size - 2], document[begins[repeats]], taken)
        else:
            covered = _covered(begins[stood_before], begins[stood_before] + size, len(hashes))
            shares[:, size - 2] = np.bincount(document[covered], lengths[covered], len(texts))
        # A longer n-gram can repeat only where this one does.
        begins, rolled = begins[repeats], rolled[repeats]
    total = ends[words.bounds[1:]] - ends[words.bounds[:-1]]
    return shares / total.clip(min=1)[:, None]


def _occurrences(values: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """How often each value stands in ``values`` (int64), and whether it stood there before (bool)."""
    import numpy as np
    import pandas as pd

    codes = pd.factorize(values)[0]
    counts = np.bincount(codes, minlength=1)[codes]
    # Codes are numbered as they come, so a new one is larger than all before it.
    before = np.diff(np.maximum.accumulate(codes), prepend=-1) == 0
    return counts, before


def _covered(begins: "np.ndarray", ends: "np.ndarray", size: int) -> "np.ndarray":
    """Which of ``size`` places lie in one of the spans from ``begins`` up to ``ends``: bool [size]."""
    import numpy as np

    edges = np.bincount(begins, minlength=size + 1) - np.bincount(ends, minlength=size + 1)
    found: np.ndarray = np.cumsum(edges)[:size] > 0
    return found


class CharacterRuns(Test):
    """Too large a share of a document's bytes stands in runs of one to four visible bytes that follow each other eight
    times and more ("aaaaaaaa", "-=-=-=-=...").
    """

    name: str = "character_runs"
    at_most: Share

    def fails(self, documents: Documents) -> "np.ndarray":
        return run_shares(documents.text.column) > self.at_most


def run_shares(column: "pa.Array") -> "np.ndarray":
    """The share of each text that ``CharacterRuns`` bounds: float64 [texts]."""
    import numpy as np

    texts = TextBytes.of_column(column)
    data, bounds = texts.data, texts.bounds
    begins, ends = [], []
    for unit in _UNITS:
        # same[i]: byte i is the one ``unit`` places before it, in the same text, and visible.
        same = np.zeros(len(data) + 1, bool)
        same[unit:-1] = (data[unit:] == data[:-unit]) & (data[unit:] > ord(" "))
        for place in range(unit):
            same[np.minimum(bounds + place, len(data))] = False
        changes = np.flatnonzero(same[1:] != same[:-1]) + 1
        first, after = changes[::2], changes[1::2]
        long = after - first >= unit * (_TIMES - 1)
        begins.append(first[long] - unit)
        ends.append(after[long])
    covered = np.concatenate([[0], np.cumsum(_covered(np.concatenate(begins), np.concatenate(ends), len(data)))])
    found: np.ndarray = np.diff(covered[bounds]) / np.diff(bounds).clip(min=1)
    return found
