"""Progress goes through Dagster Pipes where Dagster started the job, and to stderr otherwise."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPORT = """
from eval_jobs.progress import open_progress
with open_progress() as progress:
    progress.log("task 2 of 5, heldout_fi, 0:12 left")
    progress.report(1, 5, 12.0)
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DAGSTER_PIPES")}
    command = [sys.executable, "-c", REPORT]
    return subprocess.run(command, capture_output=True, text=True, env={**clean, **environment}, timeout=60, check=True)


def test_without_dagster() -> None:
    assert run().stderr == "task 2 of 5, heldout_fi, 0:12 left\n"


def test_with_dagster_pipes(tmp_path: Path) -> None:
    from dagster_pipes import encode_param

    context = {
        "asset_keys": None,
        "code_version_by_asset_key": None,
        "provenance_by_asset_key": None,
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": "run",
        "job_name": None,
        "retry_number": 0,
        "extras": {},
    }
    (tmp_path / "context").write_text(json.dumps(context), "utf-8")
    done = run(
        DAGSTER_PIPES_CONTEXT=encode_param({"path": str(tmp_path / "context")}),
        DAGSTER_PIPES_MESSAGES=encode_param({"path": str(tmp_path / "messages")}),
    )
    assert done.stderr == ""
    messages = [json.loads(line) for line in (tmp_path / "messages").read_text("utf-8").splitlines()]
    logged = [m["params"]["message"] for m in messages if m["method"] == "log"]
    custom = [m["params"]["payload"] for m in messages if m["method"] == "report_custom_message"]
    assert logged == ["task 2 of 5, heldout_fi, 0:12 left"]
    assert custom == [{"kind": "progress", "done": 1, "total": 5, "unit": "tasks", "seconds_left": 12.0}]
