"""Words as benchmarks and documents are compared by: runs of ``\\w`` in NFC, each case-folded."""

import re
import unicodedata

WORD = re.compile(r"\w+")


def composed(text: str) -> str:
    """The text in NFC, so that a letter with its marks is one character of one word."""
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The words of a text in ``composed`` form, in order."""
    return list(map(str.casefold, WORD.findall(text)))


def spans(text: str) -> list[tuple[int, int]]:
    """Where each of the words of a text in ``composed`` form begins and ends, in characters."""
    return [match.span() for match in WORD.finditer(text)]
