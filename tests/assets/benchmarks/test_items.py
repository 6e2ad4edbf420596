"""Data files of all kinds become items of one shape; faults are named with their place."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from assets.benchmarks.items import BenchmarkDataError, items_of_files, read_items
from assets.recipe.evaluation import BitsPerCharacter, FinBench, Harness, Protected, Translation

DOCUMENTS = BitsPerCharacter(files="none", language="fi")
PAIRS = Translation(files="none", source_language="en", language="fi")
CHOICES = FinBench(files="none", shots=1)


def write_lines(path: Path, records: list[Any]) -> Path:
    data = "".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_task(path: Path, **changes: Any) -> Path:
    examples = [{"input": f"kysymys {i}", "target_scores": {"kyllä": 1, "ei": 0}} for i in range(4)]
    path.write_text(json.dumps({"metrics": ["multiple_choice_grade"], "examples": examples, **changes}), "utf-8")
    return path


@pytest.mark.parametrize("name", ["data.jsonl", "data.jsonl.gz"])
def test_documents(tmp_path: Path, name: str) -> None:
    path = write_lines(
        tmp_path / name, [{"id": "a", "text": "Ä\u2028ö", "extra": 1}, "", {"id": "b", "text": "rivi\ntoinen"}]
    )
    table = read_items(DOCUMENTS, [path])
    assert table.column_names == ["id", "text", "item"]
    assert table["id"].to_pylist() == ["a", "b"]
    assert table["text"].to_pylist() == ["Ä\u2028ö", "rivi\ntoinen"]
    assert json.loads(table["item"][1].as_py()) == {"text": "rivi\ntoinen"}


def test_pairs_of_both_directions(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "pairs.jsonl", [{"id": "p", "fi": "Poro.", "en": "A reindeer."}])
    into_finnish = read_items(PAIRS, [path]).to_pylist()[0]
    assert into_finnish["text"] == "A reindeer.\fPoro."
    assert json.loads(into_finnish["item"]) == {"source": "A reindeer.", "reference": "Poro."}
    into_english = read_items(Translation(files="none", source_language="fi", language="en"), [path]).to_pylist()[0]
    assert json.loads(into_english["item"]) == {"source": "Poro.", "reference": "A reindeer."}


def test_finbench_items_hold_the_prompt_and_their_text_input_and_choices(tmp_path: Path) -> None:
    first = write_task(tmp_path / "eka.json", task_prefix="Vastaa kyllä tai ei.")
    second = write_task(tmp_path / "toka.json")
    rows = read_items(CHOICES, [first, second]).to_pylist()
    assert [r["id"] for r in rows] == [f"{name}/{i}" for name in ("eka", "toka") for i in range(4)]
    assert rows[2]["text"] == "kysymys 2\fkyllä\nei"
    item = json.loads(rows[2]["item"])
    assert item["subtask"] == "eka"
    assert item["context"].startswith("Vastaa kyllä tai ei.\nQ: ")
    assert item["context"].count("\nA: ") == 2
    assert item["choices"] == ["kyllä", "ei"]
    assert item["target_scores"] == [1, 0]


def test_the_text_of_an_item_without_an_input_is_its_choices(tmp_path: Path) -> None:
    examples = [{"input": "", "target_scores": {"Satoi, joten kastuin.": 1, "Kastuin, joten satoi.": 0}}]
    path = write_task(tmp_path / "syy.json", examples=examples)
    row = read_items(FinBench(files="none", shots=0), [path]).to_pylist()[0]
    assert row["text"] == "Satoi, joten kastuin.\nKastuin, joten satoi."


def test_a_limit_keeps_the_first_items_of_each_subtask(tmp_path: Path) -> None:
    """So that a mean over subtasks is over all of them."""
    paths = [write_task(tmp_path / f"{name}.json") for name in ("eka", "toka")]
    assert read_items(FinBench(files="none", shots=1, limit=2), paths)["id"].to_pylist() == [
        "eka/0",
        "eka/1",
        "toka/0",
        "toka/1",
    ]
    records = [{"part": "ab"[i % 2], "question": f"how many {i}"} for i in range(6)]
    lines = write_lines(tmp_path / "parts.jsonl", records)
    task = Harness(task="mmlu_{part}", files="none", language="en", metrics="acc", limit=1)
    assert read_items(task, [lines])["id"].to_pylist() == ["parts/1", "parts/2"]


def test_the_limit_keeps_the_first_items_and_their_prompts(tmp_path: Path) -> None:
    path = write_task(tmp_path / "eka.json")
    some = read_items(FinBench(files="none", shots=1, limit=2), [path])
    assert some.to_pylist() == read_items(CHOICES, [path]).slice(0, 2).to_pylist()


QUIZ = [
    {"id": "q1", "question": "Mikä on poro?", "choices": {"text": ["eläin", "kasvi"], "label": ["A", "B"]}, "n": 1},
    {
        "id": "q2",
        "question": "Missä on tunturi?",
        "endings": ["Lapissa.", "Turussa."],
        "target_scores": {"a": 0, "b": 1.0},
    },
]


def test_protected_items_are_passages_of_the_fields_that_a_record_has(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "quiz.jsonl.gz", [QUIZ[0], "", QUIZ[1]])
    config = Protected(files="none", fields=("question", "choices.text", "endings", "target_scores"))
    assert read_items(config, [path]).to_pylist() == [
        {"id": "quiz/1", "text": "Mikä on poro?\feläin\nkasvi", "item": "{}"},
        {"id": "quiz/3", "text": "Missä on tunturi?\fLapissa.\nTurussa.\fa\nb", "item": "{}"},
    ]
    whole = Protected(files="none", fields=("choices", "question"), limit=1)
    assert read_items(whole, [path])["text"].to_pylist() == ["eläin\nkasvi\nA\nB\fMikä on poro?"]


def test_protected_items_of_several_files_are_told_apart_by_file_and_id(tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / f"{name}.jsonl", QUIZ) for name in ("eka", "toka")]
    table = read_items(Protected(files="none", fields=("question",), id="id"), paths)
    assert table["id"].to_pylist() == ["eka/q1", "eka/q2", "toka/q1", "toka/q2"]


def test_protected_items_of_big_bench(tmp_path: Path) -> None:
    path = write_task(tmp_path / "eka.json", metrics=["exact_str_match"])
    table = read_items(Protected(files="none", fields=("input", "target_scores")), [path])
    assert table["id"].to_pylist() == [f"eka/{n}" for n in range(4)]
    assert table["text"][3].as_py() == "kysymys 3\fkyllä\nei"


@pytest.mark.parametrize(
    ("fields", "record", "message"),
    [
        (("question", "answer"), QUIZ[1], r"^No record of quiz\.jsonl has the field 'answer'\.$"),
        (("question",), {"text": "x"}, r"quiz\.jsonl, line 2 has no text in question; it has the fields text\.$"),
        (("question",), {"question": {"n": [1, None]}}, r"line 2 has no text in question"),
        (("question",), [1], r"line 2 is list \[1\]; it must be a JSON object"),
    ],
)
def test_a_broken_protected_benchmark_is_named(tmp_path: Path, fields: Any, record: Any, message: str) -> None:
    path = write_lines(tmp_path / "quiz.jsonl", [QUIZ[0], record])
    with pytest.raises(BenchmarkDataError, match=message):
        read_items(Protected(files="none", fields=fields), [path])


def test_an_id_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "quiz.jsonl", [QUIZ[0], QUIZ[0]])
    with pytest.raises(BenchmarkDataError, match=r"the id 'quiz/q1' is also at .*, line 1"):
        read_items(Protected(files="none", fields=("question",), id="id"), [path])


def test_items_of_any_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = write_lines(tmp_path / "deep" / "quiz.jsonl", [*QUIZ, {"label": "one"}])
    write_task(tmp_path / "eka.json")
    (tmp_path / "README.md").write_text("no benchmark", "utf-8")
    read = items_of_files(tmp_path)
    assert list(read) == ["quiz", "eka"]
    # Fields of one word, such as labels, are no text.
    assert read["quiz"] == [
        ("quiz/q1", "Mikä on poro?\feläin\nkasvi\nA\nB"),
        ("quiz/q2", "Missä on tunturi?\fLapissa.\nTurussa.\fa\nb"),
    ]
    assert read["eka"][0] == ("eka/0", "kysymys 0\fkyllä\nei")
    assert items_of_files(path, ["question"])["quiz"][1] == ("quiz/q2", "Missä on tunturi?")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkDataError, match="holds no file that ends in"):
        items_of_files(tmp_path / "empty")


@pytest.mark.parametrize(
    ("config", "record", "message"),
    [
        (DOCUMENTS, {"id": "a"}, r"line 2: the key 'text' is missing; it must be a string that is not empty\.$"),
        (DOCUMENTS, {"id": "a", "text": "  "}, r"line 2: the key 'text' is str '  '"),
        (DOCUMENTS, {"id": 7, "text": "x"}, r"line 2: the key 'id' is int 7"),
        (DOCUMENTS, {"id": "ok", "text": "x"}, r"line 2: the id 'ok' is also at .*, line 1; ids are unique"),
        (DOCUMENTS, "[1]", r"line 2 is list \[1\]; it must be a JSON object"),
        (DOCUMENTS, '{"id": ', r"line 2 is not JSON in UTF-8: "),
        (PAIRS, {"id": "a", "en": "x"}, r"line 2: the key 'fi' is missing"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, config: Any, record: Any, message: str) -> None:
    good = {"id": "ok", "text": "hyvä", "fi": "hyvä", "en": "good"}
    with pytest.raises(BenchmarkDataError, match=message):
        read_items(config, [write_lines(tmp_path / "data.jsonl", [good, record])])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"examples": []}, "the key 'examples' is an empty list"),
        ({"metrics": ["exact_str_match"]}, "the key 'metrics' is .* must hold 'multiple_choice_grade'"),
        ({"examples": [{"input": "x", "target_scores": {"a": 1}}]}, "example 0: the key 'target_scores' is dict"),
        (
            {"examples": [{"input": "x", "target_scores": {"a": 1, "b": "0"}}]},
            "has 'b': '0'; .* scores must be numbers",
        ),
        ({"examples": [{"target_scores": {"a": 1, "b": 0}}]}, "example 0: the key 'input' is null or missing"),
        ({"examples": [{"input": "x", "target_scores": {"a": 1, "b": 0}}]}, "has 0 other examples to draw from"),
    ],
)
def test_a_broken_finbench_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkDataError, match=message):
        read_items(CHOICES, [write_task(tmp_path / "rikki.json", **changes)])


def test_empty_files_and_no_files(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataError, match="has no item"):
        read_items(DOCUMENTS, [write_lines(tmp_path / "data.jsonl", [])])
    with pytest.raises(BenchmarkDataError, match="needs at least one"):
        read_items(DOCUMENTS, [])


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl.gz", [{"id": "a", "text": "x" * 1000}])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BenchmarkDataError, match="not a whole gzip file"):
        read_items(DOCUMENTS, [path])
