import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.decontamination import index as index_module
from assets.decontamination.cut import Cut, both_orders, cut_document, match_pair
from assets.decontamination.index import Index, build_index, search
from assets.recipe.data import Decontamination

ITEM = "The quick brown fox jumps over the lazy dog while eleven other animals watch it from afar"
DEFAULT = Decontamination()
NEVER_DROP = Decontamination(drop_share=1)
SHORT = "who wrote the national epic of Finland, Kalevala?"
AROUND = (
    "Before it stands this sentence of many plain words that no benchmark of ours holds.",
    "And after it this one.",
)


def indexed(*texts: str, config: Decontamination = DEFAULT) -> Index:
    return build_index({"task": [(f"item-{number}", text) for number, text in enumerate(texts)]}, config)


def cut(text: str, index: Index, config: Decontamination = NEVER_DROP) -> Cut:
    return cut_document(text, index, np.zeros(index.ngrams, dtype=bool), config)


def naive_words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", unicodedata.normalize("NFC", text))]


def naive_holds(text: str, items: list[str], config: Decontamination) -> bool:
    """Whether some n-gram of the items stands in the text, by comparing lists of words."""
    words = naive_words(text)
    for item in map(naive_words, items):
        size = min(config.ngram, len(item))
        if size >= min(config.min_words, config.ngram):
            grams = [item[i : i + size] for i in range(len(item) - size + 1)]
            if any(words[i : i + size] in grams for i in range(len(words) - size + 1)):
                return True
    return False


def test_an_item_is_cut_out_of_a_document() -> None:
    found = cut(f"{AROUND[0]} {ITEM}. {AROUND[1]}", indexed(ITEM))
    assert found.text == f"{AROUND[0]}\n{AROUND[1]}"
    assert found.words_cut == 17
    ((item, match),) = found.matches.items()
    assert (item, match.words, match.excerpt) == (0, 17, ITEM)


def test_case_punctuation_lines_and_composition_do_not_hide_an_item() -> None:
    disguised = unicodedata.normalize("NFD", "Öiseen aikaan " + ITEM.upper().replace(" ", ",\n"))
    found = cut(f"{AROUND[0]}\n{disguised}\n{AROUND[1]}", indexed(f"öiseen AIKAAN {ITEM}"))
    assert found.text == f"{AROUND[0]}\n{AROUND[1]}"


def test_no_part_of_a_word_is_left() -> None:
    found = cut(f"{AROUND[0]} un-{ITEM}'s-end, {AROUND[1]}", indexed(ITEM))
    assert found.text == f"{AROUND[0]}\n{AROUND[1]}"


def test_text_without_white_space_is_not_cut_beyond_the_match() -> None:
    long = "x." * 100
    found = cut(f"{long}{ITEM}.{long}", indexed(f"x {ITEM} x"))
    assert found.text is not None
    assert found.words_cut == 19
    assert naive_words(found.text) == ["x"] * 198


def test_the_rest_keeps_its_lines_and_indentation() -> None:
    found = cut(
        f"def f():\n    one = 1 # {ITEM}\n    two = 2\n\n    return one and two, or two and one\n", indexed(ITEM)
    )
    assert found.text == "def f():\n    one = 1 #\n    two = 2\n\n    return one and two, or two and one\n"


def test_a_long_enough_part_of_an_item_is_cut_and_a_shorter_one_is_not() -> None:
    words = ITEM.split()
    index = indexed(ITEM)
    assert cut(f"{AROUND[0]} {' '.join(words[2:15])}", index).text == AROUND[0]
    assert cut(f"{AROUND[0]} {' '.join(words[2:14])}", index).matches == {}


def test_a_short_item_is_matched_whole() -> None:
    index = indexed(SHORT, "too short to be told from others", ITEM)
    assert index.unindexed == 1
    assert [grams.size for grams in index.grams] == [8, 13]
    found = cut(f"{AROUND[0]} {SHORT} {AROUND[1]}", index)
    assert found.text == f"{AROUND[0]}\n{AROUND[1]}"
    assert [index.items[place] for place in found.matches] == [("task", "item-0")]
    assert cut(f"{AROUND[0]} {SHORT.removesuffix(' Kalevala?')}", index).matches == {}


def test_every_item_that_holds_a_phrase_is_named() -> None:
    index = build_index(
        {"a": [("1", ITEM), ("2", f"{ITEM} {ITEM}")], "b": [("3", ITEM)], "c": [("4", SHORT)]}, Decontamination()
    )
    found = cut(f"{AROUND[0]} {ITEM}", index)
    assert [index.items[place] for place in found.matches] == [("a", "1"), ("a", "2"), ("b", "3")]


def test_a_document_that_is_mostly_benchmark_goes() -> None:
    index, text = indexed(ITEM), f"{AROUND[0]} {ITEM}. {AROUND[1]}"
    share = 17 / len(naive_words(text))
    assert cut(text, index, Decontamination(drop_share=share - 0.01)).text is None
    assert cut(text, index, Decontamination(drop_share=share + 0.01)).text is not None


def test_common_phrases_are_cut_but_no_document_goes_for_them() -> None:
    index, text = indexed(ITEM), f"{AROUND[0]} {ITEM}. {AROUND[1]}"
    everything = np.ones(index.ngrams, dtype=bool)
    config = Decontamination(drop_share=0)
    assert cut_document(text, index, everything, config).text == f"{AROUND[0]}\n{AROUND[1]}"
    assert cut_document(f"Only {ITEM}", index, everything, config).text is None


def test_what_cutting_brings_together_is_cut_too() -> None:
    words = ITEM.split()
    text = f"{AROUND[0]} {' '.join(words[:9])} {ITEM} {' '.join(words[9:])} {AROUND[1]}"
    assert cut(text, indexed(ITEM)).text == f"{AROUND[0]}\n{AROUND[1]}"


def test_pairs_are_matched_over_both_sides_and_go_whole() -> None:
    index = indexed("Open the file menu to save it\nAvaa tiedostovalikko ja tallenna se heti")
    sides = "open the file menu to save it.", "Avaa tiedostovalikko ja tallenna se heti!"
    for text, translation in (sides, sides[::-1]):
        assert search(both_orders(text, translation), [0, 0], index)[0] == [0]
        found = match_pair(text, translation, index)
        assert found.text is None
        assert found.matches[0].words == 13
    assert search(both_orders(sides[0], "Avaa tiedosto"), [0, 0], index)[0] == []


def test_no_n_gram_goes_over_two_documents() -> None:
    words = ITEM.split()
    assert search([" ".join(words[:9]), " ".join(words[9:])], [0, 1], indexed(ITEM))[0] == []


@pytest.mark.parametrize("characters", [1, 50, 10_000])
def test_search_counts_the_documents_of_each_n_gram(characters: int) -> None:
    index = indexed(ITEM)
    first = " ".join(ITEM.split()[:13])
    texts = [AROUND[0], ITEM, f"{first} {first}", "", f"{first} x", f"{ITEM} {ITEM}"]
    rows, frequency = search(texts, [0, 1, 2, 3, 4, 4], index, characters)
    assert rows == [1, 2, 4]
    assert sorted(frequency.tolist()) == [2, 2, 2, 2, 3]


def test_a_collision_of_hashes_cuts_nothing() -> None:
    index = indexed(" ".join(ITEM.split()[:13]))
    (grams,) = index.grams
    collide = replace(grams, hashes=np.zeros(1, np.uint64), maybe=np.ones_like(grams.maybe))
    index = replace(index, mixed=np.zeros_like(index.mixed), grams=[collide])
    text = " ".join(f"w{n}" for n in range(40))
    assert cut(text, index).text == text
    assert cut(f"{AROUND[0]} {ITEM}", index).words_cut == 13


def test_a_collision_within_the_benchmarks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "rolling", lambda values, size: np.zeros(len(values) - size + 1, np.uint64))
    with pytest.raises(ValueError, match="one hash"):
        indexed(ITEM)


def test_without_benchmarks_nothing_is_found() -> None:
    index = indexed()
    assert search([ITEM], [0], index)[0] == []
    assert cut(ITEM, index).text == ITEM


letters = st.sampled_from(["a", "b", "A", "ä", "a\u0308", "ß"])
gaps = st.sampled_from([" ", "\n", "-", ", ", " . ", "\n\n  ", "'"])


@st.composite
def texts(draw: st.DrawFn, most: int) -> str:
    return "".join(letter + gap for letter, gap in draw(st.lists(st.tuples(letters, gaps), max_size=most)))


@settings(max_examples=300, deadline=None)
@given(texts(40), st.lists(texts(8), max_size=4), st.integers(1, 4), st.integers(1, 4))
def test_nothing_of_any_benchmark_is_left(text: str, items: list[str], ngram: int, min_words: int) -> None:
    config = Decontamination(ngram=ngram, min_words=min_words, drop_share=1)
    index = indexed(*items, config=config)
    holds = naive_holds(text, items, config)
    assert search([text], [0], index)[0] == [0] * holds
    found = cut(text, index, config)
    assert bool(found.matches) == holds
    if found.text is not None:
        assert not naive_holds(found.text, items, config)
        assert found.words_cut == len(naive_words(text)) - len(naive_words(found.text))
        if not holds:
            assert found.text == unicodedata.normalize("NFC", text)
