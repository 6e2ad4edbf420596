"""Killed, preempted, moved and resumed pretraining: every later step is that of a run without a break."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from assets.recipe.reliability import Saving
from assets.recipe.training import Training
from tests.servers import s3_server
from training_jobs.states import States

from .conftest import TRAINING, World
from .forked import finish, start

PREEMPTED = 75
LAST = f"output/checkpoints/step-{TRAINING.steps:07d}/model.safetensors"


def training(**changes: Any) -> Training:
    return TRAINING.model_copy(update=changes)


OFTEN = training(saving=Saving(every_steps=2, keep=3))


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "output" / "metrics.jsonl").read_text().splitlines()]


def steps_logged(folder: Path) -> int:
    path = folder / "output" / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "output" / "summary.json").read_text())
    return found


def saved(folder: Path) -> list[Path]:
    """The folders of states, whole or not, in ascending order."""
    return sorted((folder / "work" / "states").glob("step-*"))


def whole(folder: Path) -> list[Path]:
    return [state for state in saved(folder) if (state / "state.json").exists()]


def assert_same(folder: Path, finished: Path) -> None:
    """Every step, what was consumed, and the bytes of the last weights."""
    for ours, theirs in zip(metrics(folder), metrics(finished), strict=True):
        for name in ("step", "loss", "learning_rate", "gradient_norm", "tokens"):
            assert ours[name] == theirs[name], (ours, theirs)
    for name in ("consumed_digest", "consumed_ranges", "samples", "first_loss", "last_loss", "anomalies"):
        assert summary(folder)[name] == summary(finished)[name]
    assert (folder / LAST).read_bytes() == (finished / LAST).read_bytes()


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_moment_and_resumed_it_is_the_same_run(
    world: World, finished: Path, tmp_path: Path, seed: int
) -> None:
    job, moments = world.job(tmp_path, training=OFTEN), random.Random(seed)
    for low in (2, 9, 16):
        ranks, target = start(job, tmp_path), moments.randint(low, low + 6)
        if low == 9:
            # While a state is being written: its folder is there, its manifest is not.
            ranks.until(lambda: bool(steps_logged(tmp_path) >= 9 and saved(tmp_path) != whole(tmp_path)))
        else:
            ranks.until(lambda target=target: steps_logged(tmp_path) >= target)
            time.sleep(moments.random() * 0.05)
        ranks.kill()
    log = finish(job, tmp_path)
    assert "going on from step" in log
    assert_same(tmp_path, finished)
    assert len(whole(tmp_path)) == 3 and saved(tmp_path) == whole(tmp_path), "keep: 3"


def test_other_numbers_of_ranks_take_the_same_samples(world: World, finished: Path, tmp_path: Path) -> None:
    for ranks, stop in ((2, 7), (1, 15), (2, None)):
        job = world.job(tmp_path, training=OFTEN.model_copy(update={"data_parallel": ranks}))
        if stop is None:
            finish(job, tmp_path)
        else:
            running = start(job, tmp_path)
            running.until(lambda stop=stop: steps_logged(tmp_path) >= stop)
            running.kill()
    for name in ("consumed_digest", "consumed_ranges", "samples"):
        assert summary(tmp_path)[name] == summary(finished)[name]
    for ours, theirs in zip(metrics(tmp_path), metrics(finished), strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


@pytest.mark.parametrize("who", [(0,), (1,), (0, 1)])
def test_asked_to_leave_it_saves_and_leaves_and_goes_on(
    world: World, finished: Path, tmp_path: Path, who: tuple[int, ...]
) -> None:
    ranks = start(world.job(tmp_path), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 5)
    ranks.send(signal.SIGTERM, *who)
    assert ranks.wait(20) == [PREEMPTED, PREEMPTED], ranks.log
    step = int(whole(tmp_path)[-1].name.removeprefix("step-"))
    assert (
        step >= 5 and f"asked to leave (SIGTERM) in step {step} of 24; its state of step {step} is saved" in ranks.log
    )
    assert f"going on from step {step} of 24" in finish(world.job(tmp_path), tmp_path)
    assert_same(tmp_path, finished)


def test_the_ranks_launcher_passes_the_request_to_leave_on(world: World, finished: Path, tmp_path: Path) -> None:
    """With processes as a launcher starts them: SIGTERM to the parent of the ranks."""
    spec = tmp_path / "spec.json"
    spec.write_text(world.job(tmp_path).model_dump_json())
    command = [sys.executable, "-m", "training_jobs.launchers.ranks", "2", "training_jobs.pretrain", str(spec)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with (tmp_path / "job.log").open("wb") as log:
        parent = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 100
        while steps_logged(tmp_path) < 3:
            assert parent.poll() is None and time.monotonic() < deadline, (tmp_path / "job.log").read_text()
            time.sleep(0.002)
        parent.terminate()
        assert parent.wait(60) == PREEMPTED, (tmp_path / "job.log").read_text()
    finally:
        parent.kill()
        parent.wait()
    finish(world.job(tmp_path), tmp_path)
    assert_same(tmp_path, finished)


def truncate(state: Path) -> None:
    shard = next(state.glob("__1_*.distcp"))
    os.truncate(shard, shard.stat().st_size // 2)


def flip(state: Path) -> None:
    shard = next(state.glob("__0_*.distcp"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


DAMAGES = {
    "truncated": (truncate, "distcp has "),
    "flipped": (flip, "the bytes of __0_0.distcp are not those that were written"),
    "no metadata": (lambda state: (state / ".metadata").unlink(), ".metadata is missing"),
    "no manifest": (lambda state: (state / "state.json").unlink(), "it lacks state.json"),
    "half a manifest": (lambda state: (state / "state.json").write_text('{"step": 1'), "its state.json is damaged"),
}


@pytest.fixture(scope="session")
def stopped(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed with three whole states."""
    folder = tmp_path_factory.mktemp("stopped")
    ranks = start(world.job(folder, training=OFTEN), folder)
    ranks.until(lambda: len(whole(folder)) >= 3)
    ranks.kill()
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_a_torn_state_is_passed_over(world: World, stopped: Path, finished: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    damage, sentence = DAMAGES[name]
    older, newest = whole(folder)[-2:]
    damage(newest)
    log = finish(world.job(folder, training=OFTEN), folder)
    step = int(newest.name.removeprefix("step-"))
    assert f"the saved state of step {step} is torn and is passed over" in log and sentence in log
    assert f"going on from step {int(older.name.removeprefix('step-'))} of" in log
    assert_same(folder, finished)


@pytest.mark.parametrize("place", ["folder", pytest.param("s3", marks=pytest.mark.s3)])
def test_states_under_another_uri_are_all_that_the_next_machine_needs(
    world: World, finished: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with ExitStack() as stack:
        uri = (tmp_path / "lake" / ".states").as_uri()
        if place == "s3":
            uri = "s3://lake/.states/run"
            for name, value in stack.enter_context(s3_server(tmp_path / "server")).environment.items():
                monkeypatch.setenv(name, value)
        ranks = start(world.job(first, training=OFTEN, states=uri), first)
        ranks.until(lambda: steps_logged(first) >= 15 and "saved the state of step 10" in ranks.log)
        ranks.kill()
        assert not (first / "work" / "states").exists()
        shutil.rmtree(first)
        log = finish(world.job(second, training=OFTEN, states=uri), second)
    assert "going on from step 1" in log
    assert_same(second, finished)
    for step in TRAINING.checkpoints:
        name = f"output/checkpoints/step-{step:07d}/model.safetensors"
        assert (second / name).read_bytes() == (finished / name).read_bytes()


def test_a_run_that_comes_back_to_a_machine_takes_the_logs_of_the_state(
    world: World, finished: Path, tmp_path: Path
) -> None:
    """From one machine to another and back: what the first has logged ends before the state that it goes on from."""
    first, second = tmp_path / "first", tmp_path / "second"
    uri = (tmp_path / "lake" / ".states").as_uri()
    for folder, stop in ((first, 7), (second, 17)):
        ranks = start(world.job(folder, training=OFTEN, states=uri), folder)
        ranks.until(lambda folder=folder, stop=stop: steps_logged(folder) >= stop)
        ranks.kill()
    assert len(metrics(first)) < 12
    finish(world.job(first, training=OFTEN, states=uri), first)
    assert_same(first, finished)
    assert (first / "output" / "validation.jsonl").read_bytes() == (
        finished / "output" / "validation.jsonl"
    ).read_bytes()


def test_what_was_made_after_the_state_is_made_again(world: World, finished: Path, tmp_path: Path) -> None:
    """A checkpoint and a validation that no state goes with may be of another course of the run."""
    ranks = start(world.job(tmp_path, training=OFTEN), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 15)
    ranks.kill()
    for state in saved(tmp_path):
        if int(state.name.removeprefix("step-")) >= 12:
            shutil.rmtree(state)
    late = tmp_path / "output" / "checkpoints" / "step-0000012" / "model.safetensors"
    late.write_bytes(b"of another course")
    finish(world.job(tmp_path, training=OFTEN), tmp_path)
    assert_same(tmp_path, finished)
    for name in ("validation.jsonl", "checkpoints/step-0000012/model.safetensors"):
        assert (tmp_path / "output" / name).read_bytes() == (finished / "output" / name).read_bytes()


def test_a_full_disk_costs_states_and_not_the_run(world: World, finished: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: what is larger than the logs cannot be written."""
    ranks = start(world.job(tmp_path, training=OFTEN), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 3)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    pids = [process.pid or 0 for process in ranks.processes]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (50_000, usual[1]))
    ranks.until(lambda: "could not be saved" in ranks.log)
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)
    assert set(ranks.wait()) == {0}, ranks.log
    assert "File too large" in ranks.log
    assert_same(tmp_path, finished)
    assert len(whole(tmp_path)) == 3 and saved(tmp_path) == whole(tmp_path)


@pytest.fixture
def single_rank() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.mark.usefixtures("single_rank")
def test_any_damage_to_any_file_of_a_state_is_found(stopped: Path, tmp_path: Path) -> None:
    said: list[str] = []
    older, newest = whole(stopped)[-2:]
    step = int(newest.name.removeprefix("step-"))
    files = sorted(path.name for path in newest.iterdir())
    assert {".metadata", "__0_0.distcp", "__1_0.distcp", "meta.pt", "metrics.jsonl", "state.json"} <= set(files)
    for name in files:
        for number, damage in enumerate((flipped, halved, lengthened, emptied, Path.unlink)):
            folder = tmp_path / f"{name}-{number}"
            for state in (older, newest):
                shutil.copytree(state, folder / state.name)
            damage(folder / newest.name / name)
            states = States(str(folder), 3, said.append)
            found = states.find()
            states.close()
            assert found.path is not None and found.path.endswith(older.name), (name, damage)
            assert f"the saved state of step {step} is torn and is passed over" in said.pop()
            assert not (folder / newest.name).exists()


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.usefixtures("single_rank")
def test_a_flipped_bit_in_a_states_list_of_files_harms_nobody(stopped: Path, tmp_path: Path) -> None:
    """Every bit of ``state.json``: the state is passed over, or what it holds is what was written."""
    said: list[str] = []
    newest = whole(stopped)[-1]
    content = (newest / "state.json").read_bytes()
    shutil.copytree(newest, tmp_path / newest.name)
    states = States(str(tmp_path), 3, said.append)
    step = int(newest.name.removeprefix("step-"))
    harmless = 0
    for place in range(8 * len(content)):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        (tmp_path / newest.name / "state.json").write_bytes(changed)
        fault = states._fault(step)
        if fault is None:
            assert json.loads(changed) == json.loads(content), (place, bytes(changed))
            harmless += 1
    states.close()
    assert harmless < len(content), "white space alone can change unseen"
