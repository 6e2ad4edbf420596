"""Measures of texts, by the names that ``Bound`` knows them by.

The ones with a hyphen have FinGPT's definitions (arXiv 2311.05640; filter_jsonl.py of TurkuNLP/finngen-tools). Ratios are
per character, lengths in characters.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from assets.cleaning.texts import Texts

if TYPE_CHECKING:
    import numpy as np

Measure = Callable[[Texts], "np.ndarray"]
"""A number for each text: float64 [texts]."""

_FINNISH_LETTER = "[a-zA-ZåäöÅÄÖ]"
_TOKEN = re.compile(r"[^\W\d_]+|\S")
# A letter lost to "?" (code page without ä) or to the national variants of 7-bit ASCII ({ | } for ä ö å).
_LOST_LETTER = r"\p{L}[?{|}]+\p{Ll}"
# UTF-8 read as Latin-1 or Windows-1252, once or twice, and characters that were lost for good.
_DAMAGE = r"\x{fffd}|Ã[\x{80}-\x{c2}¶…„\x{2013}ƒ]|Â[\x{a0}-\x{bf}]|â€|&[a-zA-Z]{4,6};"


def _share(pattern: str) -> Measure:
    """Matches of ``pattern`` (RE2) per character."""

    def measure(texts: Texts) -> "np.ndarray":
        return texts.count(pattern) / texts.characters.clip(min=1)

    return measure


def _foreign_letters(texts: Texts) -> "np.ndarray":
    letters = texts.count(r"\p{L}") - texts.count(_FINNISH_LETTER)
    return letters / texts.characters.clip(min=1)


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
    """Mean length of the lines that are not empty."""
    lengths = ([len(line) for line in lines if line.strip()] for lines in texts.lines)
    return _floats(sum(each) / max(len(each), 1) for each in lengths)


def _repeated_lines(texts: Texts) -> "np.ndarray":
    """Share of the characters that stand in lines which stood in the same document before."""
    return _floats(map(_repeated, texts.lines))


def _repeated(lines: list[str]) -> float:
    stripped = [line for line in map(str.strip, lines) if line]
    total = sum(map(len, stripped))
    return 1 - sum(map(len, set(stripped))) / total if total else 0.0


def _floats(values: Iterable[float]) -> "np.ndarray":
    import numpy as np

    return np.fromiter(values, np.float64)


MEASURES: dict[str, Measure] = {
    "characters": lambda texts: texts.characters,
    "words": lambda texts: texts.count(r"\p{L}{2,}"),
    "min-words": lambda texts: texts.fingpt_words,
    "avg-len": _words_per_paragraph,
    "digit-ratio": _share(r"[0-9]"),
    "upper-ratio": _share(r"\p{Lu}"),
    "punct-ratio": _share(r"[!-/:-@\[-`{-~]"),
    "foreign-ratio": _foreign_letters,
    "short-ratio": _short_words,
    "type-token": _type_token,
    "words_per_line": lambda texts: texts.count(r"\p{L}{2,}") / (texts.count(r"\n+") + 1),
    "alphanumeric": _share(r"[\p{L}\p{N}]"),
    "lost_letters": _share(_LOST_LETTER),
    "encoding_damage": _share(_DAMAGE),
    "repeated_lines": _repeated_lines,
    "compression": _compression,
    "longest_line": _longest_line,
    "mean_line": _mean_line,
}
