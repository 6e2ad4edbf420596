import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from assets.dedup.text import digested, jaccard, normalise, normalised, shingle_sets, words_of

word_lists = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=30)
# Case-folding, composition and white space that need more than ASCII.
tricky = st.text(st.sampled_from("aAäÄßẞİıſΣςﬁÅ\u030a\u0308 \n\t\u00a0\u2003\u1680"), max_size=12)


def test_case_white_space_and_composition_do_not_count() -> None:
    plain = normalise("Straße Päivä  on\n\ttänään")
    assert plain == normalise(unicodedata.normalize("NFD", "STRASSE PÄIVÄ on tänään "))
    assert plain == "strasse päivä on tänään"


@given(st.text() | tricky)
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.text() | tricky, max_size=5))
def test_texts_are_normalised_together_as_one_by_one(texts: list[str]) -> None:
    found = normalised(words_of(pa.chunked_array([texts], pa.large_string())))
    assert [text.decode() for text in found] == [normalise(text) for text in texts]


def test_every_character_is_normalised_together_as_by_itself() -> None:
    texts = [f"A{chr(n)}b" for n in range(0x11000) if not 0xD800 <= n < 0xE000]
    found = normalised(words_of(pa.chunked_array([texts], pa.large_string())))
    assert [text.decode() for text in found] == [normalise(text) for text in texts]


def digests(*documents: str | tuple[str, str]) -> list[bytes]:
    texts = [d if isinstance(d, str) else d[0] for d in documents]
    translations = [None if isinstance(d, str) else d[1] for d in documents]
    found = digested(pa.table({"text": texts, "translation": pa.array(translations, pa.string())}))
    values: list[bytes] = found["digest"].to_pylist()
    return values


def test_sides_of_a_pair_are_told_apart() -> None:
    assert len(set(digests("a b", ("a", "b"), ("b", "a"), ("a b", ""), "a  b", ("A", "B\n")))) == 4


@given(st.lists(st.text() | tricky, min_size=2, max_size=5))
def test_digests_are_equal_when_normalised_texts_are(texts: list[str]) -> None:
    found, plain = digests(*texts), [normalise(text) for text in texts]
    assert len(set(zip(found, plain, strict=True))) == len(set(plain)) == len(set(found))


@given(word_lists, word_lists, st.integers(1, 5))
def test_jaccard_is_that_of_the_sets_of_shingles(a: list[str], b: list[str], size: int) -> None:
    sets = [{tuple(words[i : i + size]) for i in range(len(words) - size + 1)} for words in (a, b)]
    expected = len(sets[0] & sets[1]) / max(len(sets[0] | sets[1]), 1)
    texts = pa.chunked_array([[" ".join(words) for words in (a, b)]], pa.large_string())
    assert jaccard(*shingle_sets(words_of(texts), size)) == expected


def test_shingles_are_distinct_and_sorted() -> None:
    (found,) = shingle_sets(words_of(pa.chunked_array([["A b a B a b"]])), 2)
    assert found.dtype == np.uint64
    assert len(found) == 2
    assert found[0] < found[1]
