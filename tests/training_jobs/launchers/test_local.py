"""The launcher of this machine, with trivial modules."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from assets.recipe.jobs import JobRequest, JobStatus, Launcher
from training_jobs.launchers.local import LocalLauncher, UnknownJobError

MODULES = {
    "hello": """
        import os, sys
        rank, ranks = os.environ.get("RANK", "none"), os.environ.get("WORLD_SIZE", "1")
        print("rank", rank, "of", ranks, sys.argv[1].split("/")[-1])
        print(os.environ["GREETING"], os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"])
    """,
    "fails": """
        import os, sys, time
        if os.environ.get("RANK", "0") == "1":
            sys.exit(4)
        time.sleep(60 if "RANK" in os.environ else 0)
        sys.exit(3)
    """,
    "stubborn": """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
        time.sleep(600)
    """,
    "waits": """
        import time
        print("waiting", flush=True)
        time.sleep(600)
    """,
}


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    for name, source in MODULES.items():
        (folder / f"tokka_test_{name}.py").write_text(textwrap.dedent(source))
    return folder


def request(modules: Path, folder: Path, name: str, ranks: int = 0) -> JobRequest:
    """A request for a module of MODULES; with ``ranks`` a distributed one."""
    path = os.pathsep.join([str(modules), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    return JobRequest(
        name=name,
        module=f"tokka_test_{name}",
        spec=folder / "spec.json",
        ranks=max(1, ranks),
        distributed=ranks > 0,
        environment={"PYTHONPATH": path, "GREETING": "hei"},
        log=folder / "job.log",
    )


def ended(launcher: Launcher, job: str, seconds: float = 20) -> JobStatus:
    deadline = time.monotonic() + seconds
    while (status := launcher.poll(job)).state == "running":
        assert time.monotonic() < deadline, launcher.logs(job)
        time.sleep(0.02)
    return status


def printed(launcher: Launcher, job: str, text: str) -> str:
    deadline = time.monotonic() + 20
    while text not in (log := launcher.logs(job)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return log


def test_success_failure_and_logs(modules: Path, tmp_path: Path) -> None:
    launcher = LocalLauncher(threads=1)
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
    launcher = LocalLauncher(grace_seconds=0.5)
    job = launcher.submit(request(modules, tmp_path, "stubborn"))
    child = int(printed(launcher, job, "child").split()[-1])
    launcher.cancel(job)
    status = launcher.poll(job)
    assert status.state == "failed" and status.exit_code == 128 + signal.SIGKILL
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
    Path(record["exit"]).unlink()
    Path(job).write_text(json.dumps(record | {"pid": os.getpid()}))
    assert launcher.poll(job) == JobStatus(state="failed", exit_code=128 + signal.SIGKILL)
    launcher.cancel(job)  # must not end this very process


def test_unknown_id(tmp_path: Path) -> None:
    with pytest.raises(UnknownJobError):
        LocalLauncher().poll(str(tmp_path / "no.job.json"))


def test_launcher_imports_no_torch() -> None:
    script = "import sys, training_jobs.launchers.local; sys.exit('torch' in sys.modules or 'dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
