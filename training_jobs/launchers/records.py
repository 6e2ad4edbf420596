"""What launchers keep of a job: two small files beside its log, by which any process finds it again.

``NAME.log.KEY.job.json`` is the record, written before the job is started; its path is the job's id. ``NAME.log.KEY.job.events``
is written by the job itself, one line when it starts and one when it ends, so that its exit code and its seconds outlive
whatever ran it. Both lie in the job's folder, which the launcher's machine and the job's share.
"""

import os
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from assets.recipe.base import Config
from assets.recipe.jobs import JobCost, JobRequest, JobStatus
from assets.recipe.launchers import LauncherOptions
from assets.recipe.reliability import KILLED

_TAIL_BYTES = 256 * 1024

# Runs a job's command in a shell that outlives it: passes SIGTERM on, and notes start and end in the events' file. A container
# that ran out of memory is recognised by its own control group; of several nodes the code of the first that failed counts.
WRAPPER = """\
exec >> "$TOKKA_LOG" 2>&1
echo "started $(date +%s.%N)" >> "$TOKKA_EVENTS"
told= child=
trap 'told=1; kill -TERM $child 2> /dev/null' TERM
"$@" &
child=$!
[ -z "$told" ] || kill -TERM $child 2> /dev/null
while wait $child; code=$?; kill -0 $child 2> /dev/null; do :; done
word=ended
if [ -n "$TOKKA_MEMORY_LIMIT" ] && cd /sys/fs/cgroup; then
  grep -qs '^oom_kill [1-9]' memory.events memory/memory.oom_control && word=memory
fi
if [ $code != 0 ] && [ -s "$TOKKA_FAILED" ]; then code=$(cat "$TOKKA_FAILED"); fi
echo "$word $(date +%s.%N) $code" >> "$TOKKA_EVENTS"
exit $code
"""


class UnknownJobError(LookupError):
    """There is no job of this id."""


class Record(Config):
    """What is kept of a job. ``native`` is what the engine calls it; empty between the writing of the record and the start.

    ``image`` is the digest of the image that a container was started from, ``array`` what Slurm calls the job array before it.
    """

    launcher: str
    key: str
    name: str
    log: str
    ranks: int
    gpus: int
    submitted: float
    native: str = ""
    image: str = ""
    array: str = ""


@dataclass(frozen=True)
class Event:
    """A line of the events' file: ``started``, ``paused`` (it goes on later), ``ended`` or ``memory`` (it ran out of it)."""

    what: str
    time: float
    code: int | None


def write_record(path: Path, record: Record) -> None:
    """Write a record so that a reader sees all of it or nothing."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(record.model_dump_json(), "utf-8")
    temporary.replace(path)


def read_record(job: str) -> Record:
    """The record of a job. Raises UnknownJobError."""
    try:
        return Record.model_validate_json(Path(job).read_bytes())
    except (OSError, ValidationError) as error:
        raise UnknownJobError(f"{job} is not the id of a job: there is no record of it.") from error


def records(log: Path) -> Iterator[tuple[str, Record]]:
    """The jobs that wrote to ``log``, the latest first, each with its record."""
    found = []
    for path in log.resolve().parent.glob(f"{log.name}.*.job.json"):
        try:
            found.append((str(path), read_record(str(path))))
        except UnknownJobError:  # of another version of Tokka, or torn by a full disk
            continue
    yield from sorted(found, key=lambda pair: pair[1].submitted, reverse=True)


def events_path(job: str) -> Path:
    """The file of a job's events."""
    return Path(job).with_suffix(".events")


def events(job: str) -> list[Event]:
    """What the job has said of itself, in order; a torn line is left out."""
    try:
        lines = events_path(job).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        words = line.split()
        try:
            found.append(Event(words[0], float(words[1]), int(words[2]) if len(words) > 2 else None))
        except (IndexError, ValueError):
            continue
    return found


def ended(job: str) -> JobStatus | None:
    """How the job ended by its own account, or None where it has not said so."""
    said = events(job)
    if not said or said[-1].what not in ("ended", "memory") or said[-1].code is None:
        return None
    code = said[-1].code
    reason = "it ran out of the memory that the launcher allows" if said[-1].what == "memory" and code else ""
    return JobStatus(state="failed" if code else "succeeded", exit_code=code, reason=reason)


def ends(log: Path) -> Counter[int]:
    """How often the jobs that wrote to ``log`` have ended or paused with each exit code, once none of them runs any more.

    A job that has not said how it ended was killed.
    """
    found: Counter[int] = Counter()
    for job, _ in records(log):
        said = events(job)
        found.update(event.code for event in said if event.code is not None)
        if not said or said[-1].code is None:
            found[KILLED] += 1
    return found


def own_cost(job: str, running: bool) -> JobCost:
    """What the job has taken by its own account.

    An attempt that was killed says nothing of its end; it counts until the log's last line, or until the next attempt.
    """
    record, said = read_record(job), events(job)
    seconds, started = 0.0, None
    for event in said:
        if started is not None:
            seconds += max(0.0, event.time - started)  # the clock may have been set back
        started = event.time if event.what == "started" else None
    if started is not None:
        log = Path(record.log)
        until = time.time() if running or not log.exists() else log.stat().st_mtime
        seconds += max(0.0, until - started)
    attempts = sum(event.what == "started" for event in said)
    return JobCost(
        seconds=round(seconds, 3), ranks=record.ranks, gpus=record.gpus, attempts=attempts, source="own record"
    )


def tail(path: Path, lines: int) -> str:
    """The last lines of a file, of at most 256 KiB; nothing where there is no file."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "".join(text.splitlines(keepends=True)[-lines:])


def job_environment(request: JobRequest, job: str, options: LauncherOptions, threads: int) -> dict[str, str]:
    """The variables that every launcher gives a job, ``threads`` per rank; those of the request go over the profile's.

    Raises LookupError for a variable that shall be passed on and is not set.
    """
    missing = [name for name in options.pass_environment if name not in os.environ]
    if missing:
        raise LookupError(
            f"The profile passes {', '.join(missing)} on to jobs, but the environment does not have it. Set it, or take it out "
            "of pass_environment."
        )
    interface = {"GLOO_SOCKET_IFNAME": options.interface, "NCCL_SOCKET_IFNAME": options.interface}
    return {
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        **({name: value for name, value in interface.items() if value}),
        **{name: os.environ[name] for name in options.pass_environment},
        **options.variables,
        **request.environment,
        "TOKKA_LOG": str(request.log.resolve()),
        "TOKKA_EVENTS": str(events_path(job)),
        "TOKKA_LEAVING_SECONDS": f"{0.9 * options.grace_seconds:g}",
    }


def module_command(python: str, request: JobRequest, ranks: int) -> list[str]:
    """The command line of a job on one node, with ``ranks`` of its ranks (see ``ranks``)."""
    start = ["-m", "training_jobs.launchers.ranks", str(ranks)] if request.distributed else ["-m"]
    return [python, *start, request.module, str(request.spec.resolve())]


class RecordedJobs(ABC):
    """The half of a launcher that needs no engine: logs, cost and finding again, from a job's own files."""

    options: LauncherOptions
    name: str

    @property
    def poll_seconds(self) -> float:
        return self.options.poll_seconds

    def new_record(self, request: JobRequest) -> tuple[Path, Record]:
        """A record for a job that is about to be started, and its path; nothing is written yet."""
        log = request.log.resolve()
        log.parent.mkdir(parents=True, exist_ok=True)
        key = uuid.uuid4().hex[:12]
        record = Record(
            launcher=self.name,
            key=key,
            name=request.name,
            log=str(log),
            ranks=request.ranks,
            gpus=request.ranks * self.options.gpus_per_rank,
            submitted=time.time(),
        )
        return log.with_name(f"{log.name}.{key}.job.json"), record

    @abstractmethod
    def poll(self, job: str) -> JobStatus:
        """State of a job; each launcher's own."""

    def logs(self, job: str, lines: int = 40) -> str:
        """The last lines that the job printed."""
        return tail(Path(read_record(job).log), lines)

    def reattach(self, request: JobRequest) -> str | None:
        """The latest job of this launcher for the request that has not failed."""
        for job, record in records(request.log):
            if record.launcher == self.name and self.poll(job).state != "failed":
                return job
        return None

    def cost(self, job: str) -> JobCost:
        """What a job has taken, by its own account."""
        return own_cost(job, running=not self.poll(job).ended)
