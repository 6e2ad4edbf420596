"""Cutting what web pages write around their text, and tests of documents that are little else.

A line is furniture when it is made of nothing but phrases of ``assets.cleaning.furniture``, or is a notice, a copyright line
or a breadcrumb. What is certain is cut wherever it stands; the rest only among its like: in a run of furniture lines at the
start or the end of the document, or in a longer run in its middle. So a document's own "Haku" or "Kirjaudu sisään" stays.
No list of phrases is whole, so a lone label that nobody knows goes with a run that it stands within, or ends.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby, product
from typing import TYPE_CHECKING, NamedTuple

from assets.cleaning import furniture
from assets.cleaning.steps import Edit, Edited, Test
from assets.cleaning.texts import Documents, Texts
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np

CUT_SHARE = "boilerplate_share"
"""The fact that ``Boilerplate`` leaves: the share of a document's visible characters that it cut."""

CERTAIN, LIKELY, POSSIBLE = 3, 2, 1
# Characters: no notice is longer, no row of phrases, and no copyright line or breadcrumb.
_NOTICE = 400
_ROW = 200
_SIGN = 150
# Sums of the weights of a run of furniture lines that goes as a whole: at an end of the document, and in its middle.
_END_RUN = 4
_INNER_RUN = 6
# Words and characters of what may be a label.
_LABEL_WORDS = 4
_LABEL = 40
# Lines of furniture on both sides of a label within a run at the start (where a title may look like one) and at the end of the
# document, and before one that is the last line.
_BESIDE_AT_START = 3
_BESIDE_AT_END = 2
_BEFORE_LAST = 3
# Parts of a line that signs part, from which on it is a menu, and the share of them that is furniture.
_PARTS = 3
_OF_PARTS = 0.75

# Three dots end no sentence: "Hae..."
_SENTENCE_END = re.compile(r"(?:[,;]|(?<!\.)\.)[\"”’»)\]]*\s*$")
_COPYRIGHT = re.compile(
    r"\W*(?:copyright\W+)?(?:©|\(c\)|copyright\b)(?=.*\b(?:19|20)\d\d\b)|\W*©\W*\w+(?:\W+\w+){0,4}\W*$", re.I
)
_CRUMB = r"\s*[>»›→/|]\s*\S"
_PARTED = re.compile(r"\s+[|·•]\s+|\t+")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_GROUP = re.compile(r"(\([^()]*\)|\[[^\[\]]*\])")


class Weight(NamedTuple):
    """How sure it is that a line is furniture: over its phrases the sum and the greatest of their weights, and how many
    are likely at least.
    """

    total: int = 0
    greatest: int = 0
    telling: int = 0


_NONE = Weight()
_SURE = Weight(CERTAIN, CERTAIN, 1)
# What speaks of cookies goes with furniture, and says by itself nothing: there are articles about them.
_MENTION = Weight(POSSIBLE, POSSIBLE, 0)


def cut_furniture(lines: list[str], words: list[str]) -> list[int]:
    """The places of the lines that are cut. ``words`` are the lines in letters alone (``assets.cleaning.letters``)."""
    weights = {place: weight for place, line in enumerate(words) if (weight := line_weight(line, lines[place])).total}
    if not weights:
        return []
    for place, line in enumerate(words):
        if place not in weights and len(line) <= _ROW and _mentions().search(line):
            weights[place] = _MENTION
    # Lines without letters part nothing, and go with the run that they stand in.
    told = (place for place, line in enumerate(words) if place in weights or line.strip())
    runs = [(is_furniture, list(places)) for is_furniture, places in groupby(told, weights.__contains__)]
    runs = _with_labels(runs, lines)
    cut: list[int] = []
    for number, (is_furniture, places) in enumerate(runs):
        if not is_furniture:
            continue
        total = sum(weights[place].total for place in places if place in weights)
        telling = sum(weights[place].telling for place in places if place in weights)
        at_end = number in (0, len(runs) - 1)
        if (total >= _END_RUN and telling) if at_end else (total >= _INNER_RUN and telling > 1):
            cut += range(places[0], places[-1] + 1)
        else:
            cut += [place for place in places if weights.get(place, _NONE).greatest == CERTAIN]
    return cut


_Run = tuple[bool, list[int]]
"""Whether lines that follow each other are furniture, and their places."""


def _with_labels(runs: list[_Run], lines: list[str]) -> list[_Run]:
    """The runs, where a lone label within a run of furniture at an end, or behind the last one, is furniture too."""
    backwards = _labels_within(runs, lines, _BESIDE_AT_START)[::-1]
    ends = backwards[:1] if not backwards[0][0] and _is_label(backwards[0][1], lines) else []
    backwards = _labels_within(backwards[len(ends) :], lines, _BESIDE_AT_END)
    if ends and backwards and backwards[0][0] and len(backwards[0][1]) >= _BEFORE_LAST:
        ends, backwards[0] = [], (True, ends[0][1] + backwards[0][1])
    backwards = ends + backwards
    return [(is_furniture, sorted(places)) for is_furniture, places in reversed(backwards)]


def _labels_within(runs: list[_Run], lines: list[str], beside: int) -> list[_Run]:
    """The runs, the first of furniture joined with those after it over lone labels that have ``beside`` lines of furniture,
    at least, on both sides.
    """
    runs = list(runs)
    while len(runs) > 2 and runs[0][0] and _is_label(runs[1][1], lines):
        (_, before), (_, label), (_, after) = runs[:3]
        if min(len(before), len(after)) < beside:
            break
        runs[:3] = [(True, before + label + after)]
    return runs


def _is_label(places: list[int], lines: list[str]) -> bool:
    """Whether a run is one short line that is no sentence."""
    line = lines[places[0]].strip()
    short = len(line) <= _LABEL and len(line.split()) <= _LABEL_WORDS
    return len(places) == 1 and short and not _SENTENCE_END.search(line)


def line_weight(words: str, line: str) -> Weight:
    """The weight of a line, given with its letters."""
    if ("|" in line or "·" in line or "•" in line or "\t" in line) and _PARTED.search(line):
        weight = parted_weight(line)
        if weight.total:
            return weight
    if len(words) > _NOTICE:
        return _NONE
    first = (words.split(None, 1) or [""])[0]
    if first in _phrases() and len(words) <= _ROW and not _SENTENCE_END.search(line):
        weight = row_weight(words)
        if weight.total:
            return weight
    if first in _notices() and _notices()[first].fullmatch(f"{' '.join(words.split())} "):
        return _SURE
    return sign_weight(first, words, line)


def parted_weight(line: str) -> Weight:
    """The weight of a line that signs part, most parts of which are furniture; of another line none."""
    parts = [part for part in _PARTED.split(line) if part.strip()]
    if len(parts) < _PARTS:
        return _NONE
    weights = [line_weight(_NO_LETTERS.sub(" ", part.lower()), part) for part in parts]
    if sum(weight.total > 0 for weight in weights) < _OF_PARTS * len(parts):
        return _NONE
    totals, greatest, telling = zip(*weights, strict=True)
    return Weight(sum(totals), max(greatest), sum(telling))


@lru_cache(maxsize=10_000)
def row_weight(words: str) -> Weight:
    """The weight of a line that is made of phrases, the longest first; of another line none."""
    left = tuple(words.split())
    found = []
    while left:
        weights = _phrases().get(left[0], {})
        size = next((size for size in range(len(left), 0, -1) if left[:size] in weights), 0)
        if not size:
            return _NONE
        found.append(weights[left[:size]])
        left = left[size:]
    return Weight(sum(found), max(found, default=0), sum(weight >= LIKELY for weight in found))


def sign_weight(first: str, words: str, line: str) -> Weight:
    """The weight of a copyright line or a breadcrumb whose first word is ``first``; of another line none."""
    if len(line) > _SIGN:
        return _NONE
    if ("©" in line or first in ("c", "copyright")) and _COPYRIGHT.match(line):
        return _SURE
    if words.rstrip().endswith(_rights()):
        return _SURE
    if first in _crumbs() and not _SENTENCE_END.search(line):
        for weight, pattern in _crumbs()[first]:
            if pattern.match(line):
                return Weight(weight, weight, 1)
    return _NONE


# The data of ``assets.cleaning.furniture``, made ready


def phrases_of(text: str) -> Iterator[str]:
    """The phrases of a text in the notation of ``furniture``."""
    for line in re.sub(r"\n[ \t]+", " ", text.strip()).split("\n"):
        yield from re.split(r"\s\|\s", line)


def expanded(phrase: str) -> Iterator[str]:
    """A phrase in all its forms."""
    choices = []
    for part in _GROUP.split(phrase):
        inner = part[1:-1].split("|") if part[:1] in ("(", "[") else [part]
        choices.append([*inner, ""] if part[:1] == "[" else inner)
    for choice in product(*choices):
        yield " ".join(" ".join(choice).split())


def pattern_of(notice: str) -> str:
    """The pattern of a notice in a line of words that a space each follows."""
    signs = {"…": ".*", "*": r"\w+ "}
    parts = []
    for part in _GROUP.split(notice):
        inner = part[1:-1].split("|") if part[:1] in ("(", "[") else [part]
        choices = ("".join(signs.get(word, f"{word} ") for word in choice.split()) for choice in inner)
        parts.append(f"(?:{'|'.join(choices)}){'?' if part[:1] == '[' else ''}")
    return "".join(parts)


@cache
def _phrases() -> dict[str, dict[tuple[str, ...], int]]:
    """By first word the phrases that begin with it, as words, and their weights."""
    found: dict[str, dict[tuple[str, ...], int]] = {}
    for weight, name in ((POSSIBLE, "POSSIBLE"), (LIKELY, "LIKELY"), (CERTAIN, "CERTAIN")):
        for language in furniture.LANGUAGES:
            for phrase in phrases_of(getattr(language, name)):
                for words in map(tuple, map(str.split, expanded(phrase))):
                    found.setdefault(words[0], {})[words] = weight
    return found


@cache
def _notices() -> dict[str, re.Pattern[str]]:
    """By first word the notices that begin with it, as a pattern of words that a space each follows."""
    found: dict[str, list[str]] = {}
    for language in furniture.LANGUAGES:
        for notice in phrases_of(language.NOTICES):
            for first in sorted({form.split()[0] for form in expanded(notice)}):
                found.setdefault(first, []).append(pattern_of(notice))
    return {first: re.compile("|".join(patterns)) for first, patterns in found.items()}


@cache
def _rights() -> tuple[str, ...]:
    return tuple(phrase for language in furniture.LANGUAGES for phrase in phrases_of(language.RIGHTS))


@cache
def _mentions() -> re.Pattern[str]:
    stems = (stem for language in furniture.LANGUAGES for stem in phrases_of(language.MENTIONS))
    return re.compile(rf"\b(?:{'|'.join(stems)})")


@cache
def _crumbs() -> dict[str, list[tuple[int, re.Pattern[str]]]]:
    """By first word the beginnings of breadcrumbs, with their weights."""
    found: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
    for weight, name in ((CERTAIN, "HOME"), (LIKELY, "MAYBE_HOME")):
        for language in furniture.LANGUAGES:
            for phrase in phrases_of(getattr(language, name)):
                pattern = re.compile(rf"\W*{phrase}\s*:?{_CRUMB}", re.I)
                found.setdefault(phrase.split()[0], []).append((weight, pattern))
    return found


# Steps


class Boilerplate(Edit):
    """Lines that are a web page's furniture are cut; see the module. Counts the lines."""

    name: str = "boilerplate"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("lines_boilerplate",)

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa

        cut_lines, share = np.zeros(len(texts), np.int64), np.zeros(len(texts))
        changed: dict[int, str] = {}
        for place, (words, lines) in enumerate(zip(texts.letters.lines, texts.lines, strict=True)):
            cut = cut_furniture(lines, words)
            if cut:
                gone = set(cut)
                changed[place] = "\n".join(line for number, line in enumerate(lines) if number not in gone)
                cut_lines[place] = len(cut)
                share[place] = sum(len(lines[number].strip()) for number in cut) / sum(
                    len(line.strip()) for line in lines
                )
        column = texts.column
        if changed:
            column = pa.array([changed.get(place, text) for place, text in enumerate(texts.strings)], pa.large_string())
        return Edited(column, {self.counts[0]: cut_lines}, {CUT_SHARE: share})


class MostlyBoilerplate(Test):
    """Too large a share of the document's characters was furniture, before it was cut out."""

    name: str = "mostly_boilerplate"
    at_most: Share

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        return documents.facts.get(CUT_SHARE, np.zeros(len(documents))) > self.at_most


# "9.5. Otsikko", "Kuva 17.2. Teksti", "Appendix B. Title": numbered as the parts of a manual are, and no sentence.
_CAPTIONS = "|".join(
    re.escape(word.strip()) for language in furniture.LANGUAGES for word in language.CAPTIONS.split("|")
)
_CAPTION = rf"(?:{_CAPTIONS})[ \t]+(?:\d[\d.\-]*|[A-Z]|[IVXL]+)[.:]?"
_NO_SENTENCE = r"""[ \t]+\S.{0,80}?[^\n.!?:;,…"”’»)\]\s]["”’»)\]]*(?:\.\.\.|…)?$"""
_NUMBERED = rf"(?im)^[ \t]*(?:\d{{1,3}}(?:\.\d{{1,3}})+\.?|{_CAPTION}){_NO_SENTENCE}"
# A list's numbers are of one level, too, so these count only beside the others.
_ONE_LEVEL = rf"(?m)^[ \t]*(?:\d{{1,3}}|[A-Z])\.{_NO_SENTENCE}"


class MostlyHeadings(Test):
    """A page of a manual that is mainly the frame of one: its table of contents, or numbered headings and captions with
    little between. It goes when they are more than ``lines`` of its lines and more than ``characters`` of its characters;
    half as many where one stands twice, as running heads do.
    """

    name: str = "mostly_headings"
    lines: Share = 0.2
    characters: Share = 0.1
    at_least: int = 3

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        text = documents.text
        numbered = text.count(_NUMBERED)
        found = numbered + text.count(_ONE_LEVEL) * (numbered >= 2)
        failed = (found >= self.at_least) & (found > self.lines * text.count(r"[^\s][^\n]*"))
        for place in np.flatnonzero(failed).tolist():
            whole = text.strings[place]
            headings = re.findall(_NUMBERED, whole) + re.findall(_ONE_LEVEL, whole)
            running = len(set(headings)) < len(headings)
            failed[place] = sum(map(len, headings)) > self.characters * len(whole) / (2 if running else 1)
        return failed
