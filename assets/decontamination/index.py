"""An index of the word n-grams of benchmarks, and finding them in texts.

N-grams are looked up by 64-bit hashes of their words. Every hit is compared word by word, so that no collision of hashes
counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from assets.benchmarks.items import PASSAGE
from assets.decontamination.words import WORD, folded, hashed
from assets.recipe.data import Decontamination
from assets.words import MULTIPLIER, rolling

if TYPE_CHECKING:
    import numpy as np

COMMON = 10
"""An n-gram in more items of one benchmark than this is of its template; in more documents of a source, a common phrase.

Neither says anything about an item (Brown et al. 2020, appendix C, of documents): it is cut like any other, but no document
goes for it, and no item is contaminated by it.
"""
BITS = 24


class Item(NamedTuple):
    """An item of a benchmark."""

    benchmark: str
    item: str


class Found(NamedTuple):
    """N-grams in texts, one entry each: which text, the word of it that they begin at, their number; int64 [n].

    Ordered by the n-grams' size, then by text and place.
    """

    texts: "np.ndarray"
    places: "np.ndarray"
    grams: "np.ndarray"


class Held(NamedTuple):
    """How much of a passage stands in a document: words, and their share of those that n-grams beyond templates cover."""

    share: float
    words: int


@dataclass(frozen=True)
class Grams:
    """The distinct n-grams of ``size`` words. Over all sizes they are numbered on; here numbers begin at ``offset``.

    ``hashes`` uint64 [distinct], ascending. The n-gram at place g begins at the words ``begins[starts[g]:starts[g + 1]]``
    (int32) of ``Index.text``; one of a template only at the first of its words.
    """

    size: int
    offset: int
    hashes: "np.ndarray"
    starts: "np.ndarray"
    begins: "np.ndarray"


@dataclass(frozen=True)
class Index:
    """All n-grams, by size.

    The items' folded texts are joined in ``text``; word w begins at character ``begins[w]`` of it. Item i has the words
    from ``item_starts[i]`` on, passage p those from ``passage_starts[p]`` on, both with the end behind them (int64), of
    which ``passage_words[p]`` are in some n-gram that is not of a template. ``template`` bool [n-grams]. ``unindexed``
    counts the items without an n-gram. ``heads`` uint64, ascending, are the hashes of the first words of all n-grams, as
    many as the shortest n-gram has; ``maybe`` bool [2^BITS] are the first bits of these, which spares most searches.
    """

    items: list[Item]
    text: str
    begins: "np.ndarray"
    item_starts: "np.ndarray"
    passage_starts: "np.ndarray"
    passage_words: "np.ndarray"
    grams: list[Grams]
    template: "np.ndarray"
    unindexed: int
    heads: "np.ndarray"
    maybe: "np.ndarray"

    @property
    def ngrams(self) -> int:
        """Number of distinct n-grams of all sizes."""
        return len(self.template)

    def size(self, gram: int) -> int:
        """How many words n-gram number ``gram`` has."""
        return self._of(gram).size

    def places(self, gram: int) -> "np.ndarray":
        """The words of the items that n-gram number ``gram`` begins at: int32 [places]."""
        grams = self._of(gram)
        place = gram - grams.offset
        found: np.ndarray = grams.begins[grams.starts[place] : grams.starts[place + 1]]
        return found

    def _of(self, gram: int) -> Grams:
        return next(grams for grams in reversed(self.grams) if grams.offset <= gram)

    def owners(self, gram: int) -> list[int]:
        """The items that n-gram number ``gram`` is of, as places in ``items``; of one of a template the first."""
        import numpy as np

        owners: list[int] = np.unique(np.searchsorted(self.item_starts, self.places(gram), side="right") - 1).tolist()
        return owners

    def item_words(self, item: int) -> int:
        """How many words an item (place in ``items``) has."""
        return int(self.item_starts[item + 1] - self.item_starts[item])

    def held(self, grams: Iterable[int]) -> dict[int, list[Held]]:
        """The passages that stand, in part, in a document that holds these n-grams, by item (place in ``items``)."""
        import numpy as np

        covered = [(self.places(g)[:, None] + np.arange(self.size(g))).ravel() for g in grams]
        words = np.unique(np.concatenate(covered)) if covered else np.empty(0, np.int64)
        passages, counts = np.unique(np.searchsorted(self.passage_starts, words, side="right") - 1, return_counts=True)
        shares = counts / self.passage_words[passages]
        owners = np.searchsorted(self.item_starts, self.passage_starts[passages], side="right") - 1
        held: dict[int, list[Held]] = {}
        for item, share, count in zip(owners.tolist(), shares.tolist(), counts.tolist(), strict=True):
            held.setdefault(item, []).append(Held(share, count))
        return held

    def find(self, texts: Sequence[str]) -> Found:
        """Every n-gram that stands in one of some ``folded`` texts."""
        import numpy as np

        joined = "\n".join(texts)
        values, begins = hashed(joined)
        ends = np.cumsum([len(text) + 1 for text in texts])
        first_words = np.searchsorted(begins, ends - [len(text) + 1 for text in texts])
        places = self._heads(values)
        hits = [np.empty((3, 0), np.int64)]
        for grams in self.grams:
            here = places[places <= len(values) - grams.size]
            rolled = windows(values, here, grams.size)
            found = np.minimum(np.searchsorted(grams.hashes, rolled), len(grams.hashes) - 1)
            of, last = (np.searchsorted(ends, begins[word], side="right") for word in (here, here + grams.size - 1))
            same = (grams.hashes[found] == rolled) & (of == last)
            of, here, found = of[same], here[same], found[same] + grams.offset
            stands = [self._stands(joined, begins, *hit) for hit in zip(here, found, strict=True)]
            hits.append(np.stack([of, here - first_words[of], found])[:, np.array(stands, dtype=bool)])
        return Found(*np.concatenate(hits, axis=1))

    def _heads(self, values: "np.ndarray") -> "np.ndarray":
        """Where words begin (hashes, uint64 [words]) that some n-gram begins with: int64 [places]."""
        import numpy as np

        if not self.grams:
            return np.empty(0, np.int64)
        head = rolling(values, self.grams[0].size)
        places = np.flatnonzero(self.maybe[head >> np.uint64(64 - BITS)])
        found = np.minimum(np.searchsorted(self.heads, head[places]), len(self.heads) - 1)
        at: np.ndarray = places[self.heads[found] == head[places]]
        return at

    def _stands(self, text: str, begins: "np.ndarray", place: int, gram: int) -> bool:
        """Whether the words of an n-gram are those of a text from word ``place`` on, whose hashes are the same."""
        size = self.size(gram)
        return _words(text, begins, place, size) == _words(self.text, self.begins, int(self.places(gram)[0]), size)


def _words(text: str, begins: "np.ndarray", place: int, size: int) -> list[str]:
    """The ``size`` words of a folded text from word ``place`` on, given where its words begin."""
    end = begins[place + size] if place + size < len(begins) else len(text)
    return WORD.findall(text, begins[place], end)


def windows(values: "np.ndarray", places: "np.ndarray", size: int) -> "np.ndarray":
    """What ``rolling`` gives at some places: uint64 [places]."""
    import numpy as np

    rolled = np.zeros(len(places), dtype=np.uint64)
    for offset in range(size):
        rolled *= np.uint64(MULTIPLIER)
        rolled += values[places + offset]
    return rolled


def build_index(benchmarks: Mapping[str, Iterable[tuple[str, str]]], config: Decontamination) -> Index:
    """Index the items, (id, text), of each benchmark; passages of a text are parted by ``PASSAGE``.

    An item of ``ngram`` words or more gives all its n-grams. A shorter one of ``min_words`` or more is one n-gram as a
    whole, and so is a shorter passage of an item. The others cannot be told from common phrases and are only counted.
    """
    import numpy as np

    items = [Item(benchmark, item) for benchmark, texts in benchmarks.items() for item, _ in texts]
    split = [folded(text).split(PASSAGE) for texts in benchmarks.values() for _, text in texts]
    passages = [passage for of_item in split for passage in of_item]
    text = PASSAGE.join(passages)
    values, begins = hashed(text)
    characters = np.cumsum([0, *(len(passage) + 1 for passage in passages)])
    raw = np.searchsorted(begins, characters)
    item_starts = raw[np.cumsum([0, *map(len, split)])]
    lengths = np.diff(item_starts)
    shortest = min(config.min_words, config.ngram)
    left = np.repeat(item_starts[1:], lengths) - np.arange(len(values))
    # By size: where n-grams begin.
    places = {config.ngram: np.flatnonzero(left >= config.ngram)}
    for size in range(shortest, config.ngram):
        whole = [starts[:-1][np.diff(starts) == size] for starts in (raw, item_starts)]
        places[size] = np.unique(np.concatenate(whole))
    of_item = np.repeat(np.arange(len(items)), lengths)
    names = {name: number for number, name in enumerate(benchmarks)}
    of_benchmark = np.array([names[item.benchmark] for item in items], dtype=np.int64)
    grams: list[Grams] = []
    templates: list[np.ndarray] = []
    for size in sorted(size for size, at in places.items() if len(at)):
        owners = of_item[places[size]]
        made, template = _grams(values, places[size], size, owners, of_benchmark[owners], sum(map(len, templates)))
        grams.append(made)
        templates.append(template)
    # Over each word the n-grams that tell the item, as many as begin by then less those that have ended.
    edges = np.zeros(len(values) + 1, dtype=np.int64)
    for made, template in zip(grams, templates, strict=True):
        telling = made.begins[np.repeat(~template, np.diff(made.starts))]
        edges += np.bincount(telling, minlength=len(edges)) - np.bincount(telling + made.size, minlength=len(edges))
    told = np.append(0, np.cumsum(np.cumsum(edges[:-1]) > 0))
    passage_starts = _long_passages(raw, item_starts, config.min_words)
    every = np.concatenate([np.empty(0, np.int32), *(g.begins[g.starts[:-1]] for g in grams)])
    heads = np.sort(windows(values, every, grams[0].size if grams else 0))
    maybe = np.zeros(1 << BITS, dtype=bool)
    maybe[heads >> np.uint64(64 - BITS)] = True
    return Index(
        items=items,
        text=text,
        begins=begins,
        item_starts=item_starts,
        passage_starts=passage_starts,
        passage_words=np.diff(told[passage_starts]),
        grams=grams,
        template=np.concatenate([np.empty(0, bool), *templates]),
        unindexed=int((lengths < shortest).sum()),
        heads=heads,
        maybe=maybe,
    )


def _grams(
    values: "np.ndarray",
    begins: "np.ndarray",
    size: int,
    items: "np.ndarray",
    benchmarks: "np.ndarray",
    offset: int,
) -> "tuple[Grams, np.ndarray]":
    """The n-grams of one size, and which are of a template, given by occurrence: first word, item and benchmark."""
    import numpy as np

    hashes = windows(values, begins, size)
    order = np.argsort(hashes, kind="stable")
    hashes, begins, items, benchmarks = hashes[order], begins[order], items[order], benchmarks[order]
    fresh = np.append(True, hashes[1:] != hashes[:-1])
    distinct = np.cumsum(fresh) - 1
    first = np.flatnonzero(fresh)[distinct]
    again = np.flatnonzero(~fresh)
    for word in range(size):
        if (values[begins[again] + word] != values[begins[first[again]] + word]).any():
            # One of them would be left in the texts. Among n n-grams there is such a pair with a probability of n^2 / 2^65.
            raise ValueError(
                f"two different {size}-word n-grams of the benchmarks have one hash; take another MULTIPLIER"
            )
    owned = fresh | np.append(True, items[1:] != items[:-1])
    # Items of a benchmark follow each other, and so do the items of an n-gram in it.
    gram, benchmark = distinct[owned], benchmarks[owned]
    run = np.append(True, (gram[1:] != gram[:-1]) | (benchmark[1:] != benchmark[:-1])).cumsum() - 1
    template = np.zeros(int(fresh.sum()), dtype=bool)
    template[gram[np.bincount(run)[run] > COMMON]] = True
    kept = fresh | ~template[distinct]
    starts = np.concatenate([[0], np.cumsum(np.bincount(distinct[kept]))])
    return Grams(size, offset, hashes[fresh], starts.astype(np.int32), begins[kept].astype(np.int32)), template


def _long_passages(starts: "np.ndarray", item_starts: "np.ndarray", min_words: int) -> "np.ndarray":
    """Where passages begin, given those of any length: one shorter than ``min_words`` is of the one before it.

    A short one at the beginning of an item is of the one after it.
    """
    import numpy as np

    begins_item = set(item_starts.tolist())
    long: list[int] = []
    length = 0
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        if start in begins_item or (length >= min_words and end - start >= min_words):
            long.append(start)
            length = 0
        length += end - start
    return np.unique(np.array([*long, *item_starts[-1:].tolist()], dtype=np.int64))
