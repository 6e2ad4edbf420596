"""What the sandbox takes and gives, and what its backends share."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

Status = Literal["passed", "failed", "timeout", "memory", "killed", "output"]
STATUSES = get_args(Status)


class SandboxUnavailableError(RuntimeError):
    """There is no sandbox here, so generated code is not run."""


class SandboxError(RuntimeError):
    """A sandbox is there but did not start a program: nothing is known about the program."""


@dataclass(frozen=True)
class Program:
    """A whole Python program, for the standard library of the sandbox's Python. ``id`` is only handed back."""

    id: str
    source: str


@dataclass(frozen=True)
class Limits:
    """What one program may take.

    ``memory_bytes`` bounds the address space of each process, and all processes together: by a cgroup in a container (with
    ``scratch_bytes`` and 64 MiB for the interpreters on top), by the sum of their resident pages, looked at every 50 ms, under
    bubblewrap. ``cpu_seconds`` counts per process; all together have at most ``wall_seconds`` times the processors (in a
    container: one processor). ``processes`` counts threads too. ``file_bytes`` is for one file, ``scratch_bytes`` and
    ``scratch_files`` for the scratch folder. ``output_bytes`` is for standard output and standard error together.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 20.0
    memory_bytes: int = 512 << 20
    processes: int = 16
    file_bytes: int = 16 << 20
    scratch_bytes: int = 32 << 20
    scratch_files: int = 1024
    open_files: int = 64
    output_bytes: int = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """What became of a program.

    ``passed``: its last statement was executed and it ended with 0. ``failed``: it ended by itself in another way. ``timeout``,
    ``memory``, ``output``: it passed that limit. ``killed``: a signal or the sandbox ended it. ``exit_code`` as a shell gives it
    (128 + signal), None where it was still running. ``output`` is the last 8 KiB that it printed.
    """

    id: str
    status: Status
    exit_code: int | None
    output: str
    seconds: float


class Cell(Protocol):
    """A place where programs run one after the other."""

    def run(self, program: Program) -> Outcome:
        """Run one program. Raises SandboxError where the sandbox itself fails."""


@dataclass(frozen=True)
class Backend:
    """A sandbox that works here. ``name`` is a value of TOKKA_SANDBOX, ``found`` is for people."""

    name: str
    found: str
    cell: Callable[[Limits], AbstractContextManager[Cell]]


OPTIONS = ("-S", "-s", "-P", "-B")
"""Of the interpreter: no packages, nothing from the working folder, no bytecode."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "2",
}  # fmt: skip
"""The whole environment of a program. /tmp is the scratch folder."""


def prelude() -> str:
    """The text of what runs first in a program's process."""
    return Path(__file__).with_name("prelude.py").read_text(encoding="utf-8")


def given(program: Program, limits: Limits, uid: int | None, count_processes: bool) -> dict[str, Any]:
    """What the prelude reads. The token is new for each program: 128 random bits.

    ``count_processes``: processes are counted per user; not where a cgroup counts them.
    """
    numbers = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if count_processes:
        numbers["RLIMIT_NPROC"] = limits.processes
    return {"source": program.source, "token": secrets.token_hex(16), "limits": numbers, "uid": uid}


def outcome(program: Program, result: dict[str, Any], backend: str) -> Outcome:
    """Check what the supervisor reported. Raises SandboxError where the program was not started."""
    if result.get("status") not in STATUSES:
        said = str(result.get("output", "")).strip()[-500:]
        raise SandboxError(
            f"The sandbox ({backend}) did not start the program {program.id!r} (exit status {result.get('code')}): "
            f"{said or 'it said nothing'}. Nothing is known about the program. Very small limits do this too."
        )
    return Outcome(program.id, result["status"], result["code"], str(result["output"]), float(result["seconds"]))
