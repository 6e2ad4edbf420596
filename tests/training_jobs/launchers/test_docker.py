"""The launcher of a Docker engine, on a real one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.recipe.jobs import JobStatus
from assets.recipe.launchers import DockerOptions, Launchers
from tests.engines import Docker, used
from tests.training_jobs.launchers.jobs import SUBMIT, ended, printed, request
from training_jobs.launchers.docker import DockerError, DockerLauncher
from training_jobs.launchers.records import read_record

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True)
def engine(docker_engine: Docker, monkeypatch: pytest.MonkeyPatch) -> Docker:
    return used(docker_engine, monkeypatch)


@pytest.fixture
def launcher(engine: Docker, modules: Path) -> DockerLauncher:
    return DockerLauncher(engine.options(modules).model_copy(update={"grace_seconds": 10.0, "poll_seconds": 0.1}))


@pytest.fixture
def client(engine: Docker) -> Iterator[object]:
    import docker

    client = docker.from_env()
    yield client
    client.close()


def changed(launcher: DockerLauncher, **options: object) -> DockerLauncher:
    return DockerLauncher(DockerOptions.model_validate(launcher.options.model_dump() | options))


def all_gone(client: Any) -> bool:
    """Whether the engine has removed all containers, which it does a moment after they end."""
    deadline = time.monotonic() + 15
    while left := client.containers.list(all=True):
        if time.monotonic() > deadline:
            return not left
        time.sleep(0.05)
    return True


def wanted(modules: Path, folder: Path, name: str, ranks: int = 0, **fields: object):
    """A request whose modules are found by the profile's variables, as a real one's are."""
    return request(modules, folder, name, ranks, environment={"GREETING": "hei"}, **fields)


def test_ranks_meet_in_a_container_that_is_gone_afterwards(launcher, modules, folder, client):
    (folder / "spec.go").touch()
    job = launcher.submit(wanted(modules, folder, "meets", ranks=2))
    record = read_record(job)
    labels = client.containers.get(record.native).labels
    assert labels["tokka.name"] == "meets"
    assert ended(launcher, job) == JobStatus(state="succeeded", exit_code=0)
    assert launcher.logs(job) == "met [[0, ''], [1, '']]\n"
    cost = launcher.cost(job)
    assert (cost.ranks, cost.gpus, cost.attempts) == (2, 0, 1)
    assert 0 < cost.seconds < 30
    assert record.image.startswith("sha256:")
    assert all_gone(client)


def test_a_job_has_no_root_no_network_no_capabilities_and_writes_only_its_folder(
    launcher, modules, folder, monkeypatch
):
    monkeypatch.setenv("SECRET_WORD", "kuusitoista")
    launcher = changed(launcher, pass_environment=["SECRET_WORD"])
    job = launcher.submit(wanted(modules, folder, "looks"))
    assert ended(launcher, job).state == "succeeded", launcher.logs(job)
    lines = launcher.logs(job).splitlines()
    assert lines[0] == f"uid 12345 networks ['lo'] secret {len('kuusitoista')}"
    assert lines[1] == "['CapEff:\\t0000000000000000']"
    assert lines[2] == "Read-only file system"
    assert not [path for path in folder.iterdir() if "kuusitoista" in path.read_text()]


def test_threads_and_exit_codes(launcher, modules, folder):
    launcher = changed(launcher, cpus=2)
    job = launcher.submit(wanted(modules, folder, "hello"))
    assert ended(launcher, job).state == "succeeded"
    assert launcher.logs(job) == "rank none of 1 spec.json\nhei 2 1\n"
    job = launcher.submit(wanted(modules, folder, "fails", ranks=2))
    assert ended(launcher, job).exit_code == 4


def test_a_job_that_runs_out_of_memory_says_so(launcher, modules, folder):
    launcher = changed(launcher, memory="200m")
    job = launcher.submit(wanted(modules, folder, "eats"))
    status = ended(launcher, job)
    assert (status.state, status.exit_code) == ("failed", 137)
    assert "memory" in status.reason


def test_cancel_asks_the_ranks_to_leave_and_leaves_no_container(launcher, modules, folder, client):
    job = launcher.submit(wanted(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met")
    launcher.cancel(job)
    assert launcher.poll(job) == JobStatus(state="failed", exit_code=75)
    assert all_gone(client)
    launcher.cancel(job)  # a second time does nothing


def test_a_stubborn_job_is_killed_after_the_grace(launcher, modules, folder, client):
    launcher = changed(launcher, grace_seconds=1)
    job = launcher.submit(wanted(modules, folder, "stubborn"))
    printed(launcher, job, "child")
    launcher.cancel(job)
    status = launcher.poll(job)
    assert (status.state, status.exit_code) == ("failed", 128 + signal.SIGKILL)
    assert all_gone(client)


def test_a_container_that_was_killed_is_a_failed_job(launcher, modules, folder, client):
    job = launcher.submit(wanted(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met")
    client.containers.get(read_record(job).native).kill()
    status = ended(launcher, job)
    assert (status.state, status.exit_code) == ("failed", 128 + signal.SIGKILL)
    assert "container is gone" in status.reason
    assert launcher.reattach(wanted(modules, folder, "meets", ranks=2)) is None


@pytest.mark.parametrize("noted", [True, False], ids=["id noted", "killed before the id was noted"])
def test_another_process_finds_the_job_again(launcher, modules, folder, noted):
    job_request = wanted(modules, folder, "meets", ranks=2)
    settings = Launchers(docker=launcher.options).model_dump_json()
    arguments = [sys.executable, "-c", SUBMIT, "docker", settings, job_request.model_dump_json()]
    started = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()
    if not noted:
        record = json.loads(Path(started).read_text())
        Path(started).write_text(json.dumps(record | {"native": ""}))
    job = launcher.reattach(job_request)
    assert job == started
    printed(launcher, job, "met")
    (folder / "spec.go").touch()
    assert ended(launcher, job).state == "succeeded"
    assert launcher.reattach(job_request) == job
    assert launcher.logs(job).count("met") == 1


def test_an_engine_that_is_away_does_not_fail_the_job(launcher, modules, folder, tmp_path, monkeypatch):
    job = launcher.submit(wanted(modules, folder, "meets", ranks=2))
    printed(launcher, job, "met")
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
        status = launcher.poll(job)
        assert status.state == "running" and "does not answer" in status.reason
        with pytest.raises(DockerError, match="does not answer"):
            launcher.submit(wanted(modules, folder, "hello"))
    launcher.cancel(job)


def test_wrong_settings_are_said_in_a_sentence(launcher, modules, folder):
    job_request = wanted(modules, folder, "hello")
    with pytest.raises(DockerError, match=r"image tokka-of-nobody"):
        changed(launcher, image="tokka-of-nobody:1").submit(job_request)
    with pytest.raises(LookupError, match="TOKKA_NOT_SET"):
        changed(launcher, pass_environment=["TOKKA_NOT_SET"]).submit(job_request)
    if os.getuid() == 0:
        with pytest.raises(ValueError, match=r"name a uid:gid under launchers\.docker\.user"):
            changed(launcher, user=None).submit(job_request)


def test_gpus_are_asked_for_by_a_device_request(launcher, modules, folder, client):
    """There is no GPU here, and an engine without its driver refuses: the request has reached it."""
    with pytest.raises(DockerError, match="could not select device driver"):
        changed(launcher, gpus_per_rank=2).submit(wanted(modules, folder, "hello", ranks=2))
    assert all_gone(client)
