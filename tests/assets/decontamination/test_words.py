"""Words, where they stand, and their hashes, for any text."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.decontamination import words as module
from assets.decontamination.words import composed, folded, hashed, spans, words
from tests.assets.decontamination.conftest import naive_words


@settings(deadline=None, max_examples=300)
@given(st.text())
@example("Straße İstanbul ΐx ŉ a\u0308 \u0345")
def test_words_and_their_places_in_any_text(text: str) -> None:
    assert words(text) == naive_words(text)
    whole = composed(text)
    found = spans(whole)
    assert len(found) == len(words(text))
    for (start, end), word in zip(found, words(text), strict=True):
        assert word in whole[start:end].casefold()
    assert all(first[1] <= second[1] and first[0] < first[1] for first, second in pairwise(found))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text(max_size=30), max_size=6), st.sampled_from([2, 7, 1 << 17]))
def test_the_same_words_have_the_same_hash_and_others_another(texts: list[str], block: int) -> None:
    whole = folded("\n".join(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        module._block_powers.cache_clear()
        hashes, begins = hashed(whole)
    module._block_powers.cache_clear()
    found = module.WORD.findall(whole)
    assert [whole[begin : begin + len(word)] for begin, word in zip(begins, found, strict=True)] == found
    by_word = dict(zip(found, hashes.tolist(), strict=True))
    assert [by_word[word] for word in found] == hashes.tolist()
    assert len(set(by_word.values())) == len(by_word)
    np.testing.assert_array_equal(hashes, hashed(whole)[0])


def test_case_and_composition_make_no_other_word() -> None:
    decomposed = unicodedata.normalize("NFD", "ÖISEEN Aikaan")
    assert words(decomposed) == words("öiseen AIKAAN") == ["öiseen", "aikaan"]
