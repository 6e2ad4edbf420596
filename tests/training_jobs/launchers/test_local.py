"""The launcher of this machine, with trivial modules."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets.recipe.jobs import JobStatus
from assets.recipe.launchers import LocalOptions
from tests.training_jobs.launchers.jobs import ended, printed, request
from training_jobs.launchers.local import LocalLauncher
from training_jobs.launchers.records import UnknownJobError, events_path


def test_success_failure_and_logs(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher(LocalOptions(threads=1))
    job = launcher.submit(request(modules, tmp_path, "hello"))
    assert ended(launcher, job) == JobStatus(state="succeeded", exit_code=0)
    assert launcher.logs(job) == "rank none of 1 spec.json\nhei 1 1\n"
    assert launcher.logs(job, 1) == "hei 1 1\n"
    job = launcher.submit(request(modules, tmp_path, "fails"))
    assert ended(launcher, job) == JobStatus(state="failed", exit_code=3)


def test_ranks_and_the_exit_code_of_the_first_that_failed(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher()
    job = launcher.submit(request(modules, tmp_path, "hello", ranks=2))
    assert ended(launcher, job).exit_code == 0
    assert "rank 0 of 2" in launcher.logs(job) and "rank 1 of 2" in launcher.logs(job)
    started = time.monotonic()
    job = launcher.submit(request(modules, tmp_path, "fails", ranks=2))
    assert ended(launcher, job).exit_code == 4
    assert time.monotonic() - started < 15


def test_cancel_ends_all_that_the_job_started(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher(LocalOptions(grace_seconds=0.5))
    job = launcher.submit(request(modules, tmp_path, "stubborn"))
    child = int(printed(launcher, job, "child").split()[-1])
    launcher.cancel(job)
    status = launcher.poll(job)
    assert (status.state, status.exit_code, status.reason) == ("failed", 128 + signal.SIGKILL, "it was killed")
    with pytest.raises(ProcessLookupError):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            os.kill(child, 0)
            time.sleep(0.02)
    launcher.cancel(job)  # a second time does nothing


def test_cancel_of_ranks_is_gentle_first(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher()
    job = launcher.submit(request(modules, tmp_path, "waits", ranks=2))
    printed(launcher, job, "waiting")
    launcher.cancel(job)
    assert launcher.poll(job) == JobStatus(state="failed", exit_code=128 + signal.SIGTERM)


def test_a_job_outlives_its_orchestrator_and_is_found_again(modules: Path, tmp_path: Path) -> None:
    spec = request(modules, tmp_path, "waits").model_dump_json()
    script = (
        "import sys; from assets.recipe.jobs import JobRequest; "
        "from training_jobs.launchers.local import LocalLauncher; "
        "print(LocalLauncher().submit(JobRequest.model_validate_json(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", script, spec], capture_output=True, text=True, check=True)
    launcher, job = LocalLauncher(), done.stdout.strip()
    printed(launcher, job, "waiting")
    assert launcher.poll(job).state == "running"
    launcher.cancel(job)
    assert launcher.poll(job).state == "failed"


def test_a_reused_pid_is_not_taken_for_the_job(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher()
    job = launcher.submit(request(modules, tmp_path, "hello"))
    ended(launcher, job)
    record = json.loads(Path(job).read_text())
    events_path(job).unlink()
    _, *rest = record["native"].split()
    Path(job).write_text(json.dumps(record | {"native": " ".join([str(os.getpid()), *rest])}))
    assert launcher.poll(job).exit_code == 128 + signal.SIGKILL
    launcher.cancel(job)  # must not end this very process


def test_unknown_id(tmp_path: Path) -> None:
    with pytest.raises(UnknownJobError):
        LocalLauncher().poll(str(tmp_path / "no.job.json"))


def test_launcher_imports_no_torch() -> None:
    script = "import sys, training_jobs.launchers.local; sys.exit('torch' in sys.modules or 'dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
