"""Jobs as processes on this machine.

A job is a process group in a session of its own, so it outlives the process that started it, and any process of this
machine finds it again, long after it has ended as well (see ``records``).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from assets.recipe.jobs import JobRequest, JobStatus
from assets.recipe.launchers import LocalOptions
from assets.recipe.reliability import KILLED
from training_jobs.launchers import records
from training_jobs.launchers.records import WRAPPER, RecordedJobs

RANK_VARIABLES = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("TOKKA_NODES", "TOKKA_NODE", "TOKKA_WORLD_SIZE"),
)

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What the drivers of NVIDIA and AMD, and Windows' under Linux, make where there is a GPU."""


def has_gpu() -> bool:
    """Whether jobs on this machine may work on a GPU; known without loading torch."""
    return any(Path(device).exists() for device in _GPU_DEVICES)


@dataclass(frozen=True)
class Process:
    """A process that cannot be taken for a later one of the same pid.

    ``started`` is its start time in clock ticks since ``boot``, an id of this start of the machine.
    """

    pid: int
    started: int
    boot: str


@dataclass
class LocalLauncher(RecordedJobs):
    """Launcher for this machine."""

    options: LocalOptions = LocalOptions()  # noqa: RUF009 - frozen
    name: str = "local"

    def submit(self, request: JobRequest) -> str:
        """Start a job; its output goes to ``request.log``, and its record and events beside it."""
        path, record = self.new_record(request)
        threads = self.options.threads or max(1, (os.cpu_count() or 1) // request.ranks)
        # A fresh start: ranks of an outer job must not be taken for those of this one.
        outer = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
        environment = {
            **outer,
            "GLOO_SOCKET_IFNAME": "lo",
            **records.job_environment(request, str(path), self.options, threads),
        }
        process = subprocess.Popen(
            ["/bin/sh", "-c", WRAPPER, "sh", *records.module_command(sys.executable, request, request.ranks)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        fields = _stat(process.pid)
        assert fields is not None, "an unreaped child has an entry in /proc"
        native = f"{process.pid} {fields[19]} {_boot()}"
        records.write_record(path, record.model_copy(update={"native": native}))
        return str(path)

    def poll(self, job: str) -> JobStatus:
        """State of a job, without waiting."""
        process = _process(job)
        status = records.ended(job)
        if status is None and _alive(process):
            return JobStatus(state="running")
        # The end may have been written between the two looks.
        return status or records.ended(job) or JobStatus(state="failed", exit_code=KILLED, reason="it was killed")

    def cancel(self, job: str) -> None:
        """End a job with everything it started: SIGTERM to its group, SIGKILL to what is left after the grace."""
        process = _process(job)
        deadline = time.monotonic() + self.options.grace_seconds
        if _alive(process):
            _signal_group(process.pid, signal.SIGTERM)
        while _alive(process):
            if time.monotonic() > deadline:
                _signal_group(process.pid, signal.SIGKILL)
            time.sleep(0.05)


def _process(job: str) -> Process:
    pid, started, boot = [*records.read_record(job).native.split(), ""][:3]
    return Process(int(pid), int(started), boot)


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


def _alive(process: Process) -> bool:
    """Whether the job's first process, or another one of its group, runs. Reaps the first where it was started here."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    if process.boot != _boot():
        return False
    leader = _stat(process.pid)
    if leader is not None and int(leader[19]) != process.started:
        return False  # another process has the pid now, which the kernel gives away only when the group is empty
    if leader is not None and leader[0] != "Z":
        return True
    members = (_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit())
    return any(fields and int(fields[2]) == process.pid and fields[0] != "Z" for fields in members)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
