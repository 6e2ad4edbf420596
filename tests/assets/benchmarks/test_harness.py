"""Items of lm-eval's tasks: which records are scored, which are shots, and records of another form."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from assets.benchmarks.items import read_items
from assets.benchmarks.records import BenchmarkDataError
from assets.recipe.evaluation import Harness

DATA = os.environ.get("TOKKA_EVAL_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="TOKKA_EVAL_DATA names no folder with eval/*.jsonl.gz")


def write(path: Path, *docs: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs), "utf-8")
    return path


def read(paths: list[Path], **changes: Any) -> list[tuple[str, str, dict[str, Any]]]:
    config = Harness(**{"task": "t", "files": [str(p) for p in paths], "language": "en", "metrics": "acc", **changes})
    table = read_items(config, paths)
    return [(r["id"], r["text"], json.loads(r["item"])) for r in table.to_pylist()]


def doc(i: int, **more: Any) -> dict[str, Any]:
    return {"q": f"question {i}", "a": f"answer {i}", **more}


def test_files_and_fields_pick_what_is_scored_and_what_is_shown(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", doc(0, level="easy"), doc(1, level="hard"), doc(2, level="easy"))
    train = write(tmp_path / "train.jsonl", doc(7), doc(8))
    where = {"where": {"file": "test", "level": "easy"}, "shots_where": {"file": "train"}}
    items = read([test, train], shots=2, fields=("q", "a"), **where)
    assert [(id_, text) for id_, text, _ in items] == [
        ("test/1", "question 0\fanswer 0"),
        ("test/3", "question 2\fanswer 2"),
    ]
    assert [item["doc"]["q"] for _, _, item in items] == ["question 0", "question 2"]
    # The shots stand with the first item alone.
    assert [[entry["doc"]["q"] for entry in item["pool"]] for _, _, item in items] == [["question 7", "question 8"], []]


def test_without_shots_of_their_own_all_items_are_there_whatever_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", *[doc(i, key=f"k{i}") for i in range(4)])
    ((id_, text, item),) = read([path], shots=2, id="key", limit=1)
    assert (id_, text) == ("all/k0", "question 0\fanswer 0")
    assert [entry["id"] for entry in item["pool"]] == ["all/k0", "all/k1", "all/k2", "all/k3"]
    assert read([path], shots=0)[0][2]["pool"] == []


def test_the_field_in_braces_is_the_subtask(tmp_path: Path) -> None:
    path = write(tmp_path / "mmlu.jsonl", doc(0, subject="anatomy"), doc(1, subject="law"))
    assert [item["subtask"] for _, _, item in read([path], task="mmlu_{subject}")] == ["anatomy", "law"]
    for subject in (None, "../up", "", 3):
        bad = write(tmp_path / "bad.jsonl", doc(0, subject=subject))
        with pytest.raises(BenchmarkDataError, match=r"line 1: the key 'subject' is .*must be a name of letters"):
            read([bad], task="mmlu_{subject}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"where": {"split": "test"}}, r"a.jsonl: no record has split 'test', which where asks for"),
        ({"shots": 3}, r"2 records to draw shots from; 3 shots need as many"),
        ({"shots": 1, "shots_where": {"file": "b"}}, r"0 records that have file 'b' to draw shots from"),
        ({"id": "key"}, r"line 1 has no field 'key', which id names"),
        ({"fields": ("text",)}, r"line 1 has no text in text; it has the fields q, a"),
    ],
)
def test_records_that_do_not_fit(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataError, match=expected):
        read([write(tmp_path / "a.jsonl", doc(0), doc(1))], **changes)


def test_truthfulqa_s_table_becomes_multiple_choice(tmp_path: Path) -> None:
    row = {
        "Question": "Why?",
        "Best Answer": "Because it is so",
        "Correct Answers": "It is; Because it is so ;",
        "Incorrect Answers": "No reason; Who knows",
    }
    ((_, _, item),) = read([write(tmp_path / "t.jsonl", row)])
    assert item["doc"] == {
        "question": "Why?",
        "mc1_targets": {"choices": ["Because it is so", "No reason", "Who knows"], "labels": [1, 0, 0]},
        "mc2_targets": {
            "choices": ["It is", "Because it is so", "No reason", "Who knows"],
            "labels": [1, 1, 0, 0],
        },
    }


@pytest.mark.parametrize(
    ("context", "pieces"),
    [
        ("A man bends his knees. he", ("A man bends his knees.", "he")),
        ("One. Two! the men", ("One. Two!", "the men")),
        ("[header] How to. [title] Do. [step] Then. it", ("[header] How to. [title] Do. [step] Then. it", "")),
    ],
)
def test_hellaswag_s_context_is_taken_apart(context: str, pieces: tuple[str, str], tmp_path: Path) -> None:
    record = {"ctx": context, "endings": ["one two"], "label": "0"}
    ((_, _, item),) = read([write(tmp_path / "h.jsonl", record)])
    assert (item["doc"]["ctx_a"], item["doc"]["ctx_b"]) == pieces
    whole = {**record, "ctx_a": "Own", "ctx_b": "parts"}
    assert read([write(tmp_path / "h.jsonl", whole)])[0][2]["doc"] == whole


@needs_data
def test_real_files_have_every_item() -> None:
    from assets.recipe.suites import load_suite

    counts = {}
    for name, task in load_suite("english").tasks.items():
        assert isinstance(task, Harness)
        path = Path(DATA or "") / "eval" / Path(task.files[0]).name
        table = read_items(task, [path])
        counts[name] = table.num_rows
        if name == "mmlu":
            items = [json.loads(item) for item in table["item"].to_pylist()]
            assert len({item["subtask"] for item in items}) == 57
            assert len(items[0]["pool"]) == 57 * 5
        else:
            with gzip.open(path) as lines:
                assert table.num_rows == sum(1 for _ in lines)
    assert counts == {
        "arc_challenge": 299,
        "hellaswag": 3000,
        "mmlu": 14_042,
        "truthfulqa_mc2": 817,
        "winogrande": 1267,
        "gsm8k": 1319,
    }
