"""Ranks that fall silent, hang or are killed: noticed, named, and the run goes on when it is started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from assets.recipe.reliability import LOST_RANK, PREEMPTED, Saving, Watching
from tests.servers import free_ports

from .conftest import TRAINING, World
from .forked import finish, start
from .test_resume import OFTEN, assert_same, steps_logged


def test_a_rank_that_stands_still_is_named(world: World, finished: Path, tmp_path: Path) -> None:
    training = OFTEN.model_copy(update={"watching": Watching(silent_seconds=3)})
    ranks = start(world.job(tmp_path, training=training), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 5)
    ranks.send(signal.SIGSTOP, 1)
    try:
        ranks.processes[0].join(30)
        assert ranks.processes[0].exitcode == LOST_RANK, ranks.log
    finally:
        ranks.kill()
    assert (
        f"error: rank 1 (process {ranks.processes[1].pid} on {socket.gethostname()}) has given no sign of life"
        in ranks.log
    )
    finish(world.job(tmp_path, training=training), tmp_path)
    assert_same(tmp_path, finished)


def test_of_four_ranks_all_know_who_is_gone(world: World, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"data_parallel": 4, "micro_batch": 1})
    ranks = start(world.job(tmp_path, training=training), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 3)
    ranks.send(signal.SIGKILL, 2)
    assert ranks.wait(60) == [LOST_RANK, LOST_RANK, -9, LOST_RANK], ranks.log
    assert f"rank 2 (process {ranks.processes[2].pid} on " in ranks.log


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_is_killed_is_named(
    world: World,
    finished: Path,
    tmp_path: Path,
    victim: int,
) -> None:
    training = TRAINING.model_copy(update={"saving": Saving(every_steps=3)})
    ranks = start(world.job(tmp_path, training=training), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 5)
    ranks.send(signal.SIGKILL, victim)
    codes = ranks.wait(30)
    assert codes[1 - victim] == LOST_RANK and codes[victim] == -9, ranks.log
    assert f"rank {victim} (process {ranks.processes[victim].pid} on " in ranks.log
    finish(world.job(tmp_path, training=training), tmp_path)
    assert_same(tmp_path, finished)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_hangs_in_a_run_is_named(world: World, finished: Path, tmp_path: Path, victim: int) -> None:
    """Its main thread stands still and its watch goes on, so that it gives signs of life."""
    training = OFTEN.model_copy(update={"watching": Watching(hang_minutes=0.05)})
    ranks = start(world.job(tmp_path, training=training), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 5)
    ranks.send(signal.SIGUSR1, victim)
    assert ranks.wait(60) == [LOST_RANK, LOST_RANK], ranks.log
    assert "error: no rank got any further for" in ranks.log
    assert f"rank {victim} (process {ranks.processes[victim].pid} on " in ranks.log
    assert f"rank {1 - victim} (" not in ranks.log
    finish(world.job(tmp_path, training=OFTEN), tmp_path)
    assert_same(tmp_path, finished)


WATCHED = """
import sys, time
from torch.distributed import TCPStore
from datetime import timedelta
from assets.recipe.reliability import Watching
from training_jobs.watch import Watch
rank, port = int(sys.argv[1]), int(sys.argv[2])
store = TCPStore("127.0.0.1", port, 3, rank == 0, timedelta(seconds=60))
watch = Watch(store, rank, 3, Watching(hang_minutes=0.05), lambda said: print(said, flush=True))
watch.start()
for step in range(4):
    watch.at(step, "waiting for data")
    time.sleep(0.3)
    if rank == 2 and step == 3:
        time.sleep(60)
    watch.at(step, "exchanging results")
time.sleep(60)
"""


def test_a_hang_of_living_ranks_is_noticed_and_those_behind_are_named() -> None:
    """Three processes: the main thread of rank 2 never gets to the exchange of step 3, its thread is alive."""
    port = str(free_ports(1)[0])
    command = [sys.executable, "-c", WATCHED]
    ranks = [subprocess.Popen([*command, str(rank), port], stdout=subprocess.PIPE, text=True) for rank in range(3)]
    try:
        said = ranks[0].communicate(timeout=90)[0]
        assert [rank.wait(20) for rank in ranks] == [LOST_RANK] * 3
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
            if rank.stdout:
                rank.stdout.close()
    assert "no rank got any further for" in said
    assert f"rank 2 (process {ranks[2].pid} on " in said and "at waiting for data in step 3" in said
    assert "rank 1 (" not in said


def test_before_training_there_is_nothing_to_save() -> None:
    code = (
        "import os, signal, time; from training_jobs.watch import Leaving; leaving = Leaving(); leaving.listen();"
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False, timeout=60).returncode == PREEMPTED


def test_ranks_that_go_on_are_left_alone() -> None:
    """The signs of a healthy pair raise nothing, and the end of the watch ends its thread."""
    from torch.distributed import TCPStore

    from training_jobs.watch import Watch

    said: list[str] = []
    (port,) = free_ports(1)
    server = TCPStore("127.0.0.1", port, 2, True, timedelta(seconds=30), wait_for_workers=False)
    other = TCPStore("127.0.0.1", port, 2, False, timedelta(seconds=30), wait_for_workers=False)
    settings = Watching(silent_seconds=2, hang_minutes=1)
    watches = [Watch(store, rank, 2, settings, said.append) for rank, store in enumerate((server, other))]
    for watch in watches:
        watch.start()
    for step in range(8):
        for watch in watches:
            watch.at(step, "computing")
        time.sleep(0.4)
    for watch in watches:
        watch.stop()
        assert not watch.thread.is_alive()
    assert said == []
