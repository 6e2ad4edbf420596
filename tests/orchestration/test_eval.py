"""``tokka eval``, ``tokka suites`` and the fetching of data, on a small checkpoint and small files."""

import gzip
import json
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from assets.recipe.evaluation import Continuation, FinBench, Harness
from assets.recipe.suites import load_suite
from orchestration.cli.app import app
from orchestration.fetch import FetchError, fetch
from tests.eval_jobs.conftest import make_tokenizer, write_checkpoint

SUITE = {
    "version": 3,
    "description": "A suite for tests.",
    "tasks": {
        "riddles": {"kind": "finbench", "files": "${TOKKA_EVAL_DATA}/riddles.json", "shots": 1},
        "sums": {"kind": "harness", "task": "arc_challenge", "files": "${TOKKA_EVAL_DATA}/sums.jsonl", "language": "en",
                 "shots": 2, "metrics": "acc"},
    },
    "averages": {"all": {"metric": "accuracy", "metrics": {"sums": "acc"}, "tasks": ["riddles", "sums"]}},
}  # fmt: skip


def sum_of(i: int) -> dict[str, Any]:
    return {"question": f"{i} + 1?", "choices": {"text": [str(i), str(i + 1)], "label": ["A", "B"]}, "answerKey": "B"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, make_tokenizer(["Sataa vettä ja poro on tunturin eläin."], 300))
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the suite ``small``, in ``data`` its data."""
    monkeypatch.setenv("TOKKA_EVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TOKKA_RECIPES", str(tmp_path))
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "small.yaml").write_text(yaml.safe_dump(SUITE), "utf-8")
    (tmp_path / "data").mkdir()
    examples = [{"input": f"mikä {i}", "target_scores": {"poro": 1, "tokka": 0}} for i in range(6)]
    riddles = {"metrics": ["multiple_choice_grade"], "examples": examples}
    (tmp_path / "data" / "riddles.json").write_text(json.dumps(riddles), "utf-8")
    (tmp_path / "data" / "sums.jsonl").write_text("".join(json.dumps(sum_of(i)) + "\n" for i in range(6)), "utf-8")
    return tmp_path


def tokka(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_checkpoint_is_scored_item_by_item(place: Path, checkpoint: Path) -> None:
    answer = tokka("eval", checkpoint, "--suite", "small", "--output", place / "out", "--json")
    assert answer.exit_code == 0, answer.output
    value = json.loads(answer.stdout)
    assert value["suites"] == {"small": 3}
    tasks = value["tasks"]
    assert {name: (task["status"], task["items"]) for name, task in tasks.items()} == {
        "riddles": ("scored", 6),
        "sums": ("scored", 6),
    }
    assert value["averages"]["all"]["score"] == pytest.approx(
        (tasks["riddles"]["metrics"]["accuracy"] + tasks["sums"]["metrics"]["acc"]) / 2
    )
    assert json.loads((place / "out" / "evaluation.json").read_text("utf-8")) == value
    for name, metric in (("riddles", "accuracy"), ("sums", "acc")):
        items = [json.loads(line) for line in (place / "out" / "items" / f"{name}.jsonl").read_text().splitlines()]
        assert len(items) == 6
        assert sum(item["scores"][metric] for item in items) / 6 == pytest.approx(tasks[name]["metrics"][metric])
    assert "task 1 of 2, riddles" in answer.stderr and "left" in answer.stderr

    few = tokka("eval", checkpoint, "--suite", "small", "--limit", 2, "--task", "sums")
    assert few.exit_code == 0, few.output
    assert (
        "at most the first 2 items of each task or part of one" in few.stdout
        and "average all: none, without riddles" in few.stdout
    )
    assert "riddles  " not in few.stdout


def test_missing_and_broken_data_is_said_and_the_rest_is_scored(place: Path, checkpoint: Path) -> None:
    (place / "data" / "riddles.json").unlink()
    answer = tokka("eval", checkpoint, "--suite", "small")
    assert answer.exit_code == 1
    assert "riddles is missing: tasks.riddles.files: no file matches" in answer.stdout
    assert "average all: none, without riddles" in answer.stdout and "sums" in answer.stdout
    (place / "data" / "sums.jsonl").write_text("{\n", "utf-8")
    answer = tokka("eval", checkpoint, "--suite", "small", "--json")
    assert answer.exit_code == 3
    assert "line 1 is not JSON" in json.loads(answer.stdout)["tasks"]["sums"]["reason"]


def test_a_suite_without_any_data_names_every_task(place: Path, checkpoint: Path) -> None:
    tasks = {name: {**SUITE["tasks"]["sums"], "files": f"${{TOKKA_EVAL_DATA}}/{name}.jsonl"} for name in ("one", "two")}
    suite = {"version": 1, "description": "Nothing is there.", "tasks": tasks}
    (place / "suites" / "bare.yaml").write_text(yaml.safe_dump(suite), "utf-8")
    answer = tokka("eval", checkpoint, "--suite", "bare", "--json")
    assert answer.exit_code == 1, answer.output
    assert {name: task["status"] for name, task in json.loads(answer.stdout)["tasks"].items()} == {
        "one": "missing",
        "two": "missing",
    }


def test_tasks_of_ones_own(place: Path, checkpoint: Path) -> None:
    own = {
        "task": "summat",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "../data/sums.jsonl"}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices.text}}",
        "doc_to_target": "{{choices.label.index(answerKey)}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (place / "own").mkdir()
    (place / "own" / "summat.yaml").write_text(yaml.safe_dump(own), "utf-8")
    answer = tokka("eval", checkpoint, "--include", place / "own", "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["tasks"]["summat"]["items"] == 6
    (place / "own" / "summat.yaml").write_text(yaml.safe_dump(own) + "process_docs: !function os.system\n", "utf-8")
    answer = tokka("eval", checkpoint, "--include", place / "own")
    assert answer.exit_code == 2 and "process_docs is !function os.system, which is code" in answer.stderr


def test_what_is_no_checkpoint(place: Path, checkpoint: Path, tmp_path: Path) -> None:
    def says(expected: str, *arguments: object) -> None:
        answer = tokka("eval", *arguments)
        assert answer.exit_code == 2 and expected in answer.stderr, answer.output
        assert answer.stderr.count("\n") == 1 and "Traceback" not in answer.output

    limited = copy(checkpoint, tmp_path / "limited", {"config.json": {"max_position_embeddings": 64}})
    says("there is no folder", tmp_path / "nowhere", "--suite", "small")
    folder = tmp_path / "model"
    folder.mkdir()
    says("has no config.json", folder, "--suite", "small")
    (folder / "config.json").write_text("[", "utf-8")
    says("is not JSON", folder, "--suite", "small")
    (folder / "config.json").write_text("{}", "utf-8")
    says("has no weights", folder, "--suite", "small")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    says("has its weights as a pickle (pytorch_model.bin), which can run code", folder, "--suite", "small")
    (folder / "model.safetensors").write_bytes(b"")
    says("has no tokenizer.json", folder, "--suite", "small")
    says(
        "--max-length is 4096; the checkpoint reads at most 64 tokens",
        limited,
        "--suite",
        "small",
        "--max-length",
        4096,
    )
    says("there is no suite 'big'; the suites are: code, english", checkpoint, "--suite", "big")
    says("there is no task 'x'; the tasks are: riddles, sums", checkpoint, "--suite", "small", "--task", "x")
    says("name what to score: --suite with one of code,", checkpoint)
    says("there is no folder", checkpoint, "--include", tmp_path / "nowhere")


def copy(checkpoint: Path, folder: Path, changes: dict[str, dict[str, Any]]) -> Path:
    """A copy of a checkpoint with other keys in some of its JSON files."""
    shutil.copytree(checkpoint, folder)
    for name, keys in changes.items():
        value = json.loads((folder / name).read_text("utf-8")) | keys
        (folder / name).write_text(json.dumps(value), "utf-8")
    return folder


def test_a_checkpoint_that_cannot_be_read(place: Path, checkpoint: Path, tmp_path: Path) -> None:
    weights = copy(checkpoint, tmp_path / "weights", {})
    (weights / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes()[:1000])
    tokenizer = copy(checkpoint, tmp_path / "tokenizer", {})
    (tokenizer / "tokenizer.json").write_text("[", "utf-8")
    unknown = copy(checkpoint, tmp_path / "unknown", {"config.json": {"model_type": "poro"}})
    small = copy(checkpoint, tmp_path / "small", {"config.json": {"vocab_size": 280}})
    for folder, expected in (
        (weights, "Error while deserializing header"),
        (tokenizer, "line 1 column"),
        (unknown, "has model type `poro` but Transformers does not recognize this architecture"),
        (small, "has ids up to 299, and the network knows 280 (vocab_size in config.json)"),
    ):
        answer = tokka("eval", folder, "--suite", "small")
        assert answer.exit_code == 2 and "Traceback" not in answer.output, answer.output
        last = answer.stderr.splitlines()[-1]
        assert last.startswith(f"tokka: {folder} cannot be read: ") and expected in last


def test_suites_are_listed_and_shown(place: Path) -> None:
    rows = json.loads(tokka("suites", "list", "--json").stdout)
    assert next(row for row in rows if row["suite"] == "small")["data at hand"] == "2 of 2"
    (place / "data" / "sums.jsonl").unlink()
    shown = tokka("suites", "show", "small")
    assert shown.exit_code == 0
    assert "average all: acc, accuracy over 2 tasks." in shown.stdout and "sums is missing: tasks.sums" in shown.stdout
    assert tokka("suites", "show", "none").exit_code == 2


# Fetching: the library datasets takes a folder beside it for the hub's data set of that name.


@pytest.fixture
def hub(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = place / "allenai" / "ai2_arc"
    (folder / "ARC-Challenge").mkdir(parents=True)
    configs = [
        {
            "config_name": "ARC-Challenge",
            "data_files": [{"split": s, "path": f"ARC-Challenge/{s}.jsonl"} for s in ("train", "test")],
        }
    ]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n", "utf-8")
    for split, start in (("train", 10), ("test", 0)):
        lines = [json.dumps(sum_of(i)) + "\n" for i in range(start, start + 3)]
        (folder / "ARC-Challenge" / f"{split}.jsonl").write_text("".join(lines), "utf-8")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(place / "cache"))
    return folder


def arc(*splits: str, **changes: Any) -> Harness:
    files = [f"${{TOKKA_EVAL_DATA}}/hub/arc_{split}.jsonl.gz" for split in splits]
    return Harness(**{"task": "arc_challenge", "files": files, "language": "en", "metrics": "acc", **changes})


def test_what_is_missing_is_fetched_once(hub: Path, place: Path) -> None:
    paths = list(fetch(arc("test", "train")))
    assert paths == [place / "data" / "hub" / f"arc_{split}.jsonl.gz" for split in ("test", "train")]
    with gzip.open(paths[1]) as stream:
        assert [json.loads(line) for line in stream] == [sum_of(i) for i in range(10, 13)]
    before = [path.read_bytes() for path in paths]
    assert list(fetch(arc("test", "train"))) == []
    paths[0].unlink()
    assert list(fetch(arc("test", "train"))) == [paths[0]]
    assert [path.read_bytes() for path in paths] == before


def test_what_cannot_be_fetched(hub: Path, place: Path) -> None:
    with pytest.raises(
        FetchError, match=r"arc_exam.jsonl.gz names no split of .*arc_challenge; it has test, validation"
    ):
        list(fetch(arc("exam")))
    with pytest.raises(FetchError, match=r"allenai/ai2_arc \(ARC-Challenge\), validation, could not be fetched"):
        list(fetch(arc("validation")))
    with pytest.raises(FetchError, match=r"lm-eval .* has no task 'arc_hard'"):
        list(fetch(arc("test", task="arc_hard")))
    with pytest.raises(FetchError, match="a task of the kind continuation has no data set"):
        list(fetch(Continuation(files="x.jsonl", language="fi")))
    assert not list((place / "data").rglob("*.gz"))


@pytest.fixture
def harness_files(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server of files, as the one that FIN-bench is fetched from."""
    folder = place / "harness"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TOKKA_FINBENCH", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("datasets.config.DOWNLOADED_DATASETS_PATH", str(place / "downloads"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    yield folder
    server.shutdown()
    server.server_close()


def test_finbench_is_fetched_as_it_is_or_not_at_all(harness_files: Path, place: Path) -> None:
    (place / "data" / "riddles.json").rename(harness_files / "riddles.json")
    task = FinBench(files=["${TOKKA_EVAL_DATA}/riddles.json", "${TOKKA_EVAL_DATA}/more.json"], shots=1)
    fetched = fetch(task)
    assert next(fetched) == place / "data" / "riddles.json"
    assert (place / "data" / "riddles.json").read_bytes() == (harness_files / "riddles.json").read_bytes()
    with pytest.raises(FetchError, match=r"http://127.0.0.1:\d+/more.json could not be fetched"):
        next(fetched)
    (harness_files / "more.json").write_text("<html>Sign in</html>", "utf-8")
    with pytest.raises(FetchError, match=r"more.json could not be fetched: .* is not JSON"):
        list(fetch(task))
    assert not (place / "data" / "more.json").exists()


def test_finbench_without_one_of_its_files_is_missing_and_not_scored_on_the_others(
    place: Path, checkpoint: Path
) -> None:
    suite = load_suite("finbench")
    assert [len(suite.tasks[f"finbench_{name}"].files) for name in ("arithmetic", "cause_and_effect", "hhh")] == [
        20,
        3,
        4,
    ]
    assert sum(len(task.files) for task in suite.tasks.values()) == 36
    (place / "data" / "finbench").mkdir()
    for uri in suite.tasks["finbench_arithmetic"].files[1:]:
        shutil.copy(place / "data" / "riddles.json", place / "data" / "finbench" / Path(uri).name)
    answer = tokka("eval", checkpoint, "--suite", "finbench", "--task", "finbench_arithmetic", "--json")
    assert answer.exit_code == 1
    task = json.loads(answer.stdout)["tasks"]["finbench_arithmetic"]
    assert task["status"] == "missing" and "1_digit_addition.json" in task["reason"]
