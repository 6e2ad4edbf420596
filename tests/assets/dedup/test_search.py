import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from assets.dedup.search import Duplicate, band_keys, find_duplicates, minhash
from assets.dedup.text import normalise
from assets.recipe.data import Dedup

# Narrow bands find every pair of the small cases here.
SURE = Dedup(bands=32, rows=3)


def tables(texts: list[str | tuple[str, str]], rows: int = 1000) -> list[pa.Table]:
    table = pa.table(
        {
            "text": [t if isinstance(t, str) else t[0] for t in texts],
            "translation": pa.array([None if isinstance(t, str) else t[1] for t in texts], pa.string()),
        }
    )
    return [table.slice(start, rows) for start in range(0, len(texts), rows)]


def found(texts: list[str | tuple[str, str]], config: Dedup = SURE) -> dict[int, tuple[int, str]]:
    return {d.document: (d.survivor, d.kind) for d in find_duplicates(lambda: tables(texts), config)}


def numbered(start: int, stop: int) -> str:
    return " ".join(f"w{n}" for n in range(start, stop))


def shingle_set(text: str, size: int = 5) -> frozenset[tuple[str, ...]]:
    words = normalise(text).split()
    return frozenset(zip(*(words[i:] for i in range(size)), strict=False))


def similarity(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b)


def alike(sets: list[frozenset[tuple[str, ...]]], threshold: float) -> dict[int, set[int]]:
    """All pairs at or above the threshold, both ways, by comparing each text with each."""
    order = sorted((place for place in range(len(sets)) if sets[place]), key=lambda place: len(sets[place]))
    pairs: dict[int, set[int]] = {}
    for position, a in enumerate(order):
        for b in order[position + 1 :]:
            # Of a larger set, too small a part can be common.
            if len(sets[a]) < threshold * len(sets[b]):
                break
            if similarity(sets[a], sets[b]) >= threshold:
                pairs.setdefault(a, set()).add(b)
                pairs.setdefault(b, set()).add(a)
    return pairs


@pytest.fixture(scope="module")
def pages(help_pages: list[str]) -> tuple[list[str], list[frozenset[tuple[str, ...]]], dict[int, set[int]]]:
    sets = [shingle_set(text) for text in help_pages]
    return help_pages, sets, alike(sets, Dedup().threshold)


def test_exact_duplicates_whatever_their_length() -> None:
    texts = ["Yes", "no", "yes ", "YES\n", ("yes", "kyllä"), ("Yes", "joo"), ("YES", " kyllä")]
    assert found(texts) == {2: (0, "exact"), 3: (0, "exact"), 6: (4, "exact")}


def test_near_duplicate_and_its_copies_go_for_the_survivor() -> None:
    near = numbered(0, 95) + " end"
    duplicates = find_duplicates(lambda: tables([numbered(0, 100), near, near.upper(), "other text"]), SURE)
    expected = similarity(shingle_set(numbered(0, 100)), shingle_set(near))
    assert duplicates == [Duplicate(1, 0, "near", expected), Duplicate(2, 0, "near", expected)]


def test_chains_do_not_collapse() -> None:
    # Neighbours are 0.81 similar, the first and the last 0.66.
    a, b, c = numbered(0, 100), numbered(10, 110), numbered(20, 120)
    assert found([a, b, c]) == {1: (0, "near")}
    assert found([b, a, c]) == {1: (0, "near"), 2: (0, "near")}


def test_pairs_and_texts_below_a_shingle_are_only_compared_exactly() -> None:
    assert found([numbered(0, 4), numbered(0, 4) + ".", (numbered(0, 99), "x"), (numbered(0, 99), "y")]) == {}


def test_the_first_similar_survivor_stands_for_a_document() -> None:
    assert found([numbered(0, 100), numbered(17, 117), numbered(8, 108)]) == {2: (0, "near")}


def test_nothing_is_found_in_nothing() -> None:
    assert find_duplicates(lambda: [], Dedup()) == []
    assert found([]) == {}


def test_pairs_of_pages_share_a_band(pages: tuple) -> None:
    texts, _, pairs = pages
    keys = band_keys(minhash(pa.array([normalise(t) for t in texts], pa.large_string()), Dedup()), Dedup())
    shared = [bool((keys[a] == keys[b]).any()) for a, others in pairs.items() for b in others if a < b]
    assert len(shared) > 100
    assert sum(shared) / len(shared) >= 0.95


def test_removed_pages_are_those_of_brute_force(pages: tuple) -> None:
    texts, sets, pairs = pages
    survivors: set[int] = set()
    first: dict[str, int] = {}
    expected = set()
    for place, text in enumerate(texts):
        if first.setdefault(normalise(text), place) != place or pairs.get(place, set()) & survivors:
            expected.add(place)
        else:
            survivors.add(place)
    duplicates = find_duplicates(lambda: tables(texts), Dedup())
    removed = {d.document for d in duplicates}
    assert len(expected) > 100
    assert len(removed & expected) / len(expected) >= 0.95
    for d in duplicates:
        assert d.survivor not in removed
        assert d.survivor < d.document
        if d.kind == "near":
            assert similarity(sets[d.document], sets[d.survivor]) == d.similarity >= Dedup().threshold


def test_parts_do_not_change_what_is_found(help_pages: list[str]) -> None:
    texts = help_pages[700:1100]
    whole = find_duplicates(lambda: tables(texts), Dedup())
    assert find_duplicates(lambda: tables(texts, rows=37), Dedup()) == whole
    assert any(d.kind == "near" for d in whole)


def test_hash_seed_does_not_change_what_is_found() -> None:
    script = (
        "import pyarrow as pa; from assets.dedup.search import find_duplicates; from assets.recipe.data import Dedup\n"
        "t = pa.table({'text': [' '.join(f'w{i % (40 + n // 3)}' for i in range(99)) for n in range(60)],"
        " 'translation': pa.nulls(60, pa.string())})\n"
        "print(find_duplicates(lambda: [t], Dedup()))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "exact" in outputs.pop()
