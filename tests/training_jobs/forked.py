"""Ranks of real pretraining jobs as forks of a process that has imported the libraries once: a start takes no 10 s."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from assets.recipe.jobs import PretrainingJob

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["training_jobs.trainer", "training_jobs.pretrain", "tests.training_jobs.forked"])


def _hang(_number: int, frame: FrameType | None) -> None:
    """Hang, but later where a step is being computed or a state saved: ranks wait for each other there, and none is behind."""
    while frame is not None:
        if frame.f_code.co_name in ("training_step", "on_train_batch_end"):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            return
        frame = frame.f_back
    time.sleep(600)


def _rank(environment: dict[str, str], spec: str, log: str) -> None:
    """One rank, in a process of its own: what ``python -m training_jobs.pretrain spec`` does.

    SIGUSR1 makes its main thread hang between two steps, while its other threads live.
    """
    os.environ.update(environment)
    signal.signal(signal.SIGUSR1, _hang)
    signal.signal(signal.SIGALRM, _hang)
    with Path(log).open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.argv = ["pretrain", spec]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from training_jobs.pretrain import process

    process()


@dataclass
class Ranks:
    """The running ranks of a job."""

    folder: Path
    processes: list[ForkServerProcess]

    @property
    def log(self) -> str:
        return (self.folder / "job.log").read_text("utf-8")

    @property
    def running(self) -> bool:
        return any(process.exitcode is None for process in self.processes)

    def send(self, number: int, *ranks: int) -> None:
        """Send a signal to some ranks, or to all."""
        for rank in ranks or range(len(self.processes)):
            pid = self.processes[rank].pid
            assert pid is not None
            os.kill(pid, number)

    def wait(self, seconds: float = 100) -> list[int | None]:
        """The exit codes of all ranks, once they have ended; a signal is a negative code."""
        deadline = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                self.kill()
                pytest.fail(f"the ranks did not end within {seconds} s:\n{self.log}")
        return [process.exitcode for process in self.processes]

    def kill(self) -> None:
        """End all ranks at once, as a crash does."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()

    def until(self, reached: Callable[[], bool], seconds: float = 100) -> None:
        """Wait until something is so, while the ranks run."""
        deadline = time.monotonic() + seconds
        while not reached():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"the ranks came to their end before:\n{self.log}")
            time.sleep(0.002)


def start(job: PretrainingJob, folder: Path, nodes: int = 1) -> Ranks:
    """Start the ranks of ``job``, spread over ``nodes`` as far as they can tell."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "spec.json"
    spec.write_text(job.model_dump_json())
    (folder / "job.log").touch()
    ranks = job.training.data_parallel * job.training.tensor_parallel
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    local = ranks // nodes
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(local),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        # The server that forks has the environment of its own start.
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    processes = []
    for rank in range(ranks):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank % local), "GROUP_RANK": str(rank // local)}
        arguments: tuple[Any, ...] = (shared | own, str(spec), str(folder / "job.log"))
        processes.append(_FORKS.Process(target=_rank, args=arguments, daemon=True))
        processes[-1].start()
    return Ranks(folder, processes)


def finish(job: PretrainingJob, folder: Path, nodes: int = 1) -> str:
    """Run a job to its end, which must be a good one; returns its log."""
    ranks = start(job, folder, nodes)
    assert set(ranks.wait()) == {0}, ranks.log
    return ranks.log
