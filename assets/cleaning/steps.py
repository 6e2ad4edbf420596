"""What a cleaning step is, and the steps that look at a text as a whole.

An edit changes texts and counts what it did; a test says which documents go, and its name is their reason. Steps are
built of Daft expressions, so a profile runs on any of Daft's engines.
"""

import re
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from assets.recipe.base import Config

if TYPE_CHECKING:
    from daft import DataFrame, Expression

# What cannot be text: controls other than tab and line feed, soft hyphens, invisible marks, non-characters.
# Joiners (U+200C, U+200D) stay: scripts and emoji need them.
CONTROLS = (
    r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u{ad}\u{200b}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{feff}"
    r"\u{fff9}-\u{fffb}\p{Noncharacter_Code_Point}]"
)
LINE_ENDS = r"\r\n?|[\x0c\u{85}\u{2028}\u{2029}]"
SPACES = r"[\u{a0}\u{1680}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]"


@dataclass(frozen=True)
class Languages:
    """Declared languages: of the column ``text``, and of ``translation`` where documents are pairs."""

    text: str
    translation: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns that hold text, with their languages."""
        return {"text": self.text} | ({"translation": self.translation} if self.translation else {})


class Step(Config):
    """A step of a profile; ``name`` is what ``without`` leaves out."""

    name: str


class Edit(Step):
    """Changes the text of a column. What it counts, by document, it adds to the columns that ``counts`` names."""

    @property
    def counts(self) -> tuple[str, ...]:
        return ()

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        """The frame with ``column``, whose declared language is ``language``, edited."""
        raise NotImplementedError


class Test(Step):
    """Says which documents go. A costly one runs on the documents only that passed every test before it."""

    __test__ = False  # no test of pytest's

    @property
    def costly(self) -> bool:
        return False

    def fails(self, languages: Languages) -> "Expression":
        """True for a document that has to go."""
        raise NotImplementedError


def of_texts(function: Callable[[list[str]], list[float]], text: "Expression") -> "Expression":
    """A number for each text, computed in Python over a batch. An expression may hold one of them only (Daft 0.7)."""
    import daft
    import pyarrow as pa

    @daft.func.batch(return_dtype=daft.DataType.float64())
    def numbers(series: daft.Series) -> pa.Array:
        return pa.array(function(series.to_pylist()), pa.float64())

    expression: daft.Expression = numbers(text)
    return expression


def edited(text: "Expression", candidates: str, edit: Callable[[str], tuple[str, int]]) -> "Expression":
    """Texts edited in Python, as a struct of ``text`` and ``found``.

    Those that do not match ``candidates``, a regular expression of RE2, stay as they are.
    """
    import daft
    import pyarrow as pa
    import pyarrow.compute as pc
    from daft import DataType

    @daft.func.batch(return_dtype=DataType.struct({"text": DataType.string(), "found": DataType.int64()}))
    def apply(series: daft.Series) -> pa.Array:
        texts = series.to_arrow()
        found = [0] * len(texts)
        rows = pc.indices_nonzero(pc.match_substring_regex(texts, candidates)).to_pylist()
        if rows:
            changed = texts.to_pylist()
            for row in rows:
                changed[row], found[row] = edit(changed[row])
            texts = pa.array(changed, pa.large_string())
        return pa.StructArray.from_arrays([texts, pa.array(found, pa.int64())], ["text", "found"])

    expression: daft.Expression = apply(text)
    return expression


# Edits

# Marks, and the letters beside Hangul that composition replaces. pyarrow's own utf8_normalize decomposes for NFC too.
_NOT_COMPOSED = (
    r"[\p{M}\x{0340}-\x{0345}\x{0374}\x{037e}\x{0387}\x{1100}-\x{11ff}\x{1f00}-\x{1fff}\x{2126}\x{212a}\x{212b}]"
)


def _composed(text: str) -> tuple[str, int]:
    return unicodedata.normalize("NFC", text), 0


class Characters(Edit):
    """One line end, no control or invisible characters, and in prose plain spaces and composed letters (NFC)."""

    name: str = "characters"
    prose: bool = True

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        from daft import col
        from daft.functions import get, regexp_replace

        text = regexp_replace(regexp_replace(col(column), LINE_ENDS, "\n"), CONTROLS, "")
        frame = frame.with_column(column, regexp_replace(text, SPACES, " ") if self.prose else text)
        if not self.prose:
            return frame
        return frame.with_column(column, get(edited(col(column), _NOT_COMPOSED, _composed), "text"))


class Spacing(Edit):
    """No white space at the ends of lines, one blank line at most between paragraphs, none around the text."""

    name: str = "spacing"

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        from daft import col
        from daft.functions import regexp_replace

        text = regexp_replace(col(column), r"[ \t]+(\n|$)", "$1")
        text = regexp_replace(text, r"\n{3,}", "\n\n")
        return frame.with_column(column, regexp_replace(text, r"^\n+|\n+$", ""))


# Measures. The ones named as FinGPT names them have its definitions (filter_jsonl.py of TurkuNLP/finngen-tools).

_LETTER = "a-zA-ZåäöÅÄÖ"
_WORD = r"\b(?:[A-ZÅÄÖ][a-zåäö]{1,}|[a-zåäö]{2,})\b"
_ANY_WORD = r"\p{L}{2,}"
_SHORT_WORD = rf"\b[{_LETTER}]\b"
_TOKEN = re.compile(r"[^\W\d_]+|\S")
# A letter lost to "?" (code page without ä) or to the national variants of 7-bit ASCII ({ | } for ä ö å).
_LOST_LETTER = r"\p{L}[?{|}]+\p{Ll}"
# UTF-8 read as Latin-1 or Windows-1252, once or twice, and characters that were lost for good.
_DAMAGE = r"\u{fffd}|Ã[\u{80}-\u{c2}¶…„\u{2013}ƒ]|Â[\u{a0}-\u{bf}]|â€|&[a-zA-Z]{4,6};"


def _share(pattern: str) -> "Callable[[Expression], Expression]":
    """Matches of ``pattern`` per character."""

    def measure(text: "Expression") -> "Expression":
        from daft import lit
        from daft.functions import clip, length, regexp_count

        return regexp_count(text, pattern) / clip(length(text), min=lit(1))

    return measure


def _count(pattern: str) -> "Callable[[Expression], Expression]":
    def measure(text: "Expression") -> "Expression":
        from daft.functions import regexp_count

        return regexp_count(text, pattern).cast("float64")

    return measure


def _characters(text: "Expression") -> "Expression":
    from daft.functions import length

    return length(text).cast("float64")


def _short_words(text: "Expression") -> "Expression":
    from daft import lit
    from daft.functions import clip, regexp_count

    short, words = regexp_count(text, _SHORT_WORD), regexp_count(text, _WORD)
    return short / clip(short + words, min=lit(1))


def _words_per_paragraph(text: "Expression") -> "Expression":
    from daft.functions import regexp_count

    return regexp_count(text, _WORD) / (regexp_count(text, r"\n[ \t]*\n") + 1)


def _words_per_line(text: "Expression") -> "Expression":
    from daft.functions import regexp_count

    return regexp_count(text, _ANY_WORD) / (regexp_count(text, r"\n+") + 1)


def _type_token(texts: list[str]) -> list[float]:
    tokens = (_TOKEN.findall(text) for text in texts)
    return [len(set(t)) / max(len(t), 1) for t in tokens]


def _repeated_lines(texts: list[str]) -> list[float]:
    """Share of the characters that stand in lines which stood in the same document before."""
    shares = []
    for text in texts:
        lines = [line for line in (raw.strip() for raw in text.split("\n")) if line]
        total = sum(map(len, lines))
        shares.append(1 - sum(map(len, set(lines))) / total if total else 0.0)
    return shares


def _compression(texts: list[str]) -> list[float]:
    """Bytes per byte of zlib's fastest compression, 1 for texts under 500 bytes: running text has 2 to 3."""
    raws = (text.encode() for text in texts)
    return [len(raw) / len(zlib.compress(raw, 1)) if len(raw) >= 500 else 1.0 for raw in raws]


def _longest_line(texts: list[str]) -> list[float]:
    return [float(max(map(len, text.split("\n")))) for text in texts]


def _mean_line(texts: list[str]) -> list[float]:
    """Mean length of the lines that are not empty, in characters."""
    means = []
    for text in texts:
        lines = [len(line) for line in text.split("\n") if line.strip()]
        means.append(sum(lines) / max(len(lines), 1))
    return means


MEASURES: "dict[str, Callable[[Expression], Expression]]" = {
    "characters": _characters,
    "words": _count(_ANY_WORD),
    "min-words": _count(_WORD),
    "avg-len": _words_per_paragraph,
    "digit-ratio": _share(r"[0-9]"),
    "upper-ratio": _share(r"\p{Lu}"),
    "punct-ratio": _share(r"[!-/:-@\[-`{-~]"),
    "foreign-ratio": _share(rf"[\p{{L}}--[{_LETTER}]]"),
    "short-ratio": _short_words,
    "words_per_line": _words_per_line,
    "alphanumeric": _share(r"[\p{L}\p{N}]"),
    "lost_letters": _share(_LOST_LETTER),
    "encoding_damage": _share(_DAMAGE),
}
"""Measures of a text that are Daft expressions. Ratios are per character, lengths in characters."""

COSTLY_MEASURES: dict[str, Callable[[list[str]], list[float]]] = {
    "type-token": _type_token,
    "repeated_lines": _repeated_lines,
    "compression": _compression,
    "longest_line": _longest_line,
    "mean_line": _mean_line,
}
"""Measures that need Python."""


# Tests


class Empty(Test):
    """A document, or a side of a pair, with no visible character after the edits."""

    name: str = "empty"

    def fails(self, languages: Languages) -> "Expression":
        from daft import col, lit
        from daft.functions import regexp

        fails = lit(False)
        for column in languages.columns:
            fails = fails | ~regexp(col(column), r"\S")
        return fails


class Bound(Test):
    """A measure of the text that must be at least, or at most, a bound."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _measurable(self) -> "Bound":
        known = [*MEASURES, *COSTLY_MEASURES]
        if self.measure not in known:
            raise ValueError(f"there is no measure {self.measure!r}; the measures are {', '.join(known)}")
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        return self

    @property
    def costly(self) -> bool:
        return self.measure in COSTLY_MEASURES

    def fails(self, languages: Languages) -> "Expression":
        from daft import col, lit

        text = col("text")
        value = of_texts(COSTLY_MEASURES[self.measure], text) if self.costly else MEASURES[self.measure](text)
        return value < lit(self.at_least) if self.at_least is not None else value > lit(self.at_most)


class MaxRepeat(Test):
    """FinGPT's max-repeat: one to three characters that follow each other more than ``repeats`` + 1 times."""

    name: str = "max-repeat"
    repeats: int = Field(ge=1)

    @property
    def costly(self) -> bool:
        return True

    def fails(self, languages: Languages) -> "Expression":
        from daft import col, lit

        pattern = re.compile(rf"(.{{1,3}})\1{{{self.repeats + 1}}}")
        return of_texts(lambda texts: [float(pattern.search(text) is not None) for text in texts], col("text")) > lit(0)


class Marker(Test):
    """A phrase in the first ``within`` characters, upper or lower case."""

    pattern: str
    within: int = 2_000

    def fails(self, languages: Languages) -> "Expression":
        from daft import col
        from daft.functions import left, regexp

        return regexp(left(col("text"), self.within), f"(?i){self.pattern}")


class Licence(Test):
    """A licence that does not begin like one of ``allowed``, upper or lower case."""

    name: str = "licence"
    allowed: tuple[str, ...]

    def fails(self, languages: Languages) -> "Expression":
        from daft import col
        from daft.functions import regexp

        return ~regexp(col("license"), f"(?i)^(?:{'|'.join(re.escape(prefix) for prefix in self.allowed)})")
