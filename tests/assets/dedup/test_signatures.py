import numpy as np
import pyarrow as pa
import pytest

from assets.dedup.signatures import band_keys, minhash, sign, signature_schema
from assets.dedup.text import words_of
from assets.recipe.data import Dedup


def numbered(start: int, stop: int) -> str:
    return " ".join(f"w{n}" for n in range(start, stop))


def documents(*found: str | tuple[str, str]) -> pa.Table:
    return pa.table(
        {
            "text": pa.array([d if isinstance(d, str) else d[0] for d in found], pa.large_string()),
            "translation": pa.array([None if isinstance(d, str) else d[1] for d in found], pa.large_string()),
        }
    )


def hashes(texts: list[str], config: Dedup) -> np.ndarray:
    words = words_of(pa.chunked_array([texts], pa.large_string()))
    return minhash(words, config, np.ones(len(texts), bool))


def test_what_is_only_compared_exactly_has_no_keys() -> None:
    table = documents(numbered(0, 4), numbered(0, 5), (numbered(0, 9), "x"), "", numbered(0, 99))
    signed = sign(table, Dedup())
    assert signed.schema == signature_schema()
    assert [len(keys) for keys in signed["keys"].to_pylist()] == [0, 24, 0, 0, 24]
    assert {len(digest) for digest in signed["digest"].to_pylist()} == {16}


def test_a_document_is_signed_as_it_is_by_itself() -> None:
    table = documents(numbered(3, 40), ("a", "b"), "x", numbered(20, 90), numbered(0, 5), ("one two", ""))
    alone = [sign(table.slice(place, 1), Dedup()) for place in range(table.num_rows)]
    assert pa.concat_tables(alone).to_pylist() == sign(table, Dedup()).to_pylist()


def test_texts_agree_in_as_many_hashes_as_they_are_similar() -> None:
    config = Dedup(bands=500, rows=8)
    whole, half, none = hashes([numbered(0, 304), numbered(100, 404), numbered(500, 900)], config)
    # 200 of 400 shingles are common; the standard deviation of the share of 4,000 hashes is 0.008.
    assert np.mean(whole == half) == pytest.approx(0.5, abs=0.03)
    assert np.mean(whole == none) < 0.001


def test_a_pair_shares_a_band_as_often_as_the_formula_says() -> None:
    config = Dedup(bands=24, rows=7, shingle=1)
    # 400 pairs of sets with 160 common words of 200, each with words of its own: similarity 0.8.
    texts = [" ".join(f"{p}x{n}" for n in range(s, s + 180)) for p in range(400) for s in (0, 20)]
    keys = band_keys(hashes(texts, config), config)
    shared = (keys[0::2] == keys[1::2]).sum(axis=1)
    assert np.mean(shared > 0) >= 0.98
    # 24 bands at 0.8^7 = 0.21 each: 5.03.
    assert shared.mean() == pytest.approx(24 * 0.8**7, abs=0.5)


def test_equal_bands_have_equal_keys_and_others_do_not() -> None:
    config = Dedup(bands=2, rows=3)
    keys = band_keys(np.array([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7], [3, 2, 1, 4, 5, 6]], np.uint32), config)
    assert keys[0, 0] == keys[1, 0] != keys[2, 0]
    assert keys[0, 1] == keys[2, 1] != keys[1, 1]
