"""Measures of texts, by the names that ``Bound`` knows them by.

The ones with a hyphen have FinGPT's definitions (arXiv 2311.05640; filter_jsonl.py of TurkuNLP/finngen-tools). Ratios are
per character, lengths in characters.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from assets.cleaning.alphabets import letters_of
from assets.cleaning.texts import Texts

if TYPE_CHECKING:
    import numpy as np

Measure = Callable[[Texts], "np.ndarray"]
"""A number for each text: float64 [texts]."""

_BLANK_LINES = re.compile(r"\n[ \t]*\n")
# Three words and more without a full stop between, the last one with a full stop: no abbreviation, no number.
_SENTENCE = (
    r"\p{L}[\p{L}\p{M}]+[,;:،]?\s+[(\[\"”“»«]?\p{L}[\p{L}\p{M}]*[,;:،]?\s+[^.!?…。！？؟।]*[\p{L}\p{M})\]\"”’%]"
    r"[.!?…。！？؟।]+[\"”’»)\]]*(?:\s|$)"
)
_TOKEN = re.compile(r"[^\W\d_]+|\S")
# Marks that stand between letters where a letter of another code page, or none at all, was meant; braces by themselves.
_LOST_LETTER = r"\p{L}[?¤□■¿¦§£¬°±¶¸¹²³÷×◊≈√‰†‡•„“”‹›«»€™\x{1a}]+\p{Ll}"
_LOST_TO_BRACES = r"\p{L}[{|}]+\p{Ll}"
_QUERY = r"\p{L}\?\p{Ll}+="
# Marks between small letters, as bad OCR leaves them.
_BROKEN_WORD = r"\p{Ll}[.,:;*^~|·!]+\p{Ll}"
# UTF-8 read as something else, what is left of it without its control characters, escapes of letters, and U+FFFD.
_DAMAGE = (
    r"\x{fffd}|Ã[\x{80}-\x{c2}¶…„\x{2013}\x{2026}ƒ‚€™]|\p{Ll}Ã|Ã\p{Ll}|Â[\x{a0}-\x{bf}]|â[€¬¢]|Ã¢|[├┬][ñÑÂÄä┤╢]|√[§∂•Ñ]|Г[¤¶]|вЂ"
    r"|&[a-zA-Z](?:uml|ring|acute|grave|circ|tilde|cedil|lig|slash|caron);"
    r"|\p{L}&#\d{2,4};|&#\d{2,4};\p{L}|\p{L}\\u00[c-fC-F][0-9a-fA-F]"
)
# The keys of JSON and the ends of elements of XML and HTML.
_DATA = r"\"[\w.-]+\"\s*:|</[A-Za-z][\w:.-]*>"
# Lost letters that any text may seem to have.
_FEW = 2


def _share(pattern: str) -> Measure:
    """Matches of ``pattern`` (RE2) per character."""

    def measure(texts: Texts) -> "np.ndarray":
        return texts.count(pattern) / texts.characters.clip(min=1)

    return measure


def _foreign_letters(texts: Texts) -> "np.ndarray":
    """Letters that the declared language is not written with, per character; none where its letters are not known."""
    letters = letters_of(texts.language)
    if letters is None:
        return texts.characters * 0.0
    return _share(rf"[^\P{{L}}{''.join(letters)}]")(texts)


def _lost_letters(texts: Texts) -> "np.ndarray":
    """Marks instead of letters within words, less two, per word: 0.25 where Finnish lost its letters.

    Braces, which stand in formulas too, count half. Of 20,000 healthy texts nearly all have 0, and 0.006 is the most.
    """
    lost = texts.count(_LOST_LETTER) - texts.count(_QUERY) + texts.count(_LOST_TO_BRACES) / 2
    return (lost - _FEW).clip(min=0) / texts.words.clip(min=1)


def _broken_words(texts: Texts) -> "np.ndarray":
    """Marks between small letters, less two, per word. Of 12,000 healthy texts two, which list names of interfaces, have over
    0.15; prose has 0.03 at most; with every tenth letter read as a mark Finnish has 0.3.
    """
    return (texts.count(_BROKEN_WORD) - _FEW).clip(min=0) / texts.words.clip(min=1)


def _short_words(texts: Texts) -> "np.ndarray":
    short = texts.fingpt_short_words
    return short / (short + texts.fingpt_words).clip(min=1)


def _words_per_paragraph(texts: Texts) -> "np.ndarray":
    return texts.fingpt_words / (texts.count(r"\n[ \t]*\n") + 1)


def _type_token(texts: Texts) -> "np.ndarray":
    tokens = (_TOKEN.findall(text) for text in texts.strings)
    return _floats(len(set(t)) / max(len(t), 1) for t in tokens)


def _compression(texts: Texts) -> "np.ndarray":
    """Bytes per byte of zlib's fastest compression, 1 for texts under 500 bytes: running text has 2 to 3."""
    raws = (text.encode() for text in texts.strings)
    return _floats(len(raw) / len(zlib.compress(raw, 1)) if len(raw) >= 500 else 1.0 for raw in raws)


def _longest_line(texts: Texts) -> "np.ndarray":
    return _floats(max(map(len, lines)) for lines in texts.lines)


def _mean_line(texts: Texts) -> "np.ndarray":
    """Mean length of the lines, empty ones too, as BigCode's filters count it."""
    ends = texts.count(r"\n")
    return (texts.characters - ends) / (ends + 1)


def _repeated_lines(texts: Texts) -> "np.ndarray":
    """Share of the characters that stand in lines which stood in the same document before."""
    return _floats(map(_repeated, texts.lines))


def _repeated_paragraphs(texts: Texts) -> "np.ndarray":
    """The same for paragraphs, what blank lines part."""
    return _floats(_repeated(_BLANK_LINES.split(text)) if "\n\n" in text else 0.0 for text in texts.strings)


def _repeated(lines: list[str]) -> float:
    stripped = [line for line in map(str.strip, lines) if line]
    total = sum(map(len, stripped))
    return 1 - sum(map(len, set(stripped))) / total if total else 0.0


def _floats(values: Iterable[float]) -> "np.ndarray":
    import numpy as np

    return np.fromiter(values, np.float64)


MEASURES: dict[str, Measure] = {
    "characters": lambda texts: texts.characters,
    "words": lambda texts: texts.words,
    "min-words": lambda texts: texts.fingpt_words,
    "avg-len": _words_per_paragraph,
    "digit-ratio": _share(r"[0-9]"),
    "upper-ratio": _share(r"\p{Lu}"),
    "punct-ratio": _share(r"[!-/:-@\[-`{-~]"),
    "foreign-ratio": _foreign_letters,
    "short-ratio": _short_words,
    "type-token": _type_token,
    "words_per_line": lambda texts: texts.words / (texts.count(r"\n+") + 1),
    "alphanumeric": _share(r"[\p{L}\p{N}]"),
    "lost_letters": _lost_letters,
    "broken_words": _broken_words,
    "encoding_damage": _share(_DAMAGE),
    "data_marks": lambda texts: texts.count(_DATA) / texts.words.clip(min=1),
    "repeated_lines": _repeated_lines,
    "repeated_paragraphs": _repeated_paragraphs,
    "sentences": lambda texts: 1000 * texts.count(_SENTENCE) / texts.characters.clip(min=1),
    "compression": _compression,
    "longest_line": _longest_line,
    "mean_line": _mean_line,
}
