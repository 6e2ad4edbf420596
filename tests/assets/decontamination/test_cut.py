"""Cutting n-grams out of documents, and which documents go."""

import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.decontamination.cut import Cut, cut_document, match_pair
from assets.decontamination.index import Index, build_index
from assets.recipe.data import Decontamination
from tests.assets.decontamination.conftest import naive_holds, naive_words
from tests.assets.decontamination.test_index import DEFAULT, ITEM, SHORT, indexed, texts

ONLY_CUT = Decontamination(policy="cut")
AROUND = (
    "Before it stands this sentence of many plain words that no benchmark of ours holds.",
    "And after it this one.",
)


def plain(words: int) -> str:
    return " ".join(f"w{n}" for n in range(words))


def cut(text: str, index: Index, config: Decontamination = ONLY_CUT) -> Cut:
    return cut_document(text, index, index.template, config)


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


def test_every_item_that_holds_a_phrase_is_named() -> None:
    index = build_index(
        {"a": [("1", ITEM), ("2", f"{ITEM} {ITEM}")], "b": [("3", ITEM)], "c": [("4", SHORT)]}, Decontamination()
    )
    found = cut(f"{AROUND[0]} {ITEM}", index)
    assert [index.items[place] for place in found.matches] == [("a", "1"), ("a", "2"), ("b", "3")]


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


LONG_ITEM = f"{ITEM}. {' '.join(f'o{n}' for n in range(60))}\f{' '.join(f'a{n}' for n in range(40))}"


def test_a_document_that_holds_an_item_goes_and_a_long_one_that_quotes_it_is_cut() -> None:
    index = indexed(ITEM)
    for words in (60, 400, 3_000):
        assert cut(f"{plain(words)} {ITEM}.", index, DEFAULT).text is None
        assert cut(f"{plain(words)} {ITEM}.", index, ONLY_CUT).text == plain(words)
    assert cut(f"{plain(10_000)} {ITEM}.", index, DEFAULT).text == plain(10_000)


def test_a_phrase_of_an_item_does_not_make_it_an_item() -> None:
    found = cut(f"{plain(120)} {ITEM}.", indexed(LONG_ITEM), DEFAULT)
    assert found.text == plain(120)
    assert found.matches[0].share == 17 / 77


def test_half_of_one_passage_is_an_item() -> None:
    answer = LONG_ITEM.split("\f")[1].split()
    index = indexed(LONG_ITEM)
    assert cut(f"{plain(400)} {' '.join(answer[5:25])}", index, DEFAULT).text is None
    assert cut(f"{plain(400)} {' '.join(answer[5:24])}", index, DEFAULT).text == plain(400)


def test_passages_that_are_short_make_an_item_together() -> None:
    sides = "Muut painijat osoittivat myös kunnioitusta Lunalle aina sen jälkeen", "Wrestlers paid tribute to Luna too"
    index = indexed("\f".join(sides))
    assert cut(f"{plain(400)}\n{sides[0]}\n{sides[1]}", index, DEFAULT).text is None
    # One sentence of nine words is one that anybody may write.
    assert cut(f"{plain(400)}\n{sides[0]}", index, DEFAULT).text == plain(400)


def test_a_short_item_that_stands_there_whole_is_an_item() -> None:
    """Its words are fewer than an n-gram's; a long document that quotes it stays, and so does one with most of its words."""
    item = "Vuohet on nähtävästi kesytetty noin kymmenentuhatta vuotta sitten Iranin vuorilla"
    index = indexed(item)
    assert cut(f"{plain(400)}\n{item}.\n{plain(400)}", index, DEFAULT).text is None
    assert cut(f"{plain(2_500)}\n{item}.", index, DEFAULT).text == plain(2_500)
    most = item.rsplit(" ", 1)[0]
    assert cut(f"{plain(400)}\n{most} rannalla.", index, DEFAULT).text == f"{plain(400)}\n{most} rannalla."


def test_a_document_that_is_mostly_pieces_of_benchmarks_goes() -> None:
    sentences = [f"this is one of the many short sentences {n}" for n in range(8)]
    index = indexed(
        *(f"{sentence}\f{plain(20).upper().replace('W', 'other')} {n}" for n, sentence in enumerate(sentences))
    )
    assert cut(f"{plain(150)} {'. '.join(sentences)}", index, DEFAULT).text is None
    assert cut(f"{plain(200)} {'. '.join(sentences)}", index, DEFAULT).text == plain(200)


def test_a_template_is_cut_but_tells_nothing() -> None:
    template = "Read the following text with care, and then say in one word which feeling it shows"
    index = indexed(*(f"{template}: {plain(20)} {number}" for number in range(11)))
    found = cut(f"{AROUND[0]} {AROUND[1]} {template}.", index, DEFAULT)
    assert found.text == f"{AROUND[0]} {AROUND[1]}"
    assert [(item, match.words, match.share) for item, match in found.matches.items()] == [(0, 16, 0)]
    assert cut(f"{AROUND[0]} {template}: {plain(20)} 3", index, DEFAULT).text is None


def test_pairs_are_matched_over_both_sides_and_go_whole() -> None:
    index = indexed("Open the file menu to save it\fAvaa tiedostovalikko ja tallenna se heti")
    sides = "open the file menu to save it.", "Avaa tiedostovalikko ja tallenna se heti!"
    for text, translation in (sides, sides[::-1]):
        found = match_pair(text, translation, index, index.template)
        assert found.text is None
        assert (found.matches[0].words, found.matches[0].share) == (13, 1)


@settings(max_examples=300, deadline=None)
@given(texts(40), st.lists(texts(8), max_size=4), st.integers(1, 4), st.integers(1, 4))
def test_nothing_of_any_benchmark_is_left(text: str, items: list[str], ngram: int, min_words: int) -> None:
    config = Decontamination(ngram=ngram, min_words=min_words, policy="cut")
    index = indexed(*items, config=config)
    holds = naive_holds(text, items, config)
    found = cut(text, index, config)
    assert bool(found.matches) == holds
    if found.text is not None:
        assert not naive_holds(found.text, items, config)
        assert found.words_cut == len(naive_words(text)) - len(naive_words(found.text))
        if not holds:
            assert found.text == unicodedata.normalize("NFC", text)
