"""Tests of translation pairs: ``text`` is one side, ``translation`` the other."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from assets.cleaning.function_words import FUNCTION_WORDS
from assets.cleaning.languages import detect, judge
from assets.cleaning.numbers import numbers_differ
from assets.cleaning.placeholders import CANDIDATE, PLACEHOLDER, placeholders_differ
from assets.cleaning.steps import Test
from assets.cleaning.texts import Documents, Texts
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_WORD = re.compile(r"[^\W\d_]+")


def _failing(documents: Documents, differ: Callable[[str, str], bool], pattern: str) -> "np.ndarray":
    """Where ``differ`` says so, asked about the pairs only of which a side matches a pattern of RE2."""
    import numpy as np
    import pyarrow.compute as pc

    one, other = (pc.match_substring_regex(side.column, pattern) for side in documents.sides.values())
    found = np.zeros(len(documents), bool)
    for row in pc.indices_nonzero(pc.or_(one, other)).to_pylist():
        found[row] = differ(documents.text.strings[row], documents.translation.strings[row])
    return found


class Identical(Test):
    """Both sides have the same letters and digits but for case and placeholders: nothing was translated."""

    name: str = "identical"

    def fails(self, documents: Documents) -> "np.ndarray":
        import pyarrow.compute as pc

        one, other = (pc.utf8_lower(_only(side.column, r"[^\p{L}\p{N}]")) for side in documents.sides.values())
        same: np.ndarray = pc.equal(one, other).to_numpy(zero_copy_only=False)
        return same.astype(bool)


class NoLetters(Test):
    """A side without a letter, but for placeholders."""

    name: str = "no_letters"

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np
        import pyarrow.compute as pc

        bare = (pc.equal(_only(side.column, r"\PL"), "") for side in documents.sides.values())
        return np.logical_or.reduce([found.to_numpy(zero_copy_only=False) for found in bare])


def _only(column: "pa.Array", pattern: str) -> "pa.Array":
    """Texts without placeholders and without the characters that a pattern of RE2 matches."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(column, rf"{PLACEHOLDER}|{pattern}", "")


class LengthRatio(Test):
    """The longer side is more than ``at_most`` times as long as the shorter, both taken ``slack`` characters longer.

    The slack lets short sides differ: a Finnish word of 12 letters may stand for an English one of 4.
    """

    name: str = "length_ratio"
    at_most: float
    slack: int = 15

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        one, other = documents.text.characters + self.slack, documents.translation.characters + self.slack
        return np.maximum(one, other) > np.minimum(one, other) * self.at_most


class Numbers(Test):
    """A number of at least ``digits`` digits on one side that the other does not have in any form: ``numbers_differ``."""

    name: str = "numbers"
    digits: int = Field(2, gt=0)

    def fails(self, documents: Documents) -> "np.ndarray":
        languages = (documents.text.language, documents.translation.language)
        return _failing(documents, lambda one, other: numbers_differ(one, other, languages, self.digits), "[0-9]")


class Placeholders(Test):
    """The sides do not have the same placeholders: ``placeholders_differ``."""

    name: str = "placeholders"

    def fails(self, documents: Documents) -> "np.ndarray":
        return _failing(documents, placeholders_differ, CANDIDATE)


class Repeated(Test):
    """A side of ``words`` words and more of which fewer than ``at_least`` differ, while the other side's do differ."""

    name: str = "repeated"
    words: int = Field(8, gt=0)
    at_least: Share = 0.4

    def fails(self, documents: Documents) -> "np.ndarray":
        one, other = (self._repeats(side) for side in documents.sides.values())
        return one != other

    def _repeats(self, side: Texts) -> "np.ndarray":
        import numpy as np

        split = (text.split() for text in side.strings)
        repeats = (len(words) >= self.words and len(set(words)) < self.at_least * len(words) for words in split)
        return np.fromiter(repeats, bool, len(side))


class PairLanguage(Test):
    """A side that is in another than its declared language, judged by the words that the sides do not share.

    Function words tell most sides, detectors the others. Sides under ``characters`` are too short for a detector; they go
    where both seem to be in the other's language, or where one has two function words of the other's language and none of
    its own.
    """

    costly: ClassVar[bool] = True
    name: str = "language"
    characters: int = Field(40, gt=0)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        one, other = _Side.of(documents.text), _Side.of(documents.translation)
        found = np.zeros(len(documents), bool)
        for side, beside in ((one, other), (other, one)):
            for row in self._foreign(side, beside):
                found[row] = True
        short = np.minimum(one.texts.characters, other.texts.characters) < self.characters
        for row in np.flatnonzero(short & (one.own == 0) & (other.own == 0)).tolist():
            found[row] |= _likeliest(other.texts.strings[row]) == one.texts.language and (
                _likeliest(one.texts.strings[row]) == other.texts.language
            )
        return found

    def _foreign(self, side: "_Side", beside: "_Side") -> list[int]:
        """The rows of a side that is in another language."""
        import numpy as np

        strings, language = side.texts.strings, side.texts.language
        long = side.texts.characters >= self.characters
        unsure = np.flatnonzero(long & ~side.is_own).tolist()
        suspects = [row for row in unsure if detect(strings[row])[0] not in (language, "un")]
        own = [_own_words(strings[row], beside.texts.strings[row]) for row in suspects]
        verdicts = judge([" ".join(words) for words in own], language)
        found = [row for row, verdict in zip(suspects, verdicts, strict=True) if verdict is False]
        theirs = _function_words(beside.texts.language)
        for row in np.flatnonzero(~long & (side.own == 0) & (side.other >= 2)).tolist():
            words = {word.lower() for word in _own_words(strings[row], beside.texts.strings[row])}
            if len(words & theirs) >= 2:
                found.append(row)
        return found


@dataclass(frozen=True)
class _Side:
    """One side of pairs, and its function words: int64 [pairs] of its own and of the other language that has most."""

    texts: Texts
    own: "np.ndarray"
    other: "np.ndarray"

    @classmethod
    def of(cls, texts: Texts) -> "_Side":
        return cls(texts, *texts.function_words.by_text().opinions(texts.language))

    @property
    def is_own(self) -> "np.ndarray":
        """Where function words tell that a text is in its language: bool [pairs]."""
        found: np.ndarray = (self.own > self.other) & ((self.own > 1) | (self.other == 0))
        return found


@cache
def _function_words(language: str) -> frozenset[str]:
    return frozenset(FUNCTION_WORDS.get(language, "").split())


def _likeliest(text: str) -> str:
    """pycld2's best guess at the language of a short text, which is right for nine in ten of 15 characters and more."""
    import pycld2

    try:
        _, _, found = pycld2.detect(text.encode(), bestEffort=True)
    except pycld2.error:
        return "un"
    return str(found[0][1])


def _own_words(side: str, other: str) -> list[str]:
    """The words of a side that the other has not."""
    there = {word.lower() for word in _WORD.findall(other)}
    return [word for word in _WORD.findall(side) if word.lower() not in there]
