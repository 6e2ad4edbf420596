"""Steps that judge languages: of a document, of its lines, and of the sides of a pair.

pycld2 (Compact Language Detector 2, 15 MB/s) judges first; py3langid (2 MB/s) is asked where it is not sure, and before
a line is called foreign in a language that short lines are often taken for.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from assets.cleaning.steps import Edit, Edited, Test
from assets.cleaning.texts import Documents, Texts
from assets.corpora.language import COMPANY, identify
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np

_WORD = re.compile(r"[^\W\d_]{2,}")
# Below this score per kilobyte of its likeliest language pycld2 is often wrong about a line; running text has 700.
_SCORE = 600
_SECOND_OPINION = 0.7
# Characters; shorter lines are headings, labels and names, which no language can be told of.
MIN_LINE = 25
DECLARED_SHARE = "declared_share"
"""The fact that ``ForeignLines`` leaves: see ``split_lines``."""


def detect(text: str) -> tuple[str, int, bool]:
    """pycld2's likeliest language, its percentage of the text, and whether it is sure; "un" for what it cannot read."""
    import pycld2

    try:
        reliable, _, found = pycld2.detect(text.encode())
    except pycld2.error:  # characters that it does not take for text
        return "un", 0, False
    _, language, percent, score = found[0]
    return language, percent, reliable and score >= _SCORE


def judge(texts: Sequence[str], declared: str) -> list[bool | None]:
    """Of each text: True where it surely is in the declared language, False where it surely is in another, else None.

    What is not prose is never called foreign.
    """
    verdicts: list[bool | None] = []
    unsure = []
    for place, text in enumerate(texts):
        language, percent, sure = detect(text)
        verdict = language == declared if sure and percent >= 80 else None
        if not verdict and not is_prose(text):
            verdict = None
        # English is what other languages are mixed with, and what pycld2 knows best.
        elif verdict is None or (not verdict and language != "en"):
            unsure.append(place)
        verdicts.append(verdict)
    for place, (language, probability) in zip(unsure, identify((texts[i] for i in unsure), declared), strict=True):
        verdicts[place] = language == declared if probability >= _SECOND_OPINION else None
    return verdicts


def is_prose(line: str) -> bool:
    """Whether a line is long enough, and words enough, to judge its language: no code, no command, no table row."""
    line = line.strip()
    if len(line) < MIN_LINE:
        return False
    words = _WORD.findall(line)
    return len(words) >= 4 and sum(map(len, words)) + min(line.count(" "), len(words)) >= 0.85 * len(line)


def split_lines(texts: Sequence[str], declared: str) -> list[tuple[str, int, float]]:
    """Each text without its foreign lines, how many they were, and the declared language's share of what was judged.

    A line is foreign when it is prose of at least 25 characters and surely in another language. Shares are of
    characters, 1 where no line was judged. A line that stands in many texts is judged once.
    """
    documents = [text.split("\n") for text in texts]
    unique = list(dict.fromkeys(line for lines in documents for line in lines if len(line) >= MIN_LINE))
    verdicts = dict(zip(unique, judge(unique, declared), strict=True))
    all_foreign = {line for line, verdict in verdicts.items() if verdict is False}
    result = []
    for text, lines in zip(texts, documents, strict=True):
        if all_foreign.isdisjoint(lines):
            result.append((text, 0, 1.0))
            continue
        kept = [line for line in lines if line not in all_foreign]
        foreign = sum(map(len, lines)) - sum(map(len, kept))
        own = sum(len(line) for line in kept if verdicts.get(line))
        result.append(("\n".join(kept), len(lines) - len(kept), own / (own + foreign)))
    return result


class ForeignLines(Edit):
    """Lines in another than the declared language are cut out; see ``split_lines``."""

    name: str = "foreign_lines"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("lines_removed",)

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa

        split = split_lines(texts.strings, texts.language)
        removed = np.array([count for _, count, _ in split], np.int64)
        column = pa.array([text for text, _, _ in split], pa.large_string()) if removed.any() else texts.column
        return Edited(column, {"lines_removed": removed}, {DECLARED_SHARE: np.array([share for *_, share in split])})


class MixedLanguage(Test):
    """Too small a share of the document's judged lines was in the declared language, before the others were cut out."""

    name: str = "mixed_language"
    at_least: Share

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        return documents.facts.get(DECLARED_SHARE, np.ones(len(documents))) < self.at_least


class DocumentLanguage(Test):
    """The declared language is not the one identified; where pycld2 is not sure, py3langid's probability decides."""

    costly: ClassVar[bool] = True
    name: str = "language"
    at_least: Share
    characters: int = Field(2_000, gt=0)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        texts, declared = documents.text.strings, documents.text.language
        other = np.zeros(len(texts), bool)
        unsure = []
        for place, text in enumerate(texts):
            language, percent, sure = detect(text[: self.characters])
            other[place] = language != declared
            if not (sure and percent >= 90 and language in (declared, *COMPANY)):
                unsure.append(place)
        second = identify((texts[i] for i in unsure), declared, self.characters)
        for place, (language, probability) in zip(unsure, second, strict=True):
            other[place] = language != declared or probability < self.at_least
        return other


class PairLanguage(Test):
    """A side of a pair that is surely in another language; sides under ``characters`` are too short to tell."""

    costly: ClassVar[bool] = True
    name: str = "language"
    characters: int = 40

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        return np.logical_or.reduce([self._foreign(side) for side in documents.sides.values()])

    def _foreign(self, side: Texts) -> "np.ndarray":
        import numpy as np

        long = np.flatnonzero(side.characters >= self.characters)
        found = np.zeros(len(side), bool)
        verdicts = judge([side.strings[i] for i in long.tolist()], side.language)
        found[long] = [verdict is False for verdict in verdicts]
        return found
