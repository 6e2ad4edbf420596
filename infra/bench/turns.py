"""Two trainers step by step in turns: one is stopped while the other takes a step, so that whatever else the machine does falls
on both alike. Differences of a few per cent show in minutes, where whole runs one after the other vary by ten.
"""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.bench.measure import CommandFailedError

_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Command:
    """How a trainer is started, and the file to which it writes a line at the end of each step."""

    arguments: list[str]
    environment: Mapping[str, str]
    lines: Path
    log: Path


@dataclass
class Turns:
    """What a trainer took in each of its turns: seconds of wall clock, and seconds of CPU over all of its processes."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def in_turns(commands: Mapping[str, Command], steps: int, warmup: int, folder: Path) -> dict[str, Turns]:
    """Let the trainers take steps ``warmup`` to ``steps`` - 1 in turns, whoever began a round ending the next.

    A turn lasts from the end of a step to the end of the next. The last step is left out: after it a trainer writes what it
    leaves. Raises CommandFailedError where one of them ends before.
    """
    running: dict[str, _Trainer] = {}
    try:
        for name, command in commands.items():
            running[name] = _Trainer(name, command, folder)
            running[name].until(warmup)
            running[name].pause()
        order = list(running)
        found = {name: Turns() for name in order}
        for step in range(warmup + 1, steps):
            for name in order:
                seconds, cpu = running[name].turn(step)
                found[name].seconds.append(seconds)
                found[name].cpu.append(cpu)
            order.reverse()
        return found
    finally:
        for trainer in running.values():
            trainer.end()


def ratio(slow: Turns, fast: Turns) -> dict[str, float]:
    """How many times as long ``slow`` takes: median over the pairs of turns, by wall clock and by the CPU's time."""
    return {
        "seconds": round(statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)), 4),
        "cpu": round(statistics.median(a / b for a, b in zip(slow.cpu, fast.cpu, strict=True)), 4),
        "cpu_in_all": round(sum(slow.cpu) / sum(fast.cpu), 4),
        "pairs": len(slow.seconds),
    }


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that a process has had with all its threads, to the nanosecond.

    The clock is that of Linux's clock_getcpuclockid(3), of which Python has the one for threads alone. The times in /proc go by
    ticks of ten milliseconds, and a step of a small model is shorter.
    """
    return time.clock_gettime((~pid << 3) | 2)


class _Trainer:
    """A running trainer with its ranks."""

    def __init__(self, name: str, command: Command, folder: Path) -> None:
        import psutil

        self.name, self.command = name, command
        with command.log.open("wb") as stream:
            self.process = subprocess.Popen(
                command.arguments,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **command.environment},
                cwd=folder,
                start_new_session=True,
            )
        self.watched = psutil.Process(self.process.pid)
        self.ranks: list[psutil.Process] = []

    def _steps(self) -> int:
        return self.command.lines.read_bytes().count(b"\n") if self.command.lines.exists() else 0

    def until(self, step: int) -> None:
        while self._steps() < step:
            if self.process.poll() is not None:
                said = self.command.log.read_text("utf-8", "replace")[-3000:]
                raise CommandFailedError(f"{self.name} ended with exit code {self.process.returncode}:\n{said}")
            time.sleep(_LOOK_SECONDS)

    def pause(self) -> None:
        self.ranks = self.watched.children(recursive=True)
        for rank in self.ranks:
            rank.suspend()

    def turn(self, step: int) -> tuple[float, float]:
        """Go on up to the end of ``step``; seconds of wall clock and of CPU."""
        before, started = self._cpu(), time.perf_counter()
        for rank in self.ranks:
            rank.resume()
        self.until(step)
        seconds = time.perf_counter() - started
        self.pause()
        return seconds, self._cpu() - before

    def _cpu(self) -> float:
        return sum(processor_seconds(rank.pid) for rank in self.ranks)

    def end(self) -> None:
        """Kill what is left of the trainer: its session is its own."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
