"""A slice of documents as cleaning steps see it, with what several steps look at computed once."""

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from assets.cleaning.alphabets import letters_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from assets.cleaning.function_words import Counted
    from assets.cleaning.letters import LetterWords


@cache
def _fingpt_patterns(language: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """FinGPT's words and short words (filter_jsonl.py of TurkuNLP/finngen-tools), in the letters of a language.

    Where these are not known, every letter is one.
    """
    letters = letters_of(language)
    if letters is None:
        return re.compile(r"\b[^\W\d_]{2,}\b"), re.compile(r"\b[^\W\d_]\b")
    small, capital = letters
    return re.compile(rf"\b(?:[{capital}][{small}]{{1,}}|[{small}]{{2,}})\b"), re.compile(rf"\b[{small}{capital}]\b")


@dataclass(frozen=True)
class Languages:
    """Declared languages: of the column ``text``, and of ``translation`` where documents are pairs."""

    text: str
    translation: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns that hold text, with their languages."""
        return {"text": self.text} | ({"translation": self.translation} if self.translation else {})


@dataclass
class Texts:
    """Some texts (``column``, large_string without nulls) in one declared language."""

    column: "pa.Array"
    language: str

    def __len__(self) -> int:
        return len(self.column)

    @cached_property
    def strings(self) -> list[str]:
        found: list[str] = self.column.to_pylist()
        return found

    @cached_property
    def lines(self) -> list[list[str]]:
        """The lines of each text, blank ones too."""
        return [text.split("\n") for text in self.strings]

    @cached_property
    def characters(self) -> "np.ndarray":
        """Length of each text in code points: int64 [texts]."""
        import pyarrow.compute as pc

        found: np.ndarray = pc.utf8_length(self.column).to_numpy(zero_copy_only=False)
        return found

    @cached_property
    def fingpt_words(self) -> "np.ndarray":
        """Words of two letters and more, as FinGPT counts them: int64 [texts]."""
        return self._counts(_fingpt_patterns(self.language)[0])

    @cached_property
    def fingpt_short_words(self) -> "np.ndarray":
        """Words of a single letter, as FinGPT counts them: int64 [texts]."""
        return self._counts(_fingpt_patterns(self.language)[1])

    @cached_property
    def words(self) -> "np.ndarray":
        """Words of two letters and more of any script: int64 [texts]."""
        return self.count(r"\p{L}{2,}")

    @cached_property
    def letters(self) -> "LetterWords":
        """The texts in letters alone, their words, and the hashes of these."""
        from assets.cleaning.letters import LetterWords

        return LetterWords(self.column)

    @cached_property
    def function_words(self) -> "Counted":
        """The function words in each line of the texts."""
        from assets.cleaning.function_words import count_function_words

        return count_function_words(self.letters)

    def _counts(self, pattern: re.Pattern[str]) -> "np.ndarray":
        import numpy as np

        return np.fromiter((len(pattern.findall(text)) for text in self.strings), np.int64, len(self))

    def count(self, pattern: str) -> "np.ndarray":
        """Matches of a pattern of RE2 in each text: int64 [texts]."""
        import pyarrow.compute as pc

        found: np.ndarray = pc.count_substring_regex(self.column, pattern).to_numpy(zero_copy_only=False)
        return found.astype("int64")

    def take(self, rows: "np.ndarray") -> "Texts":
        """The texts at ``rows``."""
        import pyarrow as pa

        return Texts(self.column.take(pa.array(rows)), self.language)


@dataclass
class Documents:
    """Some documents: their text by column, their licences (large_string), and ``facts`` that edits left for tests.

    A fact is an array with a value for each document, by name.
    """

    sides: dict[str, Texts]
    license: "pa.Array"
    facts: "dict[str, np.ndarray]" = field(default_factory=dict)

    @classmethod
    def of(cls, table: "pa.Table", languages: Languages) -> "Documents":
        """The documents of a table with the columns of ``languages``, and ``license``."""
        sides = {
            name: Texts(table[name].combine_chunks().cast("large_string"), language)
            for name, language in languages.columns.items()
        }
        return cls(sides, table["license"].combine_chunks())

    def __len__(self) -> int:
        return len(self.license)

    @property
    def text(self) -> Texts:
        return self.sides["text"]

    @property
    def translation(self) -> Texts:
        return self.sides["translation"]

    def take(self, rows: "np.ndarray") -> "Documents":
        """The documents at ``rows``."""
        import pyarrow as pa

        return Documents(
            {name: side.take(rows) for name, side in self.sides.items()},
            self.license.take(pa.array(rows)),
            {name: values[rows] for name, values in self.facts.items()},
        )
