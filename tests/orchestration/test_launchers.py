"""The same recipe under other launchers, killed on its way: the versions in the lake are those of the local run."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from assets.lake import Lake
from assets.recipe.launchers import Launchers, SlurmOptions
from tests.engines import Docker, Slurm, used
from tests.workplace import Finished, Workplace, small_workplace, wait_for_line

# What a job makes, and what is made from that; the data plane runs in the orchestrator, whatever the launcher.
MADE_BY_JOBS = ("mixture", "pretraining_run", "checkpoint", "evaluation", "scoreboard", "model_card")
# The trainer's sums depend on the threads: as many as the local launcher gives each of its two ranks.
THREADS = max(1, (os.cpu_count() or 1) // 2)


def prepared(finished: Finished, folder: Path, launcher: str, launchers: Launchers) -> Workplace:
    """A workplace with the finished run's data plane, and a profile in which jobs run under ``launcher``."""
    assert finished.result.returncode == 0, finished.result.stderr
    place = small_workplace(folder)
    left_out = shutil.ignore_patterns(*MADE_BY_JOBS, ".results", ".staging", "scratch")
    shutil.copytree(finished.place.folder / "home", folder / "home", ignore=left_out)
    value = {"launcher": launcher, "launchers": json.loads(launchers.model_dump_json(exclude_unset=True))}
    (folder / "profile.yaml").write_text(yaml.safe_dump(value), "utf-8")
    return place


def arguments(place: Workplace) -> tuple[str, ...]:
    return ("run", "small", "--profile", str(place.folder / "profile.yaml"))


def killed_in_training(place: Workplace) -> None:
    """Start a run, and kill the orchestrator, not the job, when the first step is reported."""
    process = place.start(*arguments(place))
    wait_for_line(process, "step ")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def digests(lake: Path) -> dict[tuple[str, str], str]:
    return {
        (m.asset, m.partition): m.digest for m in Lake.open(str(lake)).manifests() if "diverging" not in m.partition
    }


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=600)
    return process.returncode, said


@pytest.mark.docker
def test_docker(finished: Finished, docker_engine: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import docker

    used(docker_engine, monkeypatch)
    place = prepared(finished, tmp_path, "docker", Launchers(docker=docker_engine.options()))
    client = docker.from_env()
    process = place.start(*arguments(place))
    wait_for_line(process, "step ")
    (container,) = client.containers.list(filters={"label": "tokka.name=pretrain-small"})
    container.pause()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    following = place.start(*arguments(place))
    wait_for_line(following, "found the job pretrain-small of an earlier run")
    assert [c.id for c in client.containers.list()] == [container.id], "no second job was started"
    container.kill()
    client.close()
    code, said = ended(following)
    assert code == 0, said
    assert "pretrain-small ended with exit code 137 and is started again" in said
    assert digests(place.lake) == digests(finished.place.lake)
    (run,) = Lake.open(str(place.lake)).manifests("pretraining_run")
    environment = Lake.open(str(place.lake)).read_json(run, "environment.json")
    assert environment["image"].startswith("sha256:")


@pytest.mark.slurm
def test_slurm(finished: Finished, slurm_cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used(slurm_cluster, monkeypatch)
    options = SlurmOptions(ranks_per_node=1, threads=THREADS, interface="lo", poll_seconds=0.5, array=2)
    place = prepared(finished, tmp_path, "slurm", Launchers(slurm=options))
    killed_in_training(place)
    slurm_cluster.kill_node("n2")
    following = place.start(*arguments(place))
    try:
        wait_for_line(following, "found the job pretrain-small of an earlier run")
        wait_for_line(following, "waits in Slurm's queue")
    finally:
        slurm_cluster.start_node("n2")
    code, said = ended(following)
    assert code == 0, said
    assert "step 60 of 60" in said, "its messages come home to the process that found it"
    logs = list((place.folder / "home").glob("scratch/pretraining_run/small/*/*.job.json"))
    assert not logs, "the scratch folder goes when the version is whole"
    assert digests(place.lake) == digests(finished.place.lake)
    lake = Lake.open(str(place.lake))
    for evaluation in lake.manifests("evaluation"):
        assert lake.read_json(evaluation, "timing.json")["reused"] == ["small_heldout_fi", "small_translation"], (
            "the elements of the array have scored them"
        )
