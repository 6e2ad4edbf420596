"""Kept results: what was scored is not scored again, a crash costs no more than its task, and nothing damaged is taken."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.recipe.evaluation import FewShotTranslation, FinBench
from assets.recipe.jobs import KEPT_RESULTS
from assets.recipe.pieces import pieces_path
from assets.recipe.tokens import PairTemplate
from eval_jobs.kept import Kept
from eval_jobs.score import main
from eval_jobs.settings import Settings, TaskInput

TASKS = {
    "kept_fi": {"kind": "bits_per_character", "language": "fi"},
    "kept_en": {"kind": "bits_per_character", "language": "en"},
    "kept_choices": {"kind": "finbench"},
}
CHOICES = [
    {"subtask": "eka", "context": f"{q}? Vastaus: ", "choices": ["kyllä", "ei"], "target_scores": [1, 0]}
    for q in ("Sataako", "Onko poro eläin")
]


@pytest.fixture
def kept(world: Any) -> Iterator[Path]:
    """The folder of kept results, empty at first; the benchmarks are there."""
    if "kept_fi" not in world.refs:
        world.add_benchmark("kept_fi", [{"text": world.texts[0]}])
        world.add_benchmark("kept_en", [{"text": world.texts[1]}])
        world.add_benchmark("kept_choices", CHOICES)
    folder = Path(world.lake.root) / KEPT_RESULTS
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def write(job: dict[str, Any], folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.json"
    path.write_text(json.dumps(job), "utf-8")
    return str(path)


def scored_again(world: Any, folder: Path, names: list[str], **changes: Any) -> list[str]:
    """Run the job in ``folder``; the tasks that it scored, not counting what it found."""
    job = world.job({name: TASKS[name] for name in names}, output=str(folder / "output"), **changes)
    assert main([write(job, folder)]) == 0
    timing = json.loads((folder / "output" / "timing.json").read_text("utf-8"))
    assert sorted([*timing["tasks"], *timing["reused"]]) == sorted(names)
    return sorted(timing["tasks"])


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a version keeps of a run, but the times."""
    paths = [path for path in (folder / "output").rglob("*") if path.is_file() and path.name != "timing.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_was_scored_is_not_scored_again_and_the_bytes_are_the_same(world: Any, kept: Path, tmp_path: Path) -> None:
    assert scored_again(world, tmp_path / "one", list(TASKS)) == sorted(TASKS)
    assert scored_again(world, tmp_path / "two", list(TASKS)) == []
    assert files(tmp_path / "one") == files(tmp_path / "two")
    shutil.rmtree(kept)
    assert scored_again(world, tmp_path / "three", list(TASKS)) == sorted(TASKS)
    assert files(tmp_path / "one") == files(tmp_path / "three")


def test_where_all_is_kept_no_model_is_loaded(world: Any, kept: Path, tmp_path: Path) -> None:
    scored_again(world, tmp_path, list(TASKS))
    spec = write(world.job(TASKS, output=str(tmp_path / "again")), tmp_path)
    code = (
        "import sys; from eval_jobs.score import main; main(sys.argv[1:]); "
        "sys.exit('torch' in sys.modules or 'lm_eval' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, spec], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 tasks were scored before: kept_choices, kept_en, kept_fi." in done.stderr
    assert files(tmp_path)["output/results.json"] == (tmp_path / "again" / "results.json").read_bytes()


def test_one_task_more_is_all_that_is_scored(world: Any, kept: Path, tmp_path: Path) -> None:
    scored_again(world, tmp_path / "one", ["kept_fi", "kept_choices"])
    assert scored_again(world, tmp_path / "two", list(TASKS)) == ["kept_en"]


def test_what_decides_a_result_decides_whether_it_is_taken(world: Any, kept: Path, tmp_path: Path) -> None:
    scored_again(world, tmp_path, ["kept_fi"])
    assert scored_again(world, tmp_path, ["kept_fi"], max_length=32) == ["kept_fi"]
    assert scored_again(world, tmp_path, ["kept_fi"], seed=12) == ["kept_fi"]
    assert scored_again(world, tmp_path, ["kept_fi"], contaminated={"kept_fi": ["kept_fi/0"]}) == ["kept_fi"]
    assert scored_again(world, tmp_path, ["kept_fi"]) == []


@pytest.mark.parametrize("damage", ["items", "result", "torn", "empty"])
def test_a_damaged_result_is_named_and_made_again(
    world: Any, kept: Path, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    scored_again(world, tmp_path / "one", ["kept_fi"])
    (folder,) = kept.iterdir()
    path = folder / ("items.jsonl" if damage in ("items", "torn") else "result.json")
    content = path.read_bytes()
    if damage == "torn":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(content.replace(b"0", b"1", 1))
        assert path.read_bytes() != content
    assert scored_again(world, tmp_path / "two", ["kept_fi"]) == ["kept_fi"]
    assert f"The kept result {folder} was changed after it was written" in capfd.readouterr().err
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert path.read_bytes() == content
    assert scored_again(world, tmp_path / "three", ["kept_fi"]) == []


def test_a_task_that_breaks_is_tried_again_and_the_others_are_kept(world: Any, kept: Path, tmp_path: Path) -> None:
    """Its data is damaged on the disk, and mended."""
    items = Path(world.lake.path(world.refs["kept_en"], "items.parquet"))
    whole = items.read_bytes()
    try:
        items.write_bytes(whole[:-20])
        assert scored_again(world, tmp_path, list(TASKS)) == sorted(TASKS)
        results = json.loads((tmp_path / "output" / "results.json").read_text("utf-8"))["tasks"]
        assert {name: task["status"] for name, task in results.items()} == {
            "kept_fi": "scored",
            "kept_en": "failed",
            "kept_choices": "scored",
        }
        assert "parquet" in results["kept_en"]["reason"].lower()
        assert scored_again(world, tmp_path, list(TASKS)) == ["kept_en"]
    finally:
        items.write_bytes(whole)
    assert scored_again(world, tmp_path, list(TASKS)) == ["kept_en"]
    assert scored_again(world, tmp_path, list(TASKS)) == []


def test_a_job_that_is_killed_between_tasks_goes_on_with_what_is_missing(
    world: Any, kept: Path, tmp_path: Path
) -> None:
    spec = write(world.job(TASKS, output=str(tmp_path / "killed")), tmp_path)
    command = [sys.executable, "-m", "eval_jobs.score", spec]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ}) as job:
        deadline = time.monotonic() + 60
        while not list(kept.glob("*/result.json")):
            assert job.poll() is None and time.monotonic() < deadline, "the job has kept nothing"
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
    done = len(list(kept.glob("*/result.json")))
    if done == len(TASKS):
        pytest.skip("the job was done before it could be killed")
    assert not (tmp_path / "killed" / "results.json").exists()
    assert len(scored_again(world, tmp_path, list(TASKS))) == len(TASKS) - done
    shutil.rmtree(kept)
    scored_again(world, tmp_path / "whole", list(TASKS))
    assert files(tmp_path) == files(tmp_path / "whole")


def test_parts_of_a_job_score_each_task_once_and_the_whole_finds_them(
    world: Any, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write(world.job(TASKS, output=str(tmp_path / "parts")), tmp_path / "parts")
    for part, done in (("0/2", 2), ("1/2", 3)):  # of three tasks, the first and the last, then the second
        monkeypatch.setenv("TOKKA_PART", part)
        assert main([spec]) == 0
        assert len(list(kept.glob("*/result.json"))) == done
    assert not (tmp_path / "parts" / "results.json").exists()
    monkeypatch.delenv("TOKKA_PART")
    assert scored_again(world, tmp_path / "one", list(TASKS)) == []
    shutil.rmtree(kept)
    assert scored_again(world, tmp_path / "two", list(TASKS)) == sorted(TASKS)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_lake_that_cannot_be_written_to_is_said(world: Any, kept: Path, tmp_path: Path, capfd: Any) -> None:
    kept.write_text("a file where the folder would be", "utf-8")
    try:
        assert scored_again(world, tmp_path, ["kept_fi"]) == ["kept_fi"]
    finally:
        kept.unlink()
    assert "The result of a task cannot be kept" in capfd.readouterr().err


def test_spbleu_is_scored_once_its_pieces_are_there(
    world: Any, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU", str(tmp_path))
    config = FewShotTranslation(files="none", source_language="en", language="fi")
    task = TaskInput(config, [], 0, "", frozenset(), "0" * 64)
    choices = TaskInput(FinBench(files="none"), [], 0, "", frozenset(), "0" * 64)
    settings = Settings(11, 64, PairTemplate(instructions={}))
    of = Kept(world.lake, "0" * 64, "1" * 64, print)
    before = of.key(task, settings), of.key(choices, settings)
    pieces_path().parent.mkdir()
    pieces_path().write_bytes(b"pieces")
    assert of.key(task, settings) != before[0] and of.key(choices, settings) == before[1]
