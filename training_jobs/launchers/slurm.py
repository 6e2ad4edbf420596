"""Jobs of a Slurm cluster: a batch script per job, which needs nothing of Tokka but the installed package on the nodes.

All that is known of a job lies in its folder and with Slurm, so nothing of Tokka has to run on the login node. The script puts
the job back into the queue at its time limit and after the exit codes of ``JobRequest.restarts``; Slurm does so when a
node goes.
"""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from assets.recipe.jobs import JobCost, JobRequest, JobStatus
from assets.recipe.launchers import SlurmOptions
from assets.recipe.reliability import KILLED
from training_jobs.launchers import records
from training_jobs.launchers.nodes import per_node
from training_jobs.launchers.records import RecordedJobs

# What a job on a node needs of the shell that submits it; secrets only where the profile names them.
PASSED = ("HOME", "USER", "PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "SLURM_CONF", "TOKKA_CACHE")
PORTS = 5_000
_COMMAND_SECONDS = 60
_QUEUED = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "STAGE_OUT", "STOPPED", "SUSPENDED", "SIGNALING", "RESIZING")

# Signals reach the batch shell alone (B:), which asks the ranks to leave and then knows why they left.
SCRIPT = """\
#!/bin/bash
{directives}
{setup}
{exports}
{part}
say() {{ echo "$1 $(date +%s.%N)${{2:+ $2}}" >> "$TOKKA_EVENTS"; }}
export TOKKA_NODES=$SLURM_JOB_NUM_NODES MASTER_PORT=$(({port} + SLURM_JOB_ID % {ports}))
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_ADDR=$(scontrol show node "$first" | grep -o 'NodeAddr=[^ ]*' | cut -d= -f2)
export MASTER_ADDR
limit=
trap 'limit=1; echo "the time limit is near: asking the ranks to leave"; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
export TOKKA_FAILED=${{TOKKA_EVENTS%.events}}.failed
rm -f "$TOKKA_FAILED"
# Slurm repeats a signal to a node that did not answer, up to minutes later and to whatever step has the number then: an attempt
# must not have the step number of the one before.
[ $((${{SLURM_RESTART_COUNT:-0}} % 2)) = 0 ] || srun --nodes=1 --ntasks=1 true
say started
srun --export=ALL --kill-on-bad-exit=1 --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 {command} &
step=$!
while wait $step; code=$?; kill -0 $step 2>/dev/null; do :; done
[ $code = 0 ] || [ ! -s "$TOKKA_FAILED" ] || code=$(cat "$TOKKA_FAILED")
again=
if [ $code != 0 ]; then
  [ -z "$limit" ] || again=1
  case $code in
{restarts}
  esac
fi
if [ -n "$again" ]; then
  say paused $code
  # Slurm ends this script and starts it again. It may have seen a lost node itself and have put the job back already.
  scontrol requeue "$SLURM_JOB_ID" || [ "$(squeue -h -j "$SLURM_JOB_ID" -o %T)" != RUNNING ] && sleep 60
fi
say ended $code
exit $code
"""


# An element of an array says of itself what no one reads but people: the job's events are the job's alone.
PART = """\
export TOKKA_PART=$SLURM_ARRAY_TASK_ID/{elements}
export TOKKA_EVENTS=${{TOKKA_EVENTS%.events}}.part-$SLURM_ARRAY_TASK_ID.events"""


class SlurmError(RuntimeError):
    """A command of Slurm failed. The message holds what it said."""


class SlurmMissingError(SlurmError):
    """Slurm's commands are not on this machine."""


class Entry(NamedTuple):
    """A job as Slurm's queue shows it."""

    state: str
    reason: str


@dataclass
class SlurmLauncher(RecordedJobs):
    """Launcher for the cluster whose commands are on the PATH (and which ``SLURM_CONF`` may name)."""

    options: SlurmOptions = SlurmOptions()  # noqa: RUF009 - frozen
    name: str = "slurm"

    def submit(self, request: JobRequest) -> str:
        """Hand the job's script to sbatch. The script stays beside the log, and so does the job's number.

        Where the job has parts and the options an array, the array runs first and the job after it, for what is missing then.
        """
        path, record = self.new_record(request)
        elements = min(self.options.array, request.parts)
        if elements > 1:
            number = _sbatch(path.with_suffix(".array.sh"), self.script(request, str(path), record.key, elements))
            record = record.model_copy(update={"array": number})
        records.write_record(path, record)
        number = _sbatch(path.with_suffix(".sh"), self.script(request, str(path), record.key, after=record.array))
        records.write_record(path, record.model_copy(update={"native": number}))
        return str(path)

    def script(self, request: JobRequest, job: str, key: str, elements: int = 1, after: str = "") -> str:
        """The batch script of a request, or of the array of its ``elements``; ``after``: the array it waits for."""
        options = self.options
        nodes, ranks = per_node(request, options.ranks_per_node)
        cores = options.cpus_per_rank * ranks if options.cpus_per_rank else None
        threads = options.threads or options.cpus_per_rank or max(1, (os.cpu_count() or 1) // ranks)
        environment = records.job_environment(request, job, options, threads)
        environment["TOKKA_LEAVING_SECONDS"] = f"{0.8 * min(options.warning_seconds, options.grace_seconds):g}"
        directives = {
            "job-name": request.name,
            "comment": f"tokka:{key}" + (":array" if elements > 1 else ""),
            "array": f"0-{elements - 1}" if elements > 1 else None,
            "dependency": f"afterany:{after}" if after else None,
            "chdir": str(request.log.resolve().parent),
            "output": str(request.log.resolve()).replace("%", "%%") + (".part-%a" if elements > 1 else ""),
            "open-mode": "append",
            "nodes": str(nodes),
            "ntasks-per-node": "1",
            "cpus-per-task": str(cores) if cores else None,
            "mem": options.memory_per_node.upper() if options.memory_per_node else None,
            "gpus-per-node": str(ranks * options.gpus_per_rank) if options.gpus_per_rank else None,
            "partition": options.partition,
            "account": options.account,
            "qos": options.qos,
            "time": options.time,
            "signal": f"B:USR1@{options.warning_seconds}",
            "export": ",".join([*(name for name in PASSED if name in os.environ), *options.pass_environment]),
        }
        lines = [f"#SBATCH --{name}={value}" for name, value in directives.items() if value]
        lines += ["#SBATCH --requeue", *(f"#SBATCH {line}" for line in options.sbatch)]
        passed = {*options.pass_environment}
        if elements > 1:  # the orchestrator listens to the job alone
            environment = {name: v for name, v in environment.items() if not name.startswith("DAGSTER_PIPES")}
        exports = [f"export {name}={shlex.quote(v)}" for name, v in environment.items() if name not in passed]
        restarts = [
            f'    {code}) [ "$(grep -c "^paused .* {code}$" "$TOKKA_EVENTS")" -ge {times} ] || again=1 ;;'
            for code, times in sorted(request.restarts.items())
        ]
        return SCRIPT.format(
            directives="\n".join(lines),
            setup="\n".join(options.setup),
            exports="\n".join(exports),
            part=PART.format(elements=elements) if elements > 1 else "",
            port=options.port,
            ports=PORTS,
            nodes=nodes,
            command=shlex.join(records.module_command(options.python or sys.executable, request, ranks)),
            restarts="\n".join(restarts or ["    *) ;;"]),
        )

    def poll(self, job: str) -> JobStatus:
        """State of a job, by its own account or else by Slurm's. While Slurm does not answer, a job counts as running."""
        record = records.read_record(job)
        status = records.ended(job)
        if status is not None:
            return status
        try:
            number = record.native or _find(record.key)
            entry = _entry(number) if number else None
        except SlurmMissingError:
            raise
        except SlurmError as error:
            return JobStatus(state="running", reason=f"Slurm does not answer ({error})")
        if entry and entry.state in _QUEUED:
            return JobStatus(state="queued", reason=f"job {number} waits in Slurm's queue ({entry.reason})")
        if entry and entry.state in _RUNNING:
            return JobStatus(state="running")
        if entry is None:
            reason = f"Slurm does not know job {number} any more" if number else "it was not submitted"
        else:
            reason = f"Slurm says {entry.state} of job {number}"
        # The end may have been written between the two looks.
        return records.ended(job) or JobStatus(state="failed", exit_code=KILLED, reason=reason)

    def cancel(self, job: str) -> None:
        """Ask the ranks to leave, and end the job after the grace period with all that is left of it."""
        record = records.read_record(job)
        number = record.native or _find(record.key)
        if number is None or self.poll(job).ended:
            return
        if record.array and _entry(record.array):
            _slurm("scancel", record.array)
        _slurm("scontrol", "update", f"JobId={number}", "Requeue=0")
        if self.poll(job).state == "running":
            _slurm("scancel", "--signal=TERM", number)
            self._wait(number, self.options.grace_seconds)
        if not self._wait(number, 0):
            _slurm("scancel", number)
            self._wait(number, self.options.grace_seconds)

    def _wait(self, number: str, seconds: float) -> bool:
        """Wait until Slurm has nothing left of a job; False where that takes longer."""
        deadline = time.monotonic() + seconds
        while (entry := _entry(number)) and entry.state in (*_QUEUED, *_RUNNING):
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(0.2, self.options.poll_seconds))
        return True

    def cost(self, job: str) -> JobCost:
        """What a job and its array have taken: by Slurm's accounting where the cluster has one, else by the job's own account."""
        record = records.read_record(job)
        try:
            elapsed = _elapsed(record.native)
            of_array = _elapsed(record.array)
        except SlurmError:  # the cluster keeps no accounts
            elapsed = []
        if not elapsed:
            return super().cost(job)
        return JobCost(
            seconds=sum(elapsed + of_array),
            ranks=record.ranks,
            gpus=record.gpus,
            attempts=len(elapsed),
            source="sacct",
        )


def _slurm(*command: str) -> str:
    """Run a command of Slurm and return what it prints. Raises SlurmError."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_COMMAND_SECONDS
        )
    except FileNotFoundError as error:
        raise SlurmMissingError(
            f"there is no {command[0]} on the PATH: the launcher slurm needs Slurm's commands on the machine that submits"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{command[0]} has not answered for {_COMMAND_SECONDS} s") from error
    if done.returncode:
        raise SlurmError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[:500]}")
    return done.stdout


def _sbatch(path: Path, script: str) -> str:
    """Write a batch script, hand it in, and return the job's number."""
    path.write_text(script, "utf-8")
    return _slurm("sbatch", "--parsable", str(path)).strip().split(";")[0]


def _elapsed(number: str) -> list[int]:
    """The seconds of each attempt of a job, or of each element of an array."""
    said = _slurm("sacct", "-n", "-P", "-X", "-D", "-j", number, "-o", "ElapsedRaw") if number else ""
    return [int(line) for line in said.split() if line.isdigit()]


def _entry(number: str) -> Entry | None:
    """The job in Slurm's queue, or None where it is not there any more."""
    try:
        said = _slurm("squeue", "-h", "-t", "all", "-j", number, "-o", "%T|%r").strip()
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return None
        raise
    return Entry(*said.splitlines()[0].split("|", 1)) if said else None


def _find(key: str) -> str | None:
    """The number of the job with this key, which a killed process has submitted and not noted."""
    for line in _slurm("squeue", "-h", "-t", "all", "-o", "%A|%k").splitlines():
        number, _, comment = line.partition("|")
        if comment == f"tokka:{key}":
            return number
    return None
