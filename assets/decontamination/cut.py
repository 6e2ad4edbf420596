"""Cutting the text of benchmarks out of documents."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assets.decontamination.index import Hit, Index
from assets.decontamination.words import composed, spans, words
from assets.recipe.data import Decontamination

if TYPE_CHECKING:
    import numpy as np

EXCERPT = 200
# As far as words go that are written together; further, the text has no white space to cut at.
REACH = 40
_LINE_END = re.compile(r"[^\S\n]*\n|[^\S\n]+")


@dataclass
class Match:
    """What of one item stands in a document: the words that its n-grams cover, and the beginning of them."""

    words: int
    excerpt: str


@dataclass
class Cut:
    """What cutting made of a document: its new text, None where it goes. ``matches`` by place in ``Index.items``."""

    text: str | None
    words_cut: int
    matches: dict[int, Match] = field(default_factory=dict)


def cut_document(text: str, index: Index, common: "np.ndarray", config: Decontamination) -> Cut:
    """Cut every n-gram out of a document, with the words that touch it, and leave a line break in its place.

    Cutting brings words together that stood apart, so it goes on until nothing is found. The document goes when n-grams
    that are not ``common`` (bool [n-grams]) cover more than ``drop_share`` of its words, or when fewer than
    ``min_words`` words would stay. What is cut is in NFC afterwards.
    """
    text = composed(text)
    before = after = len(words(text))
    covered = 0
    matches: dict[int, Match] = {}
    while hits := index.hits(index.ids(text)):
        places = spans(text)
        _record(matches, text, places, hits)
        covered += int(_covered(after, (hit for hit in hits if not common[hit.gram])).sum())
        text = _without(text, places, hits)
        after = len(words(text))
        if after < config.min_words or covered > config.drop_share * before:
            return Cut(None, before - after, matches)
    return Cut(text, before - after, matches)


def match_pair(text: str, translation: str, index: Index) -> Cut:
    """A pair in which anything stands, on one side or over both, goes as a whole: cut, it would be no translation."""
    matches: dict[int, Match] = {}
    for sides in both_orders(text, translation):
        whole = composed(sides)
        found: dict[int, Match] = {}
        _record(found, whole, spans(whole), index.hits(index.ids(whole)))
        for item, match in found.items():
            if item not in matches or match.words > matches[item].words:
                matches[item] = match
    return Cut(None, len(words(composed(f"{text}\n{translation}"))), matches)


def both_orders(text: str, translation: str) -> tuple[str, str]:
    """A pair as two texts: a benchmark of translations holds an item as source and target, in either direction."""
    return f"{text}\n{translation}", f"{translation}\n{text}"


def _record(matches: dict[int, Match], text: str, places: list[tuple[int, int]], hits: Iterable[Hit]) -> None:
    """Add the hits of one pass to ``matches``: per item, how many words are covered, and where they begin."""
    covered: dict[int, list[tuple[int, int]]] = {}
    for hit in hits:
        for item in hit.items.tolist():
            runs = covered.setdefault(item, [])
            # All n-grams of an item have one size, and come in order of their places.
            if runs and hit.place <= runs[-1][1]:
                runs[-1] = (runs[-1][0], hit.place + hit.size)
            else:
                runs.append((hit.place, hit.place + hit.size))
    for item, runs in covered.items():
        count = sum(end - start for start, end in runs)
        start, end = runs[0]
        excerpt = text[places[start][0] : places[end - 1][1]][:EXCERPT]
        if item in matches:
            matches[item].words += count
        else:
            matches[item] = Match(count, excerpt)


def _without(text: str, places: list[tuple[int, int]], hits: Iterable[Hit]) -> str:
    """The text without the words of the hits and what touches them."""
    kept: list[str] = []
    end = 0
    for start, stop in _extended(text, places, _covered(len(places), hits)):
        kept.append(_tidied(text[end:start], after_cut=end > 0).rstrip())
        end = stop
    kept.append(_tidied(text[end:], after_cut=True))
    return "\n".join(piece for piece in kept if piece.strip())


def _tidied(piece: str, after_cut: bool) -> str:
    """A piece that comes after a cut begins a line; where it did so before, its indentation stays."""
    return _LINE_END.sub("", piece, count=1) if after_cut and _LINE_END.match(piece) else piece


def _covered(count: int, hits: Iterable[Hit]) -> "np.ndarray":
    """Which of ``count`` words some hit covers: bool [count]."""
    import numpy as np

    covered = np.zeros(count, dtype=bool)
    for hit in hits:
        covered[hit.place : hit.place + hit.size] = True
    return covered


def _extended(text: str, places: list[tuple[int, int]], covered: "np.ndarray") -> list[tuple[int, int]]:
    """The runs of covered words as spans of characters, with what is written together with them; disjoint, in order."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], covered, [False]]).astype(np.int8))).reshape(-1, 2)
    merged: list[tuple[int, int]] = []
    for first, last in edges.tolist():
        start, stop = _left(text, places[first][0]), _right(text, places[last - 1][1])
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged


def _left(text: str, start: int) -> int:
    """Where the characters begin that touch the word at ``start``."""
    place = start
    while place > 0 and not text[place - 1].isspace():
        place -= 1
        if start - place > REACH:
            return start
    return place


def _right(text: str, stop: int) -> int:
    """Where the characters end that touch the word that ends at ``stop``."""
    place = stop
    while place < len(text) and not text[place].isspace():
        place += 1
        if place - stop > REACH:
            return stop
    return place
