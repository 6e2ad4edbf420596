"""Texts of words that their language does not write: read badly by OCR, typed at random, enciphered, or in no language.

What a language writes is the letter trigrams of its words, in ``trigrams/<language>.txt``; ``infra/trigrams.py`` makes
such a file from good text. A language without one is not judged.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from assets.cleaning.steps import Test
from assets.cleaning.texts import Documents, Texts
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path(__file__).parent / "trigrams"
COMPANY = "en"
"""The language whose words stand among those of every other: names of products, technical terms."""
BORDER = "_"
LETTERS = 30
"""The most letters that a language has here; with the border and "another letter" they make five bits."""
SHORTEST = 3
_OTHER = LETTERS + 1
_CODES = 0x10000
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Trigrams:
    """The trigrams of lower-case letters that the words of a language have, with ``BORDER`` before and after a word."""

    letters: str
    usual: frozenset[str]

    @classmethod
    def of_lines(cls, lines: list[str]) -> "Trigrams":
        """The trigrams of a file: two letters, a space, and the letters that follow them; lines with # say where from."""
        rows = [line.split(" ") for line in lines if line and not line.startswith("#")]
        usual = frozenset(first + third for first, thirds in rows for third in thirds)
        return cls("".join(sorted(set("".join(usual)) - {BORDER})), usual)

    @cached_property
    def classes(self) -> "np.ndarray":
        """What a code point is: 0 no letter, 1 to 30 a letter of the language, 31 another or a capital; uint8 [65536]."""
        import numpy as np

        table = np.fromiter((chr(code).isalpha() * _OTHER for code in range(_CODES)), np.uint8, _CODES)
        table[[ord(letter) for letter in self.letters]] = range(1, len(self.letters) + 1)
        return table

    @cached_property
    def unusual(self) -> "np.ndarray":
        """Whether a trigram of classes is none of the language's: bool [32768], five bits for each class."""
        import numpy as np

        place = {letter: number for number, letter in enumerate(BORDER + self.letters)}
        table = np.ones(1 << 15, bool)
        table[[(place[t[0]] << 10) + (place[t[1]] << 5) + place[t[2]] for t in self.usual]] = False
        return table

    def knows(self, word: str) -> bool:
        """Whether a word in lower case is written with the letters of the language."""
        return not set(word).difference(self.letters)

    def has(self, word: str) -> bool:
        """Whether the language has all trigrams of a word in lower case."""
        framed = f"{BORDER}{word}{BORDER}"
        return all(framed[place : place + 3] in self.usual for place in range(len(word)))


@lru_cache
def trigrams(language: str) -> Trigrams | None:
    """The trigrams of a language; None where it has no file."""
    file = FOLDER / f"{language}.txt"
    return Trigrams.of_lines(file.read_text("utf-8").splitlines()) if file.is_file() else None


def digests() -> dict[str, str]:
    """The first 16 characters of the SHA-256 of every file of trigrams, by language."""
    files = sorted(FOLDER.glob("*.txt"))
    return {file.stem: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


class StrangeWords(Test):
    """Too many of the document's different words have letters in a sequence that neither their language nor English has.

    Words are those of three letters and more, in lower case (names are not judged) and the language's own letters.
    A document fails when its strange words, less ``few``, are more than ``at_most`` of them.

    Measured with the files in the repository on text that they are not made from. Of Finnish documents of 2,000 characters
    (encyclopedia, news, blogs, fiction, verse, documentation) 0.15 % fail, of pieces of 300 characters 0.5 %; with 6 %,
    9 % and 12 % of the letters replaced at random 100 % of the former fail, and 57 %, 86 % and 97 % of the latter. With
    12 % of the letters misread, mistyped or swapped 99.9 % of the former fail, with 12 % left out 72 %, with 3 % replaced
    47 %. In English (novels, encyclopedia, documentation) 0.0 % and 0.15 % of the clean ones fail, and 99.9 % and 43 %
    with 6 % of the letters replaced.
    """

    costly: ClassVar[bool] = True
    name: str = "strange_words"
    at_most: Share = 0.2
    few: int = Field(2, ge=0)
    files: dict[str, str] = Field(default_factory=digests, description="what decides the result, by language")

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        texts = documents.text
        known = _known(texts.language)
        found = np.zeros(len(texts), bool)
        if not known or not len(texts):
            return found
        words, strange = running_words(texts, known)
        # What is repeated counts once: few texts are near enough to look at word by word.
        for row in np.flatnonzero(strange - self.few > self.at_most / 2 * words).tolist():
            different = different_words(texts.strings[row], known)
            found[row] = sum(different.values()) - self.few > self.at_most * len(different)
        return found


def _known(language: str) -> list[Trigrams]:
    """The trigrams that words of ``language`` may have: its own, then those of English; none where it has no file."""
    own, company = trigrams(language), trigrams(COMPANY)
    if own is None:
        return []
    return [own] if company is None or language == COMPANY else [own, company]


def different_words(text: str, known: list[Trigrams]) -> dict[str, bool]:
    """The different words of a text that are judged, and whether they are strange."""
    own = known[0]
    words = {word for word in _WORD.findall(text) if len(word) >= SHORTEST and own.knows(word)}
    return {word: not any(model.has(word) for model in known) for word in words}


def running_words(texts: Texts, known: list[Trigrams]) -> "tuple[np.ndarray, np.ndarray]":
    """How many words of each text are judged, and how many of these are strange: int64 [texts] both."""
    import numpy as np

    joined = "\n".join(["", *texts.strings, ""])
    codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    codes = np.minimum(codes, _CODES - 1).astype(np.uint16)
    letter = known[0].classes[codes] > 0
    edges = np.flatnonzero(letter[1:] != letter[:-1]) + 1
    first, last = edges[0::2], edges[1::2]
    if not len(first):
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    judged, strange = last - first >= SHORTEST, np.ones(len(first), bool)
    for number, model in enumerate(known):
        classes = model.classes[codes]
        other = np.logical_or.reduceat(classes == _OTHER, first)
        wide = classes.astype(np.uint16)
        unusual = model.unusual[(wide[:-2] << 10) | (wide[1:-1] << 5) | wide[2:]] & letter[1:-1]
        strange &= np.logical_or.reduceat(unusual, first - 1) | other
        if number == 0:
            judged &= ~other
    counted = np.stack([judged, judged & strange])
    sums = np.concatenate([np.zeros((2, 1), np.int64), np.cumsum(counted, axis=1, dtype=np.int64)], axis=1)
    bounds = np.searchsorted(first, np.concatenate([[0], np.cumsum(texts.characters + 1)]) + 1)
    words, strange_ones = sums[:, bounds[1:]] - sums[:, bounds[:-1]]
    return words, strange_ones
