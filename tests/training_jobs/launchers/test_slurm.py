"""The launcher of a Slurm cluster, on a real one with two nodes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets.recipe.launchers import Launchers, SlurmOptions
from tests.engines import Slurm, used
from tests.training_jobs.launchers.jobs import SUBMIT, ended, printed, request, until
from training_jobs.launchers.records import read_record
from training_jobs.launchers.slurm import SlurmLauncher

OPTIONS = SlurmOptions(ranks_per_node=1, threads=1, interface="lo", poll_seconds=0.2, grace_seconds=10)

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def cluster(slurm_cluster: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    return used(slurm_cluster, monkeypatch)


def test_ranks_on_two_nodes_meet_and_their_cost_is_counted(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met [[0, 'n1'], [1, 'n2']]")
    time.sleep(1.5)  # sacct counts whole seconds
    (folder / "spec.go").touch()
    assert ended(launcher, job, 60).state == "succeeded"
    cost = launcher.cost(job)
    assert (cost.ranks, cost.gpus, cost.attempts) == (2, 0, 1)
    assert 1 <= cost.seconds < 60
    assert cost.rank_hours == pytest.approx(2 * cost.seconds / 3600)


def test_the_exit_code_of_the_rank_that_failed(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "fails", ranks=2))
    assert ended(launcher, job).exit_code == 4


def test_a_job_of_parts_runs_as_an_array_first(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"array": 3}))
    wanted = request(modules, folder, "parts", parts=2)
    wanted.environment["DAGSTER_PIPES_CONTEXT"] = "pipes"
    job = launcher.submit(wanted)
    assert ended(launcher, job, 60).state == "succeeded"
    assert launcher.logs(job) == "kept ('kept-0-of-2', 'no pipes') ('kept-1-of-2', 'no pipes')\n"
    record = read_record(job)
    assert record.array.isdigit() and record.array != record.native
    assert launcher.cost(job).attempts == 1
    assert launcher.reattach(wanted) == job


def test_cancel_ends_the_array_too(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"array": 2}))
    job = launcher.submit(request(modules, folder, "waits", parts=2))
    array = read_record(job).array
    for part in range(2):
        until_printed(folder / f"job.log.part-{part}", "waiting")
    assert launcher.poll(job).state == "queued" and "Dependency" in launcher.poll(job).reason
    launcher.cancel(job)
    assert launcher.poll(job).state == "failed"
    states = ["squeue", "-h", "-t", "all", "-j", array, "-o", "%T"]
    deadline = time.monotonic() + 30
    while set(subprocess.run(states, capture_output=True, text=True, check=False).stdout.split()) - {"CANCELLED"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def until_printed(log: Path, text: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)


def test_a_job_that_is_not_distributed_gets_the_environment_and_no_secret_is_written(
    modules: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_WORD", "kuusitoista")
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"pass_environment": ("SECRET_WORD",)}))
    job = launcher.submit(request(modules, folder, "looks"))
    assert ended(launcher, job).state == "succeeded"
    assert f"secret {len('kuusitoista')}" in launcher.logs(job)
    assert not [path for path in folder.iterdir() if "kuusitoista" in path.read_text()]
    job = launcher.submit(request(modules, folder, "hello", log=folder / "hello.log"))
    assert ended(launcher, job).state == "succeeded"
    assert launcher.logs(job) == "rank none of 1 spec.json\nhei 1 1\n"


def test_cancel_is_gentle_first_and_the_job_does_not_come_back(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "meets", ranks=2, restarts={75: 5}))
    printed(launcher, job, "met")
    launcher.cancel(job)
    status = launcher.poll(job)
    assert (status.state, status.exit_code) == ("failed", 75)
    assert launcher.cost(job).attempts == 1
    launcher.cancel(job)  # a second time does nothing


def test_a_job_that_waits_is_cancelled_too(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"sbatch": ("--hold",)}))
    job = launcher.submit(request(modules, folder, "hello"))
    status = launcher.poll(job)
    assert status.state == "queued" and "JobHeldUser" in status.reason
    launcher.cancel(job)
    status = launcher.poll(job)
    assert status.state == "failed" and "CANCELLED" in status.reason


@pytest.mark.parametrize("noted", [True, False], ids=["number noted", "killed before the number was noted"])
def test_another_process_finds_the_job_again(modules: Path, folder: Path, noted: bool) -> None:
    wanted = request(modules, folder, "meets", ranks=2)
    settings = Launchers(slurm=OPTIONS).model_dump_json()
    arguments = [sys.executable, "-c", SUBMIT, "slurm", settings, wanted.model_dump_json()]
    started = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()
    if not noted:
        record = json.loads(Path(started).read_text())
        Path(started).write_text(json.dumps(record | {"native": ""}))
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.reattach(wanted)
    assert job == started
    printed(launcher, job, "met")
    (folder / "spec.go").touch()
    assert ended(launcher, job).state == "succeeded"
    assert launcher.reattach(wanted) == job
    assert launcher.logs(job).count("met") == 1


def test_a_node_that_goes_sends_the_job_back_into_the_queue_and_it_runs_again(
    modules: Path, folder: Path, cluster: Slurm
) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met")
    cluster.kill_node("n2")
    try:
        until(launcher, job, "queued")
    finally:
        cluster.start_node("n2")
    until(launcher, job, "running")
    (folder / "spec.go").touch()
    assert ended(launcher, job, 60).state == "succeeded"
    assert launcher.logs(job).count("met") == 2
    assert launcher.cost(job).attempts == 2


def test_before_its_time_limit_a_job_leaves_and_goes_on_from_the_queue(modules: Path, folder: Path) -> None:
    # The second attempt has 15 seconds to end before it is warned itself; Slurm looks every half minute.
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"time": "00:02:00", "warning_seconds": 105}))
    job = launcher.submit(request(modules, folder, "meets", ranks=2))
    log = printed(launcher, job, "the time limit is near", 90)
    assert log.count("met") == 1
    # Only the second attempt may go: the first may see the file before the signal reaches it.
    printed(launcher, job, "met", 90, times=2)
    (folder / "spec.go").touch()
    assert ended(launcher, job, 90).state == "succeeded"
    assert launcher.cost(job).attempts == 2


def test_restarts_are_counted(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "fails", restarts={3: 1}))
    assert ended(launcher, job, 60).exit_code == 3
    assert launcher.cost(job).attempts == 2


def test_a_controller_that_is_away_does_not_fail_the_job(
    modules: Path, folder: Path, cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met")
    away = tmp_path / "away.conf"
    lines = (cluster.folder / "slurm.conf").read_text().splitlines()
    changed = ["SlurmctldPort=1" if line.startswith("SlurmctldPort=") else line for line in lines]
    away.write_text("\n".join([*changed, "MessageTimeout=2"]))
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_CONF", str(away))
        status = launcher.poll(job)
        assert status.state == "running" and "Slurm does not answer" in status.reason
    (folder / "spec.go").touch()
    assert ended(launcher, job).state == "succeeded"


def test_ranks_that_do_not_share_out_evenly_are_refused(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS.model_copy(update={"ranks_per_node": 2}))
    with pytest.raises(ValueError, match=r"3 ranks, which do not share out evenly over nodes of 2"):
        launcher.submit(request(modules, folder, "hello", ranks=3))
    assert launcher.reattach(request(modules, folder, "hello", ranks=3)) is None


def test_the_number_is_kept_beside_the_log(modules: Path, folder: Path) -> None:
    launcher = SlurmLauncher(OPTIONS)
    job = launcher.submit(request(modules, folder, "hello"))
    record = read_record(job)
    assert record.native.isdigit() and record.launcher == "slurm"
    assert os.path.dirname(job) == str(folder)
    ended(launcher, job)
    deadline = time.monotonic() + 10
    while (
        "COMPLETED"
        not in subprocess.run(
            ["squeue", "-h", "-t", "all", "-j", record.native, "-o", "%T"], capture_output=True, text=True, check=False
        ).stdout
    ):
        assert time.monotonic() < deadline
