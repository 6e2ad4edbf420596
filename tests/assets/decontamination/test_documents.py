"""Tables of documents against benchmarks: what becomes of each; on real code, and on the labelled cases of the shared data."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.benchmarks.items import items_of_files
from assets.decontamination.documents import common_grams, cut, decontaminate, search
from assets.decontamination.index import COMMON, build_index
from assets.recipe.data import Decontamination
from tests.assets.decontamination.conftest import demo_texts, naive_grams, naive_words, table_of
from tests.assets.decontamination.test_index import DEFAULT, ITEM, indexed

SHARED = os.environ.get("TOKKA_SHARED")
needs_shared = pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with the larger corpora")


def decisions(made: Any) -> list[str]:
    found: list[str] = made["decision"].to_pylist()
    return found


def test_what_becomes_of_each_document() -> None:
    pages = demo_texts("gnome_help_en")[:30]
    pages[3] = f"{pages[3]}\n{ITEM}."
    long = "\n".join(pages[5:25]) * 3
    made = decontaminate(table_of([*pages, f"{long}\n{ITEM}"]), {"animals": [("fox", ITEM)]}, DEFAULT)
    assert made.column_names == ["id", "decision", "text", "translation", "matches"]
    rows = made.to_pylist()
    assert [row["id"] for row in rows] == [str(n) for n in range(31)]
    assert decisions(made) == [*["kept"] * 3, "dropped", *["kept"] * 26, "cut"]
    assert [row["text"] for row in rows] == [*pages[:3], None, *pages[4:], long]
    match = {"benchmark": "animals", "item": "fox", "words": 17, "share": 1.0, "excerpt": ITEM}
    assert rows[3]["matches"] == rows[30]["matches"] == [match]
    assert rows[0]["matches"] == []


def test_pairs_and_documents_without_benchmarks() -> None:
    table = table_of([("Open it", "Avaa se"), ITEM])
    for benchmarks in ({}, {"empty": []}):
        made = decontaminate(table, benchmarks, DEFAULT)
        assert decisions(made) == ["kept", "kept"]
        assert made["translation"].to_pylist() == ["Avaa se", None]


def test_in_how_many_documents_an_n_gram_stands() -> None:
    index = indexed(ITEM)
    first = " ".join(ITEM.split()[:13])
    rows, frequency = search(table_of(["none", ITEM, f"{first} {first}", "", f"{first} x", (ITEM, ITEM)]), index)
    assert rows.tolist() == [1, 2, 4, 5]
    assert sorted(frequency.tolist()) == [2, 2, 2, 2, 4]
    assert not common_grams(index, frequency).any()
    assert common_grams(index, frequency * COMMON).all()


def test_an_n_gram_of_many_documents_is_common_and_takes_none_with_it() -> None:
    pages = [f"{' '.join(f'w{n}x{word}' for word in range(40))}\n{ITEM}" for n in range(COMMON + 1)]
    for count, expected in ((COMMON, "dropped"), (COMMON + 1, "cut")):
        made = decontaminate(table_of(pages[:count]), {"animals": [("fox", ITEM)]}, DEFAULT)
        assert decisions(made) == [expected] * count


IDIOMS = {
    "has_close_elements": '''from typing import List


def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """ Check if in given list of numbers, are any two numbers closer to each other than given threshold.
    >>> has_close_elements([1.0, 2.8, 3.0, 4.0, 5.0, 2.0], 0.3)
    True
    """
    for idx, elem in enumerate(numbers):
        for idx2, elem2 in enumerate(numbers):
            if idx != idx2 and abs(elem - elem2) < threshold:
                return True
    return False''',
    "bubble_sort": """Write a function to sort a list in place by comparing each element with the next one.
def bubble_sort(a):
    for i in range(len(a)):
        for j in range(len(a) - 1):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a""",
    "equality": """Write a class of points with equality.
class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y
    def __eq__(self, other):
        if not isinstance(other, self.__class__):
            return NotImplemented
        return self.x == other.x and self.y == other.y
    def __ne__(self, other):
        return not self == other""",
    "main": """import sys
import unittest
class Test(unittest.TestCase):
    def setUp(self):
        self.value = 1
    def test_value(self):
        self.assertEqual(self.value, 1)
if __name__ == "__main__":
    unittest.main()""",
}


def test_idioms_that_code_shares_with_benchmarks_remove_no_real_code() -> None:
    code = demo_texts("python_stdlib")
    made = decontaminate(table_of(code), {"code": list(IDIOMS.items())}, DEFAULT)
    assert "dropped" not in decisions(made)


@pytest.mark.parametrize("documents", [None, 12])
def test_boilerplate_of_a_source_in_all_items_of_a_benchmark_removes_little(documents: int | None) -> None:
    """The worst case: items that begin with the most common phrases of real code, which then goes for none of them.

    In a small source nothing is common, but a phrase is not an item there either.
    """
    code = sorted(demo_texts("python_stdlib"), key=len)[-150:][:documents]
    phrases: Counter[tuple[str, ...]] = Counter()
    for text in code:
        phrases.update(naive_grams([text], DEFAULT))
    shared = [" ".join(phrase) for phrase, _ in sorted(phrases.most_common(40), key=lambda p: (-p[1], p[0]))]
    items = [(f"i{n}", f"{phrase} {' '.join(f'u{n}x{word}' for word in range(40))}") for n, phrase in enumerate(shared)]
    found = Counter(decisions(decontaminate(table_of(code), {"code": items}, DEFAULT)))
    assert found["cut"] > 0
    assert found["dropped"] <= 0.02 * len(code)


def read(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(SHARED or "") / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def suites() -> dict[str, list[tuple[str, str]]]:
    """All benchmarks of the shared data, by file name."""
    folder = Path(SHARED or "")
    names = (
        "arc",
        "finbench",
        "flores",
        "gsm8k",
        "hellaswag",
        "humaneval",
        "mbpp",
        "mmlu",
        "tatoeba",
        "truthful",
        "winog",
    )
    read_all = items_of_files(folder / "eval") | items_of_files(folder / "finbench")
    return {
        name: items
        for name, items in read_all.items()
        if name.startswith(names) or (folder / "finbench" / f"{name}.json").exists()
    }


@needs_shared
def test_the_labelled_cases_of_contamination_go_and_clean_documents_stay(
    suites: dict[str, list[tuple[str, str]]],
) -> None:
    cases = read("eval/noise_cases")
    made = decontaminate(table_of(case["text"] for case in cases), suites, DEFAULT).to_pylist()
    labelled = [(case, row) for case, row in zip(cases, made, strict=True)]
    contaminated = [row["decision"] for case, row in labelled if case["label"].startswith("contamination")]
    assert contaminated == ["dropped"] * 25
    kept = [row for case, row in labelled if case["expect"] == "keep"]
    assert {row["decision"] for row in kept} == {"kept"}
    assert [row["text"] for row in kept] == [case["text"] for case, _ in labelled if case["expect"] == "keep"]


@needs_shared
def test_real_corpora_lose_almost_nothing_to_the_benchmarks(suites: dict[str, list[tuple[str, str]]]) -> None:
    index = build_index(suites, DEFAULT)
    for name in ("code/python_stdlib", "code/pypi_python", "en/gutenberg_en", "fi/turku_ner_fi"):
        table = table_of(row["text"] for row in read(name))
        rows, frequency = search(table, index)
        assert len(rows) <= 0.02 * table.num_rows, name
        cuts = cut(table.take(pa.array(rows)), index, common_grams(index, frequency), DEFAULT)
        assert cuts["text"].null_count == 0, name


def test_the_policy_that_only_cuts() -> None:
    text = f"{' '.join(naive_words(demo_texts('gnome_help_en')[0])[:60])} {ITEM}"
    config = Decontamination(policy="cut")
    assert decisions(decontaminate(table_of([text]), {"animals": [("fox", ITEM)]}, config)) == ["cut"]
