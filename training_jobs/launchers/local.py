"""Jobs as processes on this machine.

A job is a process group in a session of its own, so it outlives the process that started it. Its id names a small JSON
file beside the log, by which any process of this machine finds it again, long after it has ended as well.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.recipe.jobs import JobRequest, JobStatus

# The shell writes the exit code where it survives the process, in one step; on SIGTERM it waits for the job to end.
_WRAPPER = (
    'trap : TERM; "$@"; code=$?; echo $code > "$TOKKA_EXIT.tmp" && mv "$TOKKA_EXIT.tmp" "$TOKKA_EXIT"; exit $code'
)


class UnknownJobError(LookupError):
    """No job of this id was started on this machine."""


@dataclass(frozen=True)
class Record:
    """What is kept of a job.

    ``started`` is the first process's start time in clock ticks since boot; with ``boot`` it tells the process apart
    from a later one that got the same pid.
    """

    pid: int
    started: int
    boot: str
    log: str
    exit: str


@dataclass
class LocalLauncher:
    """Launcher for this machine. ``threads``: per rank, by default the cores shared out over the ranks."""

    name: str = "local"
    threads: int | None = None
    grace_seconds: float = 15.0

    def submit(self, request: JobRequest) -> str:
        """Start a job; its output goes to ``request.log``, and its record and exit code beside it."""
        log = request.log.resolve()
        log.parent.mkdir(parents=True, exist_ok=True)
        record_path = log.with_name(f"{log.name}.{uuid.uuid4().hex[:12]}.job.json")
        exit_path = record_path.with_suffix(".exit")
        threads = self.threads or max(1, (os.cpu_count() or 1) // request.ranks)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "GLOO_SOCKET_IFNAME": "lo",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
            **request.environment,
            "TOKKA_EXIT": str(exit_path),
        }
        # A fresh start: ranks of an outer job must not be taken for those of this one.
        for name in (
            "RANK",
            "LOCAL_RANK",
            "GROUP_RANK",
            "WORLD_SIZE",
            "LOCAL_WORLD_SIZE",
            "MASTER_ADDR",
            "MASTER_PORT",
        ):
            if name not in request.environment:
                environment.pop(name, None)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _WRAPPER, "sh", *command(request)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        fields = _stat(process.pid)
        assert fields is not None, "an unreaped child has an entry in /proc"
        record = Record(process.pid, int(fields[19]), _boot(), str(log), str(exit_path))
        temporary = record_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(record.__dict__), "utf-8")
        temporary.replace(record_path)
        return str(record_path)

    def poll(self, job: str) -> JobStatus:
        """State of a job, without waiting."""
        record = _read(job)
        code = _exit_code(record)
        if code is None and _alive(record):
            return JobStatus(state="running")
        # The code may have been written between the two looks.
        code = _exit_code(record) if code is None else code
        if code is None:
            code = 128 + signal.SIGKILL
        return JobStatus(state="succeeded" if code == 0 else "failed", exit_code=code)

    def logs(self, job: str, lines: int = 40) -> str:
        """The last lines that the job printed."""
        try:
            with Path(_read(job).log).open(encoding="utf-8", errors="replace") as stream:
                return "".join(deque(stream, maxlen=lines))
        except FileNotFoundError:
            return ""

    def cancel(self, job: str) -> None:
        """End a job with everything it started: SIGTERM to its group, SIGKILL to what is left after the grace."""
        record = _read(job)
        deadline = time.monotonic() + self.grace_seconds
        if _alive(record):
            _signal_group(record.pid, signal.SIGTERM)
        while _alive(record):
            if time.monotonic() > deadline:
                _signal_group(record.pid, signal.SIGKILL)
            time.sleep(0.05)


def command(request: JobRequest) -> list[str]:
    """The command line of a job; distributed jobs get one process per rank (see ``ranks``)."""
    if request.distributed:
        start = ["-m", "training_jobs.launchers.ranks", str(request.ranks), request.module]
    else:
        start = ["-m", request.module]
    return [sys.executable, *start, str(request.spec.resolve())]


def _read(job: str) -> Record:
    try:
        fields: dict[str, Any] = json.loads(Path(job).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownJobError(f"{job} is not the id of a job that was started on this machine.") from error
    return Record(**fields)


def _exit_code(record: Record) -> int | None:
    try:
        return int(Path(record.exit).read_text("utf-8"))
    except FileNotFoundError:
        return None


def _boot() -> str:
    """An id of this start of the machine, or an empty text where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on (state, parent, group ...); None where there is no process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


def _alive(record: Record) -> bool:
    """Whether the job's first process, or another one of its group, runs. Reaps the first where it was started here."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    if record.boot != _boot():
        return False
    leader = _stat(record.pid)
    if leader is not None and int(leader[19]) != record.started:
        return False  # another process has the pid now, which the kernel gives away only when the group is empty
    if leader is not None and leader[0] != "Z":
        return True
    members = (_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit())
    return any(fields and int(fields[2]) == record.pid and fields[0] != "Z" for fields in members)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
