"""Words of any texts as vectors, and their hashes."""

import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from assets.words import LONG_WORD, TextBytes, Words, ngram_hashes, rolling

any_texts = st.lists(st.text(), max_size=5)
few_words = st.lists(st.sampled_from(["a", "b", "ab", "ä", "a" * 8, "a" * 9, "b" * LONG_WORD, "b" * 500]), max_size=12)


def found(texts: list[str]) -> list[list[str]]:
    words = Words.of(TextBytes.of_strings(texts))
    data = words.texts.data.tobytes()
    all_words = [data[a:b].decode() for a, b in zip(words.starts, words.ends, strict=True)]
    return [all_words[a:b] for a, b in zip(words.bounds[:-1], words.bounds[1:], strict=True)]


def test_every_white_space_ends_a_word() -> None:
    characters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000]
    text = "a".join(characters)
    assert found([text]) == [text.split()]


@given(any_texts)
def test_words_are_those_of_each_text(texts: list[str]) -> None:
    assert found(texts) == [text.split() for text in texts]


def test_no_word_goes_over_the_end_of_a_text() -> None:
    assert found(["ab", "", "cd e", "\u2003", "\u3000f"]) == [["ab"], [], ["cd", "e"], [], ["f"]]


def test_a_column_is_read_where_it_lies() -> None:
    column = pa.chunked_array([["x y", "ä"], ["z"], []], pa.large_string())
    for part in (column, column.slice(1), column.slice(1, 1), column.slice(3), column.cast(pa.string())):
        texts = TextBytes.of_column(part)
        assert [texts[place].decode() for place in range(len(texts))] == part.to_pylist()


@given(st.lists(few_words, max_size=3))
def test_equal_words_have_equal_hashes_and_different_ones_do_not(texts: list[list[str]]) -> None:
    hashes = Words.of(TextBytes.of_strings([" ".join(words) for words in texts])).hashes.tolist()
    words = [word for text in texts for word in text]
    assert len(set(zip(words, hashes, strict=True))) == len(set(words)) == len(set(hashes))


@given(few_words, st.integers(1, 5))
def test_ngrams_are_equal_when_their_words_are(words: list[str], size: int) -> None:
    hashes = ngram_hashes(Words.of(TextBytes.of_strings([" ".join(words)])).hashes, size).tolist()
    ngrams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    assert len(set(zip(ngrams, hashes, strict=True))) == len(set(ngrams)) == len(set(hashes))


def test_hashes_are_the_same_everywhere() -> None:
    words = Words.of(TextBytes.of_strings(["tokka lukee sanoja", "pitkä" * 40]))
    assert words.hashes.dtype == np.uint64
    assert words.hashes.tolist() == [0x6596A89F876CB275, 0xD93C5456D24A021F, 0xA8E69CFCC6CB2271, 0x699DC261B9577FE5]


def test_the_order_of_words_counts() -> None:
    values = np.array([3, 5, 3, 5, 8], dtype=np.uint64)
    rolled = rolling(values, 2)
    assert rolled[0] == rolled[2] and len(set(rolled.tolist())) == 3
    assert len(rolling(values, 6)) == 0
