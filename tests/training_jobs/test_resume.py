"""Killed, preempted, moved and resumed pretraining: every later step is that of a run without a break."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from assets.recipe.reliability import Saving
from assets.recipe.training import Training
from tests.servers import s3_server

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
