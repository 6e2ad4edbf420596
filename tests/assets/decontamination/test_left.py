"""Finding what is left, for the gate: the same as comparing lists of words, and by none of the code that cuts."""

import ast
import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.decontamination.left import CODE_POINTS, SEVERAL, USUAL, _values, confirmed, known_ngrams, left_in
from assets.recipe.data import Decontamination
from tests.assets.decontamination.conftest import demo_texts, naive_holds, table_of
from tests.assets.decontamination.test_index import ITEM, SHORT, texts


def rows_left(documents: list[str], items: list[str], ngram: int = 13, min_words: int = 8) -> list[int]:
    table = table_of(documents)
    ids = table["id"].to_pylist()
    rows = []
    for left in left_in([table], known_ngrams([items], ngram, min_words)):
        assert confirmed(left, items, ngram, min_words) == list(range(left.num_rows))
        rows += [ids.index(name) for name in left["id"].to_pylist()]
    assert confirmed(table, items, ngram, min_words) == rows
    return rows


@settings(max_examples=100, deadline=None)
@given(st.lists(texts(20), max_size=4), st.lists(texts(10), max_size=4), st.integers(1, 4), st.integers(1, 5))
@example(["a b c", "b c d"], ["a b c\fb c"], 3, 2)
def test_what_is_left_is_found(documents: list[str], items: list[str], ngram: int, min_words: int) -> None:
    config = Decontamination(ngram=ngram, min_words=min_words)
    expected = [row for row, text in enumerate(documents) if naive_holds(text, items, config)]
    assert rows_left(documents, items, ngram, min_words) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(max_size=5))
@example("Straße İstanbul ΐx ŉ a\u0308 \u0345 _x_ 1,000.5 x\u00ad ½ 語 \U00020000", "")
def test_the_words_of_any_text_are_found_again(text: str, more: str) -> None:
    text += more
    config = Decontamination(ngram=2, min_words=2)
    assert bool(rows_left([text], [text], 2, 2)) == naive_holds(text, [text], config)


def test_every_character_has_the_value_of_what_it_is_case_folded_to() -> None:
    values = _values()
    for point, character in enumerate(map(chr, range(sys.maxunicode + 1))):
        folded, value = character.casefold(), int(values[min(point, CODE_POINTS - 1)])
        if len(folded) > 1:
            assert value == SEVERAL, hex(point)
        elif folded.isalnum() or folded == "_":
            assert value == values[ord(folded)] != 0, hex(point)
        else:
            assert value == 0, hex(point)
    apart = [c for c in map(chr, range(CODE_POINTS)) if c.casefold() == c and (c.isalnum() or c == "_")]
    assert len({int(values[ord(c)]) for c in apart} | {0, SEVERAL}) == len(apart) + 2


def test_an_item_in_real_text_is_found_and_nothing_else() -> None:
    pages = demo_texts("gnome_help_en")[:60]
    pages[7] = f"{pages[7]}\n{ITEM.upper()}"
    pages[40] = f"{SHORT} {pages[40]}"
    assert rows_left(
        pages, [ITEM, SHORT, "Of this nothing stands anywhere, whatever one may read of all these pages"]
    ) == [7, 40]


def test_an_item_at_the_end_of_a_document_of_more_than_a_million_characters_is_found() -> None:
    long = "sana " * (USUAL // 5 + 1)
    assert rows_left([f"{long}{ITEM}", long], [ITEM]) == [0]


def test_no_n_gram_goes_over_two_documents() -> None:
    words = ITEM.split()
    assert rows_left([" ".join(words[:9]), " ".join(words[9:])], [ITEM]) == []


def test_a_pair_is_searched_in_both_orders() -> None:
    sides = "Open the file menu to save it", "Avaa tiedostovalikko ja tallenna se heti"
    known = known_ngrams([["\f".join(sides)]], 13, 8)
    table = table_of([sides, sides[::-1], (sides[0], "Avaa")])
    (left,) = left_in([table], known)
    assert left.equals(table.slice(0, 2))


@pytest.mark.parametrize("name", ["left", "gate"])
def test_the_gate_uses_nothing_of_the_code_that_cuts(name: str) -> None:
    module = importlib.import_module(f"assets.decontamination.{name}")
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {m for m in imported if m and "decontamination" in m} <= {"assets.decontamination.left"}
