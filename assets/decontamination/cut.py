"""Cutting the text of benchmarks out of documents, and what is said of it."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assets.decontamination.index import Found, Held, Index
from assets.decontamination.words import composed, folded, spans
from assets.recipe.data import Decontamination

if TYPE_CHECKING:
    import numpy as np

EXCERPT = 200
HELD = 0.5
"""A document holds an item from this share of the words of one of its passages on.

In Tülu 3 a test instance overlaps significantly with a training instance when more than half of its tokens are in 8-grams that
both have (Lambert et al. 2024, arXiv 2411.15124); here the n-grams are those of the index.
"""
# As far as words go that are written together; further, the text has no white space to cut at.
REACH = 40
_LINE_END = re.compile(r"[^\S\n]*\n|[^\S\n]+")


@dataclass
class Match:
    """What of one item stands in a document: the words that its n-grams cover, the beginning of them, its passages.

    The passages are those that telling n-grams cover in part.
    """

    words: int
    excerpt: str
    held: list[Held] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of the best covered passage stands in the document."""
        return max((h.share for h in self.held), default=0.0)


@dataclass
class Cut:
    """What cutting made of a document: its new text, None where it goes. ``matches`` by place in ``Index.items``."""

    text: str | None
    words_cut: int
    matches: dict[int, Match] = field(default_factory=dict)


def cut_document(text: str, index: Index, common: "np.ndarray", config: Decontamination) -> Cut:
    """Cut every n-gram out of a document, with the words that touch it, and leave a line break in its place.

    Cutting brings words together that stood apart, so it goes on until nothing is found. The document goes by
    ``config.policy``, for which the n-grams that are ``common`` (bool [n-grams]) do not count, or when fewer than
    ``min_words`` words would stay. What is cut is in NFC afterwards.
    """
    text = composed(text)
    places = spans(text)
    before = len(places)
    covered = 0
    matches: dict[int, Match] = {}
    telling: set[int] = set()
    while len((found := index.find([folded(text)])).grams):
        _record(matches, text, places, found, index)
        tells = ~common[found.grams]
        covered += int(_covered(len(places), found.places[tells], found.grams[tells], index).sum())
        telling.update(found.grams[tells].tolist())
        text = _without(text, places, _covered(len(places), found.places, found.grams, index))
        places = spans(text)
    for item, held in index.held(sorted(telling)).items():
        matches[item].held = held
    goes = len(places) < config.min_words or (
        config.policy == "drop"
        and (
            covered > config.drop_share * before
            or any(_holds(match, index.item_words(place), before, config) for place, match in matches.items())
        )
    )
    return Cut(None if goes and matches else text, before - len(places), matches)


def _holds(match: Match, item_words: int, words: int, config: Decontamination) -> bool:
    """Whether a document of so many words holds an item of so many. A short item is one n-gram: it stands there whole."""
    least = max(min(config.ngram, item_words), config.item_share * words)
    return match.share >= HELD and sum(held.words for held in match.held) >= least


def match_pair(text: str, translation: str, index: Index, common: "np.ndarray") -> Cut:
    """A pair in which anything stands, on one side or over both, goes as a whole: cut, it would be no translation."""
    matches: dict[int, Match] = {}
    telling: set[int] = set()
    for sides in both_orders(text, translation):
        whole = composed(sides)
        found = index.find([folded(whole)])
        each: dict[int, Match] = {}
        _record(each, whole, spans(whole), found, index)
        telling.update(found.grams[~common[found.grams]].tolist())
        for item, match in each.items():
            if item not in matches or match.words > matches[item].words:
                matches[item] = match
    for item, held in index.held(sorted(telling)).items():
        matches[item].held = held
    return Cut(None, len(spans(composed(f"{text}\n{translation}"))), matches)


def both_orders(text: str, translation: str) -> tuple[str, str]:
    """A pair as two texts: a benchmark of translations holds an item as source and target, in either direction."""
    return f"{text}\n{translation}", f"{translation}\n{text}"


def _record(matches: dict[int, Match], text: str, places: list[tuple[int, int]], found: Found, index: Index) -> None:
    """Add what one pass found to ``matches``: per item, how many words are covered, and where they begin."""
    covered: dict[int, list[tuple[int, int]]] = {}
    hits = sorted(zip(found.places.tolist(), found.grams.tolist(), strict=True))
    for place, gram in hits:
        end = place + index.size(gram)
        for item in index.owners(gram):
            runs = covered.setdefault(item, [])
            if runs and place <= runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], end))
            else:
                runs.append((place, end))
    for item, runs in covered.items():
        count = sum(end - start for start, end in runs)
        start, end = runs[0]
        excerpt = text[places[start][0] : places[end - 1][1]][:EXCERPT]
        if item in matches:
            matches[item].words += count
        else:
            matches[item] = Match(count, excerpt)


def _without(text: str, places: list[tuple[int, int]], covered: "np.ndarray") -> str:
    """The text without the covered words and what touches them."""
    kept: list[str] = []
    end = 0
    for start, stop in _extended(text, places, covered):
        kept.append(_tidied(text[end:start], after_cut=end > 0).rstrip())
        end = stop
    kept.append(_tidied(text[end:], after_cut=True))
    return "\n".join(piece for piece in kept if piece.strip())


def _tidied(piece: str, after_cut: bool) -> str:
    """A piece that comes after a cut begins a line; where it did so before, its indentation stays."""
    return _LINE_END.sub("", piece, count=1) if after_cut and _LINE_END.match(piece) else piece


def _covered(count: int, places: "np.ndarray", grams: "np.ndarray", index: Index) -> "np.ndarray":
    """Which of ``count`` words an n-gram covers, given where they begin: bool [count]."""
    import numpy as np

    covered = np.zeros(count, dtype=bool)
    for place, gram in zip(places.tolist(), grams.tolist(), strict=True):
        covered[place : place + index.size(gram)] = True
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
