"""Steps that judge languages: of a document, of its lines, and of the sides of a pair.

pycld2 (Compact Language Detector 2, 15 MB/s) judges first; py3langid (2 MB/s) is asked where it is not sure, and before
a line is called foreign in a language that short lines are often taken for.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from assets.cleaning.steps import Edit, Languages, Test, of_texts
from assets.corpora.language import COMPANY, identify
from assets.recipe.base import Share

if TYPE_CHECKING:
    from daft import DataFrame, Expression

_WORD = re.compile(r"[^\W\d_]{2,}")
# Below this score per kilobyte of its likeliest language pycld2 is often wrong about a line; running text has 700.
_SCORE = 600
_SECOND_OPINION = 0.7
# Characters; shorter lines are headings, labels and names, which no language can be told of.
MIN_LINE = 25
DECLARED_SHARE = "_declared_share"


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

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        import daft
        import pyarrow as pa
        from daft import DataType, col
        from daft.functions import get

        fields = {"text": DataType.string(), "removed": DataType.int64(), "share": DataType.float64()}

        @daft.func.batch(return_dtype=DataType.struct(fields))
        def split(series: daft.Series) -> pa.Array:
            texts, removed, shares = zip(*split_lines(series.to_pylist(), language), strict=True)
            arrays = [pa.array(texts, pa.large_string()), pa.array(removed, pa.int64()), pa.array(shares, pa.float64())]
            return pa.StructArray.from_arrays(arrays, list(fields))

        return (
            frame.with_column("_split", split(col(column)))
            .with_columns(
                {
                    column: get(col("_split"), "text"),
                    "lines_removed": col("lines_removed") + get(col("_split"), "removed"),
                    DECLARED_SHARE: get(col("_split"), "share"),
                }
            )
            .exclude("_split")
        )


class MixedLanguage(Test):
    """Too small a share of the document's judged lines was in the declared language, before the others were cut out."""

    name: str = "mixed_language"
    at_least: Share

    def fails(self, languages: Languages) -> "Expression":
        from daft import col, lit

        return col(DECLARED_SHARE) < lit(self.at_least)


class DocumentLanguage(Test):
    """The declared language is not the one identified; where pycld2 is not sure, py3langid's probability decides."""

    name: str = "language"
    at_least: Share
    characters: int = Field(2_000, gt=0)

    @property
    def costly(self) -> bool:
        return True

    def fails(self, languages: Languages) -> "Expression":
        from daft import col, lit

        return of_texts(self.others(languages.text), col("text")) > lit(0)

    def others(self, declared: str) -> Callable[[list[str]], list[float]]:
        """The function that gives 1 for each text that is not in the declared language, else 0."""

        def other(texts: list[str]) -> list[float]:
            found = []
            unsure = []
            for place, text in enumerate(texts):
                language, percent, sure = detect(text[: self.characters])
                known = sure and percent >= 90 and language in (declared, *COMPANY)
                found.append(float(language != declared))
                if not known:
                    unsure.append(place)
            second = identify((texts[i] for i in unsure), declared, self.characters)
            for place, (language, probability) in zip(unsure, second, strict=True):
                found[place] = float(language != declared or probability < self.at_least)
            return found

        return other


class PairLanguage(Test):
    """A side of a pair that is surely in another language; sides under ``characters`` are too short to tell."""

    name: str = "language"
    characters: int = 40

    @property
    def costly(self) -> bool:
        return True

    def fails(self, languages: Languages) -> "Expression":
        import daft
        import pyarrow as pa
        from daft import col

        # One function for both sides: Daft 0.7 evaluates only the first of two Python functions joined by "|".
        @daft.func.batch(return_dtype=daft.DataType.bool())
        def foreign(one: daft.Series, other: daft.Series) -> pa.Array:
            sides = zip((one, other), languages.columns.values(), strict=True)
            verdicts = [self._foreign(series.to_pylist(), language) for series, language in sides]
            return pa.array([a or b for a, b in zip(*verdicts, strict=True)], pa.bool_())

        expression: daft.Expression = foreign(*(col(column) for column in languages.columns))
        return expression

    def _foreign(self, texts: list[str], declared: str) -> list[bool]:
        long = [i for i, text in enumerate(texts) if len(text) >= self.characters]
        found = [False] * len(texts)
        for place, verdict in zip(long, judge([texts[i] for i in long], declared), strict=True):
            found[place] = verdict is False
        return found
