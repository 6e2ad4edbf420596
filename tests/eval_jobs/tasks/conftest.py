"""Scores items on the tiny checkpoint, without a graph."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.recipe.tokens import PairTemplate
from eval_jobs.model import CheckpointLM
from eval_jobs.progress import open_progress
from eval_jobs.score import Settings, TaskInput, score_tasks

MAX_LENGTH = 64
Scored = tuple[dict[str, Any], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def model(world: Any) -> CheckpointLM:
    return CheckpointLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH)


@pytest.fixture
def score(model: CheckpointLM, tmp_path: Path) -> Callable[..., Scored]:
    """The result of a task, and its item-level results."""

    def run(config: Any, rows: list[dict[str, Any]], contaminated: frozenset[str] = frozenset()) -> Scored:
        settings = Settings(11, MAX_LENGTH, PairTemplate(instructions={"fi": "Käännä suomeksi: "}))
        rows = [{"id": f"item/{number}", **row} for number, row in enumerate(rows)]
        task = TaskInput(config, rows, len(rows), "", contaminated, "0" * 64)
        with open_progress() as progress:
            result = score_tasks({"task": task}, model, settings, tmp_path, progress)["tasks"]["task"]
        path = tmp_path / "items" / "task.jsonl"
        return result, [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    return run
