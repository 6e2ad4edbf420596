import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.dedup.text import digest, jaccard, normalise, shingles

word_lists = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=30)


def test_case_white_space_and_composition_do_not_count() -> None:
    plain = normalise("Straße Päivä  on\n\ttänään")
    assert plain == normalise(unicodedata.normalize("NFD", "STRASSE PÄIVÄ on tänään "))
    assert plain == "strasse päivä on tänään"


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_sides_of_a_pair_are_told_apart() -> None:
    assert len({digest("a b", None), digest("a", "b"), digest("b", "a"), digest("a b", "")}) == 4


@given(word_lists, word_lists, st.integers(1, 5))
def test_jaccard_is_that_of_the_sets_of_shingles(a: list[str], b: list[str], size: int) -> None:
    sets = [{tuple(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (a, b)]
    expected = len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)
    assert jaccard(shingles(a, size), shingles(b, size)) == expected


def test_shingles_are_distinct_and_sorted() -> None:
    found = shingles(["a", "b", "a", "b", "a", "b"], 2)
    assert found.dtype == np.uint64
    assert len(found) == 2
    assert found[0] < found[1]
