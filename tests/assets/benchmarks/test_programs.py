"""Programming problems: prompts and tests as the harness makes them, and faults."""

import json
from pathlib import Path
from typing import Any

import pytest

from assets.benchmarks.items import BenchmarkDataError, read_items
from assets.recipe.evaluation import Programming

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": '\ndef double(x):\n    """Twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "\ndef check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 11,
    "text": "Double a number.",
    "code": "def double(x):\r\n  return 2 * x",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
    "test_setup_code": "",
}


def read(tmp_path: Path, benchmark: Any, *records: dict[str, Any]) -> list[dict[str, Any]]:
    path = tmp_path / f"{benchmark}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    table = read_items(Programming(benchmark=benchmark, files="none"), [path])
    return [{**row, "item": json.loads(row["item"])} for row in table.to_pylist()]


def test_humaneval(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "humaneval", HUMANEVAL)
    assert row["id"] == "HumanEval/0"
    assert row["text"] == f"{HUMANEVAL['prompt']}\f{HUMANEVAL['canonical_solution']}"
    item = row["item"]
    assert item == {
        "prompt": 'def double(x):\n    """Twice x."""',
        "tests": "\n\ndef check(candidate):\n    assert candidate(2) == 4\n\ncheck(double)",
        "solution": "\n    return 2 * x\n",
    }
    exec(compile(f"{item['prompt']}{item['solution']}\n{item['tests']}\n", "program", "exec"), {})


def test_mbpp_is_its_test_split_with_one_test_in_the_prompt(tmp_path: Path) -> None:
    others = [{**MBPP, "task_id": number} for number in (10, 510, 511)]
    setup = {**MBPP, "task_id": 12, "test_setup_code": "two = 2"}
    rows = read(tmp_path, "mbpp", MBPP, setup, *others)
    assert [row["id"] for row in rows] == ["MBPP/11", "MBPP/12", "MBPP/510"]
    assert rows[0]["text"] == f"Double a number.\f{MBPP['code']}"
    assert rows[0]["item"] == {
        "prompt": '"""\nDouble a number.\nassert double(2) == 4\n"""\n',
        "tests": "assert double(2) == 4\nassert double(0) == 0",
        "solution": MBPP["code"],
    }
    assert rows[1]["item"]["tests"] == "two = 2\nassert double(2) == 4\nassert double(0) == 0"


@pytest.mark.parametrize(
    ("benchmark", "record", "message"),
    [
        ("humaneval", {**HUMANEVAL, "entry_point": "double); import os; (x"}, "it must be the name of a function"),
        ("humaneval", {**HUMANEVAL, "test": ""}, "line 1: the key 'test' is an empty str"),
        ("humaneval", MBPP, "line 1: the key 'task_id' is int 11; it must be a string"),
        ("mbpp", HUMANEVAL, "line 1: the key 'task_id' is str 'HumanEval/0'; it must be a whole number"),
        ("mbpp", {**MBPP, "test_list": []}, "line 1: the key 'test_list' is an empty list; it must be a list of tests"),
        ("mbpp", {**MBPP, "test_setup_code": 3}, "line 1: the key 'test_setup_code' is int 3; it must be a string"),
        ("mbpp", {**MBPP, "task_id": 601}, "has no item"),
    ],
)
def test_problems_that_are_not(tmp_path: Path, benchmark: str, record: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkDataError, match=message):
        read(tmp_path, benchmark, record)
