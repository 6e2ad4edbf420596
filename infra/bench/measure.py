"""Running a command as a process of its own, with its time and peak memory."""

import contextlib
import json
import os
import platform
import resource
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

INTERVAL = 0.25


@dataclass(frozen=True)
class Measured:
    """Seconds of wall clock, the peak of the memory of all its processes in bytes, their seconds of processor time, and what
    the last line of its output reports, where that is a JSON object.

    Memory is the proportional set size, in which pages that processes share count once, sampled four times a second.
    """

    seconds: float
    peak_bytes: int
    cpu_seconds: float
    reported: dict[str, Any] = field(default_factory=dict)


class BenchError(Exception):
    """A benchmark has no result; the message says why."""


class CommandFailedError(BenchError):
    """A measured command ended without success; the message holds its last lines."""


def write(result: dict[str, Any], path: Path) -> None:
    """Write the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def measure(command: list[str]) -> Measured:
    """Run a command to its end. Raises CommandFailedError when it fails."""
    import psutil

    start, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        watched = psutil.Process(process.pid)
        peak = 0
        assert process.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
        reader.start()
        while process.poll() is None:
            peak = max(peak, _memory(watched))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(INTERVAL)
        seconds = time.monotonic() - start
        reader.join()
    if process.returncode:
        raise CommandFailedError(
            f"{' '.join(command)} ended with exit code {process.returncode}:\n{''.join(lines[-30:])}"
        )
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Measured(seconds, peak, cpu, _reported(lines[-1]) if lines else {})


def _reported(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def keep_to_cores(count: int) -> None:
    """Let this process and those that it starts use so many of the machine's cores and no more; called before the imports
    that count cores.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _memory(process: "psutil.Process") -> int:
    """Proportional set size of a process and all its descendants; of those that have just ended nothing."""
    import psutil

    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
    return total


def machine() -> dict[str, str | int | float]:
    """What figures depend on: processor, cores, memory, Python."""
    import psutil

    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
