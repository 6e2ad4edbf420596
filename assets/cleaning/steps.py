"""What a cleaning step is, and the steps that look at a text as a whole.

An edit changes texts and counts what it did; a test says which documents go, and its name is their reason. Both work on a
slice of documents at a time and judge each document by itself, so that slices can be shared among workers.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from assets.cleaning.measures import MEASURES
from assets.cleaning.texts import Documents, Texts
from assets.recipe.base import Config

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass
class Edited:
    """What an edit made: the new column (the same object where nothing changed), and by name what it counted (int64) and
    what it leaves for tests to know; a value for each text.
    """

    column: "pa.Array"
    counts: "dict[str, np.ndarray]" = field(default_factory=dict)
    facts: "dict[str, np.ndarray]" = field(default_factory=dict)


class Step(Config, ABC):
    """A step of a profile; ``name`` is what ``without`` leaves out."""

    name: str


class Edit(Step):
    """Changes texts. ``counts`` names what it counts; the sums are in the manifest."""

    @property
    def counts(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def apply(self, texts: Texts) -> Edited:
        """The texts edited."""


class Test(Step):
    """Says which documents go. A costly one runs on the documents only that passed every test before it."""

    __test__ = False  # no test of pytest's
    costly: ClassVar[bool] = False

    @abstractmethod
    def fails(self, documents: Documents) -> "np.ndarray":
        """True for a document that has to go: bool [documents]."""


# Edits


class Mask(Edit):
    """Replaces what must not be in a text by a fixed string, and counts as ``masked_`` and its name how often.

    ``mask`` is asked about the texts only that match ``candidates``, a pattern of RE2.
    """

    candidates: ClassVar[str]

    @property
    def counts(self) -> tuple[str, ...]:
        return (f"masked_{self.name}",)

    @abstractmethod
    def mask(self, text: str) -> tuple[str, int]:
        """The text with its masks, and how many were put in."""

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        found = np.zeros(len(texts), np.int64)
        matches = pc.match_substring_regex(texts.column, self.candidates)
        rows = pc.indices_nonzero(matches)
        if not len(rows):
            return Edited(texts.column, {self.counts[0]: found})
        masked = [self.mask(text) for text in texts.column.take(rows).to_pylist()]
        found[rows.to_numpy()] = [count for _, count in masked]
        if not found.any():
            return Edited(texts.column, {self.counts[0]: found})
        changed = pa.array([text for text, _ in masked], pa.large_string())
        return Edited(pc.replace_with_mask(texts.column, matches, changed), {self.counts[0]: found})


# What cannot be text: controls other than tab and line feed, soft hyphens, invisible marks, non-characters.
# Joiners (U+200C, U+200D) stay: scripts and emoji need them.
_CONTROLS = (
    r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{feff}"
    r"\x{fff9}-\x{fffb}\x{fdd0}-\x{fdef}"
    + "".join(rf"\x{{{plane:x}fffe}}\x{{{plane:x}ffff}}" for plane in range(1, 17))
    + r"\x{fffe}\x{ffff}]"
)
_LINE_ENDS = r"\r\n?|[\x0c\x{85}\x{2028}\x{2029}]"
_SPACES = r"[\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"
# Marks, and the letters beside Hangul that composition replaces. pyarrow's own utf8_normalize decomposes for NFC too.
_NOT_COMPOSED = (
    r"[\p{M}\x{0340}-\x{0345}\x{0374}\x{037e}\x{0387}\x{1100}-\x{11ff}\x{1f00}-\x{1fff}\x{2126}\x{212a}\x{212b}]"
)


def replaced(column: "pa.Array", pattern: str, replacement: str) -> "pa.Array":
    """Texts with every match of a pattern of RE2 replaced; the same object where none matches."""
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(column, pattern)).as_py():
        return column
    return pc.replace_substring_regex(column, pattern, replacement)


class Characters(Edit):
    """One line end, no control or invisible characters, and in prose plain spaces and composed letters (NFC)."""

    name: str = "characters"
    prose: bool = True

    def apply(self, texts: Texts) -> Edited:
        column = replaced(replaced(texts.column, _LINE_ENDS, "\n"), _CONTROLS, "")
        return Edited(_composed(replaced(column, _SPACES, " ")) if self.prose else column)


def _composed(column: "pa.Array") -> "pa.Array":
    """Texts in NFC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pc.indices_nonzero(pc.match_substring_regex(column, _NOT_COMPOSED)).to_pylist()
    if not rows:
        return column
    texts = column.to_pylist()
    for row in rows:
        texts[row] = unicodedata.normalize("NFC", texts[row])
    return pa.array(texts, pa.large_string())


class Spacing(Edit):
    """No white space at the ends of lines, one blank line at most between paragraphs, none around the text."""

    name: str = "spacing"

    def apply(self, texts: Texts) -> Edited:
        column = replaced(texts.column, r"[ \t]+(\n|$)", r"\1")
        column = replaced(column, r"\n{3,}", "\n\n")
        return Edited(replaced(column, r"^\n+|\n+$", ""))


# Tests


class Empty(Test):
    """A document, or a side of a pair, with no visible character after the edits."""

    name: str = "empty"

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        return np.logical_or.reduce([[not text.strip() for text in side.strings] for side in documents.sides.values()])


class Bound(Test):
    """A measure of the text that must be at least, or at most, a bound."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _measurable(self) -> "Bound":
        if self.measure not in MEASURES:
            raise ValueError(f"there is no measure {self.measure!r}; the measures are {', '.join(MEASURES)}")
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        return self

    def fails(self, documents: Documents) -> "np.ndarray":
        value = MEASURES[self.measure](documents.text)
        return value < self.at_least if self.at_least is not None else value > self.at_most


class MaxRepeat(Test):
    """FinGPT's max-repeat: one to three characters that follow each other more than ``repeats`` + 1 times."""

    name: str = "max-repeat"
    repeats: int = Field(ge=1)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        pattern = re.compile(rf"(.{{1,3}})\1{{{self.repeats + 1}}}")
        return np.array([pattern.search(text) is not None for text in documents.text.strings], bool)


class Marker(Test):
    """A phrase (a pattern of RE2) in the first ``within`` characters, upper or lower case."""

    pattern: str
    within: int = 2_000

    def fails(self, documents: Documents) -> "np.ndarray":
        import pyarrow.compute as pc

        beginnings = pc.utf8_slice_codeunits(documents.text.column, 0, self.within)
        return _booleans(pc.match_substring_regex(beginnings, f"(?is){self.pattern}"))


class Licence(Test):
    """A licence that does not begin like one of ``allowed``, upper or lower case."""

    name: str = "licence"
    allowed: tuple[str, ...]

    def fails(self, documents: Documents) -> "np.ndarray":
        import pyarrow.compute as pc

        pattern = f"(?i)^(?:{'|'.join(re.escape(prefix) for prefix in self.allowed)})"
        return ~_booleans(pc.match_substring_regex(documents.license, pattern))


def _booleans(array: "pa.Array") -> "np.ndarray":
    found: np.ndarray = array.to_numpy(zero_copy_only=False)
    return found.astype(bool)
