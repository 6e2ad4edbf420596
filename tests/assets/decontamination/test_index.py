"""The index of n-grams: what is found, of which items, what is of a template, and how much of a passage is held."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.decontamination import index as module
from assets.decontamination.index import COMMON, Held, Index, build_index
from assets.decontamination.words import folded
from assets.recipe.data import Decontamination
from assets.words import rolling
from tests.assets.decontamination.conftest import naive_grams, naive_words

ITEM = "The quick brown fox jumps over the lazy dog while eleven other animals watch it from afar"
SHORT = "who wrote the national epic of Finland, Kalevala?"
DEFAULT = Decontamination()


def indexed(*texts: str, config: Decontamination = DEFAULT) -> Index:
    return build_index({"task": [(f"item-{number}", text) for number, text in enumerate(texts)]}, config)


def found(index: Index, *texts: str) -> list[tuple[int, int, int]]:
    """Text, place and size of each n-gram that is found."""
    hits = index.find([folded(text) for text in texts])
    rows = zip(hits.texts.tolist(), hits.places.tolist(), map(index.size, hits.grams.tolist()), strict=True)
    return sorted(rows)


letters = st.sampled_from(["a", "b", "A", "ä", "a\u0308", "ß", "ss", "ΐ"])
gaps = st.sampled_from([" ", "\n", "-", ", ", " . ", "\n\n  ", "'", "\f"])


@st.composite
def texts(draw: st.DrawFn, most: int) -> str:
    return "".join(letter + gap for letter, gap in draw(st.lists(st.tuples(letters, gaps), max_size=most)))


@settings(max_examples=300, deadline=None)
@given(st.lists(texts(20), max_size=4), st.lists(texts(10), max_size=4), st.integers(1, 4), st.integers(1, 5))
def test_all_n_grams_are_found_where_they_stand(
    documents: list[str], items: list[str], ngram: int, min_words: int
) -> None:
    config = Decontamination(ngram=ngram, min_words=min_words)
    index = indexed(*items, config=config)
    grams = naive_grams(items, config)
    assert index.ngrams == len(grams)
    expected = [
        (text, place, len(gram))
        for text, words in enumerate(map(naive_words, documents))
        for gram in grams
        for place in range(len(words) - len(gram) + 1)
        if tuple(words[place : place + len(gram)]) == gram
    ]
    assert found(index, *documents) == sorted(expected)
    shortest = min(ngram, min_words)
    assert index.unindexed == sum(len(naive_words(item)) < shortest for item in items)


def test_short_items_and_short_passages_are_matched_whole() -> None:
    index = indexed(SHORT, "too short to be told from others", f"{SHORT}\f{ITEM}", ITEM)
    assert index.unindexed == 1
    assert [grams.size for grams in index.grams] == [8, 13]
    assert found(index, f"So {SHORT} Lönnrot") == [(0, 1, 8)]
    assert found(index, f"So {SHORT.removesuffix(' Kalevala?')}") == []
    ((gram,),) = [index.find([folded(SHORT)]).grams.tolist()]
    assert [index.items[place].item for place in index.owners(gram)] == ["item-0", "item-2"]


def test_no_n_gram_goes_over_two_texts_or_two_items() -> None:
    words = ITEM.split()
    half = " ".join(words[:9]), " ".join(words[9:])
    assert found(indexed(ITEM), *half) == []
    assert found(indexed(*half, config=Decontamination(min_words=9)), ITEM) == [(0, 0, 9)]


def test_an_n_gram_of_many_items_of_a_benchmark_is_of_its_template() -> None:
    template = "Read the following text with care, and then say in one word which feeling it shows"
    for items in (COMMON, COMMON + 1):
        index = indexed(*(f"{template}: {ITEM} {number}" for number in range(items)))
        holds = index.find([folded(template)]).grams
        assert len(holds) == 4
        assert index.template[holds].tolist() == [items > COMMON] * 4
        assert [len(index.owners(gram)) for gram in holds.tolist()] == [1 if items > COMMON else items] * 4
        # With the end of the item it tells which one it is.
        last = index.find([folded(f"{' '.join(ITEM.split()[-12:])} 7")]).grams.tolist()
        assert [index.items[i].item for gram in last for i in index.owners(gram)] == ["item-7"]
        assert not index.template[last].any()


def test_items_of_several_benchmarks_make_no_template() -> None:
    index = build_index({f"task-{n}": [("only", ITEM)] for n in range(COMMON + 5)}, DEFAULT)
    assert not index.template.any()
    assert len(index.owners(0)) == COMMON + 5


def test_how_much_of_each_passage_is_held() -> None:
    answer = "One should say that of these some are awake at night and most of them sleep by day"
    index = indexed(f"{ITEM}\f{answer}", "Nothing of this stands anywhere else, as far as we know, in any text at all")
    words = ITEM.split()
    grams = index.find([folded(f"{' '.join(words[:13])}. {answer}")]).grams.tolist()
    assert index.held(grams) == {0: [Held(13 / 17, 13), Held(1.0, 18)]}
    assert index.held([]) == {}


def test_a_passage_too_short_to_be_one_is_of_the_one_before_it() -> None:
    index = indexed(f"Question:\f{ITEM}\fFox\f{SHORT}")
    assert np.diff(index.passage_starts).tolist() == [19, 8]
    assert index.held(index.find([folded(ITEM)]).grams.tolist()) == {0: [Held(17 / 19, 17)]}


def test_a_collision_of_hashes_finds_nothing() -> None:
    index = indexed(" ".join(ITEM.split()[:13]))
    (grams,) = index.grams
    other = folded(" ".join(f"w{n}" for n in range(13)))
    collide = rolling(module.hashed(other)[0], 13)
    lying = replace(index, grams=[replace(grams, hashes=collide)], heads=collide, maybe=np.ones_like(index.maybe))
    assert len(lying.find([other]).grams) == 0


def test_a_collision_within_the_benchmarks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "windows", lambda values, places, size: np.zeros(len(places), np.uint64))
    with pytest.raises(ValueError, match="one hash"):
        indexed(ITEM)


def test_without_benchmarks_nothing_is_found() -> None:
    for index in (build_index({}, DEFAULT), indexed(), indexed("")):
        assert index.ngrams == 0
        assert found(index, ITEM, "") == []
    assert found(indexed(ITEM)) == []
