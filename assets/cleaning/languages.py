"""Steps that judge languages: of a document, of its lines, and of the sides of a pair.

Function words judge first (``assets.cleaning.function_words``). Where they do not tell, the detectors do: pycld2 (Compact
Language Detector 2, 15 MB/s), and py3langid (2 MB/s) where that is not sure of the declared language.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from assets.cleaning.function_words import LANGUAGES
from assets.cleaning.steps import Edit, Edited, Test
from assets.cleaning.texts import Documents, Texts
from assets.corpora.language import COMPANY, identify, is_known
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np

_WORD = re.compile(r"[^\W\d_]{2,}")
# Below this score per kilobyte of its likeliest language pycld2 is often wrong about a line; running text has 700.
_SCORE = 600
_SECOND_OPINION = 0.7
# Characters; shorter lines are headings, labels and names, which no detector can tell the language of.
MIN_LINE = 25
# Characters; without a single function word a shorter line may be names.
_NAMES = 60
# Function words of another language that make a line, or lines that follow each other, foreign: at least so many, and so
# many times those of the declared language.
_TELLING = 3
_TIMES = 4
# Their share of the words; running text has 0.2 to 0.5.
_SHARE = 0.15
# Function words that tell the language of a document.
_MANY = 10
# Characters of foreign lines that follow each other; fewer are quoted.
_QUOTED = 80
OWN, FOREIGN, UNTOLD = 1, -1, 0
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
    """What the detectors say of each text: True where it surely is in the declared language, False where it surely is in
    another, else None. Neither detector alone calls a text foreign, and what is not prose is never called so. Where they do
    not know the declared language, both must be sure of the same other one.
    """
    known = is_known(declared)
    verdicts: list[bool | None] = []
    unsure, first = [], []
    for place, text in enumerate(texts):
        language, percent, sure = detect(text)
        own = language == declared
        verdicts.append(True if own and sure and percent >= 80 else None)
        if not own and language != "un" and (known or sure) and is_prose(text):
            unsure.append(place)
            first.append(language)
    second = identify((texts[i] for i in unsure), declared)
    for place, one, (other, probability) in zip(unsure, first, second, strict=True):
        if probability >= _SECOND_OPINION and (known or one == other):
            verdicts[place] = other == declared
    return verdicts


def _is_detected(declared: str) -> bool:
    """Whether detectors are asked: not about a language that they take for its neighbour and that function words tell."""
    return is_known(declared) or declared not in LANGUAGES


def is_prose(line: str) -> bool:
    """Whether a line is long enough, and words enough, to judge its language: no code, no command, no table row."""
    line = line.strip()
    if len(line) < MIN_LINE:
        return False
    words = _WORD.findall(line)
    return len(words) >= 4 and sum(map(len, words)) + min(line.count(" "), len(words)) >= 0.85 * len(line)


def is_title(line: str) -> bool:
    """Whether a line is written like the name of something: most longer words with a capital, no stop at the end."""
    words = [word for word in _WORD.findall(line) if len(word) > 3]
    return not line.rstrip().endswith((".", "!", "?", ":", ",", ";")) and 2 * sum(map(str.istitle, words)) > len(words)


def line_verdicts(texts: Texts) -> "np.ndarray":
    """Of each line of all texts ``OWN``, ``FOREIGN`` or ``UNTOLD``: int8 [lines]. Equal lines have equal verdicts."""
    import numpy as np

    declared, counted = texts.language, texts.function_words
    lines = [line for document in texts.lines for line in document]
    own, other = counted.opinions(declared)
    verdicts = np.zeros(len(lines), np.int8)
    verdicts[(own > other) & ((own > 1) | (other == 0))] = OWN
    if declared != "en":
        own = own + counted.not_english()
    telling = (other >= _TELLING) & (other >= _TIMES * own) & (other >= _SHARE * counted.words)
    for place in np.flatnonzero(telling).tolist():
        language, _, certain = detect(lines[place])
        if language != declared and (certain or declared in LANGUAGES) and not is_title(lines[place]):
            verdicts[place] = FOREIGN
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    places = np.flatnonzero((verdicts == UNTOLD) & (lengths >= MIN_LINE)).tolist() if _is_detected(declared) else []
    unique = list(dict.fromkeys(lines[place] for place in places))
    detected = dict(zip(unique, judge(unique, declared), strict=True))
    may_be_foreign = ((own == 0) | (other >= 2 * own)) & ((other > 0) | (lengths >= _NAMES))
    for place in places:
        found = detected[lines[place]]
        if found:
            verdicts[place] = OWN
        elif found is False and may_be_foreign[place] and not is_title(lines[place]):
            verdicts[place] = FOREIGN
    return verdicts


def judge_runs(verdicts: "np.ndarray", function_words: "np.ndarray", declared: str, lines: list[str]) -> list[int]:
    """The lines of a document that are foreign in company: runs of lines with none of the declared language between.

    Wrapped lines are too short to be told each by itself: those that are untold, and have function words of the language
    that the run has most of, become ``FOREIGN``, in place. Of a run with few foreign characters nothing is cut: it is a
    quotation, a title, an example. Returns the places of the lines to cut.
    """
    cut: list[int] = []
    for is_own, group in groupby(range(len(lines)), lambda line: verdicts[line] == OWN):
        run = list(group)
        if is_own or not (verdicts[run] == FOREIGN).any():
            continue
        counts = function_words[run]
        own = counts[:, LANGUAGES.index(declared)] if declared in LANGUAGES else counts[:, 0] * 0
        most = counts[:, (counts - own[:, None]).sum(axis=0).argmax()]
        if most.sum() >= max(_TELLING, _TIMES * own.sum()):
            for place, told, mine in zip(run, most.tolist(), own.tolist(), strict=True):
                if told > mine:
                    verdicts[place] = FOREIGN
        foreign = [place for place in run if verdicts[place] == FOREIGN]
        if sum(len(lines[place]) for place in foreign) >= _QUOTED:
            cut += foreign
    return cut


def split_lines(texts: Texts) -> list[tuple[str, int, float]]:
    """Each text without its foreign lines, how many they were, and the declared language's share of what was told.

    Shares are of characters, 1 where no line was foreign. Headings, names and code are not told.
    """
    import numpy as np

    verdicts = line_verdicts(texts)
    bounds = texts.function_words.bounds
    result = []
    for text, lines, first, after in zip(texts.strings, texts.lines, bounds, bounds[1:], strict=False):
        told = verdicts[first:after]
        if not (told == FOREIGN).any():
            result.append((text, 0, 1.0))
            continue
        cut = set(judge_runs(told, texts.function_words.function_words[first:after], texts.language, lines))
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        own, foreign = lengths[told == OWN].sum(), lengths[told == FOREIGN].sum()
        kept = "\n".join(line for place, line in enumerate(lines) if place not in cut)
        result.append((kept, len(cut), float(own / max(own + foreign, 1))))
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

        split = split_lines(texts)
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
    """The declared language is not the one identified: by function words where these are many and clear, else by pycld2, and
    where that is not sure by py3langid's probability. Where the detectors do not know the declared language, both must be
    sure of the same other one, or, where its function words are known, these alone decide.
    """

    costly: ClassVar[bool] = True
    name: str = "language"
    at_least: Share
    characters: int = Field(2_000, gt=0)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        texts, declared = documents.text.strings, documents.text.language
        counted = documents.text.function_words.by_text()
        own, best = counted.opinions(declared)
        sure = (own >= _MANY) & (own > 2 * best) & (own >= _SHARE * counted.words)
        other = (best >= _MANY) & (best > own) & (declared in LANGUAGES)
        # English has more function words than most: a few quotations can outweigh the text, which detectors then tell.
        english = counted.function_words[:, LANGUAGES.index("en")] == best
        contested = other & english & (best <= 2 * own) & _is_detected(declared)
        other &= ~contested
        unsure = []
        for place in np.flatnonzero(~sure & ~other & _is_detected(declared)).tolist():
            text = texts[place] if contested[place] else texts[place][: self.characters]
            language, percent, certain = detect(text)
            certain = certain and percent >= 90 and language in (declared, *COMPANY)
            if certain and is_known(declared):
                other[place] = language != declared
            elif contested[place]:
                other[place] = True
            elif certain or is_known(declared):
                unsure.append((place, language))
        second = identify((texts[place] for place, _ in unsure), declared, self.characters)
        for (place, first), (language, probability) in zip(unsure, second, strict=True):
            if is_known(declared):
                other[place] = language != declared or probability < self.at_least
            else:
                other[place] = language == first and probability >= _SECOND_OPINION
        return other


class FunctionWords(Test):
    """Hardly any of the declared language's function words in a text of ``words`` words: a list, a table, another language.
    A language whose function words are not known fails no text.
    """

    costly: ClassVar[bool] = True
    name: str = "function_words"
    at_least: Share
    words: int = Field(20, ge=1)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        language = documents.text.language
        if language not in LANGUAGES:
            return np.zeros(len(documents), bool)
        counted = documents.text.function_words.by_text()
        own = counted.function_words[:, LANGUAGES.index(language)]
        found: np.ndarray = (counted.words >= self.words) & (own < self.at_least * counted.words)
        return found
