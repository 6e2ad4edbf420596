"""Pairs that are translated by examples: prompts by hand, where examples come from, and faults."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.benchmarks.items import BenchmarkDataError, read_items
from assets.benchmarks.pairs import TAIL
from assets.recipe.evaluation import FewShotTranslation

TO_FINNISH: dict[str, Any] = {"files": "none", "source_language": "en", "language": "fi", "shots": 2}
EXAMPLES = ({"en": "a fell", "fi": "tunturi"}, {"en": "a herd", "fi": "tokka"})


def write_pairs(path: Path, pairs: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), "utf-8")
    return path


def numbered(count: int, name: str = "") -> list[dict[str, Any]]:
    return [{"id": i, "en": f"{name}en{i}", "fi": f"{name}fi{i}"} for i in range(count)]


def items(config: FewShotTranslation, *paths: Path) -> list[dict[str, Any]]:
    return [json.loads(item) for item in read_items(config, paths)["item"].to_pylist()]


def test_the_prompt_with_given_examples_in_both_directions(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", [{"id": 7, "en": "It rains.", "fi": "Sataa."}])
    table = read_items(FewShotTranslation(**TO_FINNISH, examples=EXAMPLES), [path])
    assert table["id"].to_pylist() == ["7"]
    assert table["text"].to_pylist() == ["It rains.\fSataa."]
    assert json.loads(table["item"][0].as_py()) == {
        "prompt": "a fell=tunturi\nEND\n\na herd=tokka\nEND\n\nIt rains.=",
        "source": "It rains.",
        "reference": "Sataa.",
    }
    back = FewShotTranslation(**{**TO_FINNISH, "source_language": "fi", "language": "en"}, examples=EXAMPLES)
    assert items(back, path)[0]["prompt"] == "tunturi=a fell\nEND\n\ntokka=a herd\nEND\n\nSataa.="
    assert items(FewShotTranslation(**{**TO_FINNISH, "shots": 0}), path)[0]["prompt"] == "It rains.="


def test_drawn_examples_are_of_the_end_and_the_same_under_any_limit(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", numbered(TAIL + 5))
    everything = items(FewShotTranslation(**TO_FINNISH), path)
    assert len(everything) == 5
    drawn = np.random.RandomState(42).choice(TAIL, 2, replace=False) + 5
    assert everything[3]["prompt"] == "".join(f"en{i}=fi{i}\nEND\n\n" for i in drawn) + "en3="
    assert items(FewShotTranslation(**TO_FINNISH, limit=2), path) == everything[:2]


def test_examples_of_another_file(tmp_path: Path) -> None:
    test = write_pairs(tmp_path / "devtest.jsonl", numbered(3))
    dev = write_pairs(tmp_path / "dev.jsonl", numbered(9, "dev-"))
    config = FewShotTranslation(**TO_FINNISH, shots_from="dev.jsonl", shot_indices=(8, 0))
    found = items(config, test, dev)
    assert [item["source"] for item in found] == ["en0", "en1", "en2"]
    assert found[0]["prompt"] == "dev-en8=dev-fi8\nEND\n\ndev-en0=dev-fi0\nEND\n\nen0="
    drawn = np.random.RandomState(42).choice(9, 2, replace=False)
    without_indices = items(FewShotTranslation(**TO_FINNISH, shots_from="dev.jsonl"), test, dev)
    assert without_indices[0]["prompt"] == "".join(f"dev-en{i}=dev-fi{i}\nEND\n\n" for i in drawn) + "en0="


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"pairs\.jsonl: 3 pairs; examples are drawn from the last 100"),
        ({"shots_from": "dev.jsonl"}, r"shots_from is 'dev\.jsonl', which is not among the files: pairs\.jsonl"),
        (
            {"shots_from": "pairs.jsonl", "shot_indices": (0, 3)},
            r"pairs\.jsonl has 3 pairs; the examples need at least 4",
        ),
    ],
)
def test_examples_that_are_not_there(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", numbered(3))
    with pytest.raises(BenchmarkDataError, match=message):
        read_items(FewShotTranslation(**TO_FINNISH, **changes), [path])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": EXAMPLES[:1]}, "examples has 1 entries; it must have as many as shots, 2"),
        ({"shot_indices": (1, 2)}, "shot_indices are places in the file shots_from, which is missing"),
        ({"examples": EXAMPLES, "shots_from": "dev.jsonl"}, "two ways to say the same"),
        ({"examples": (EXAMPLES[0], {"en": "a herd"})}, r"examples\.1 has no text in fi"),
    ],
)
def test_configurations_that_contradict_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FewShotTranslation(**TO_FINNISH, **changes)


def test_broken_pairs_are_named_with_their_line(tmp_path: Path) -> None:
    config = FewShotTranslation(**TO_FINNISH, examples=EXAMPLES)
    for pair, message in (
        ({"id": 1, "en": "x"}, "line 2: the key 'fi' is missing"),
        ({"id": 1, "en": " ", "fi": "x"}, "line 2: the key 'en' is str ' '"),
        (
            {"id": True, "en": "x", "fi": "x"},
            "line 2: the key 'id' is bool True; it must be a string or a whole number",
        ),
        ({"id": 0, "en": "x", "fi": "x"}, "line 2: the id '0' is also at"),
    ):
        path = write_pairs(tmp_path / "pairs.jsonl", [*numbered(1), pair])
        with pytest.raises(BenchmarkDataError, match=message):
            read_items(config, [path])
