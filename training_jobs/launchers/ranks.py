"""Start a job's ranks on this machine: ``python -m training_jobs.launchers.ranks 2 training_jobs.pretrain spec.json``.

It gives each rank the variables that torchrun gives (RANK, WORLD_SIZE, MASTER_ADDR ...). A job on several nodes runs it once
per node, with ``TOKKA_NODES``, MASTER_ADDR and MASTER_PORT set by the launcher; the node's number is ``TOKKA_NODE``, or what
Slurm or an indexed Kubernetes Job calls it. On a single node the ranks meet on loopback.

It starts in a tenth of a second because it does not import torch, and it ends with the exit code of the first rank that
failed, where torchrun always ends with 1. Where a rank fails, the others are ended.
"""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

GRACE_SECONDS = 10.0
LEAVING_SECONDS = 60.0
"""Time that ranks that are asked to leave have to end their step and save their state, unless TOKKA_LEAVING_SECONDS says."""
PREEMPTED = os.EX_TEMPFAIL
"""Exit code of ranks that were asked to leave, have saved their state, and go on where they are started again."""
LAST_WORDS_SECONDS = 3.0
POLL_SECONDS = 0.1
NODE_NUMBER = ("TOKKA_NODE", "SLURM_NODEID", "JOB_COMPLETION_INDEX")
PORTS = range(10_000, 32_768)
"""Where ranks of one node meet: below the ports that Linux gives to connections on their way out (ip_local_port_range)."""
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at the moment. Raises OSError where there is none."""
    # The first rank takes it seconds later: one of those that the kernel gives out could be another's by then.
    ports = random.SystemRandom().sample(PORTS, 1_000)
    for port in ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"Of {len(ports)} ports of 127.0.0.1 from {PORTS.start} to {PORTS.stop - 1}, none is free.")


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent goes, so that a killed parent leaves no rank behind (Linux)."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def meeting_point(ranks: int) -> dict[str, str]:
    """The variables that all ranks of this node share, ``ranks`` of them. Raises ValueError for a node without a number."""
    nodes = int(os.environ.get("TOKKA_NODES", "1"))
    node, place = 0, {"MASTER_ADDR": "127.0.0.1"}
    if nodes > 1:
        number = next((os.environ[name] for name in NODE_NUMBER if name in os.environ), None)
        if number is None or not 0 <= int(number) < nodes:
            raise ValueError(
                f"This is one of {nodes} nodes, but none of {', '.join(NODE_NUMBER)} says which: {number}."
            )
        node = int(number)
        place = {name: os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT")}
    else:
        place["MASTER_PORT"] = str(free_port())
    return {
        **place,
        "WORLD_SIZE": str(ranks * nodes),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_RANK": str(node),
    }


def start_ranks(ranks: int, command: list[str]) -> list[subprocess.Popen[bytes]]:
    """Start ``command`` once per rank of this node."""
    shared = meeting_point(ranks)
    # Libraries that find Slurm's variables take the task of this node for a rank.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    first = int(shared["GROUP_RANK"]) * ranks
    processes = []
    for local_rank in range(ranks):
        own = {"RANK": str(first + local_rank), "LOCAL_RANK": str(local_rank)}
        environment = {**outer, **shared, **own}
        processes.append(subprocess.Popen(command, env=environment, preexec_fn=_die_with_parent))  # noqa: PLW1509
    return processes


def end(processes: list[subprocess.Popen[bytes]], grace: float = GRACE_SECONDS) -> None:
    """End processes: SIGTERM, and SIGKILL after ``grace`` seconds."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def supervise(processes: list[subprocess.Popen[bytes]], asked: list[int]) -> int:
    """Wait for all ranks. Returns 0, or the exit code of the first rank that failed, after ending the others.

    ``asked`` gets the numbers of the signals by which this process is asked to leave: the ranks are asked in turn, and have
    TOKKA_LEAVING_SECONDS. A signal's handler does no more than that, since it may come while a rank is waited for.
    """
    while not asked:
        codes = [process.poll() for process in processes]
        failed = [code for code in codes if code]
        if failed:
            # Rank 0 may be about to say why, or may hang in a collective.
            deadline = time.monotonic() + LAST_WORDS_SECONDS
            while time.monotonic() < deadline and any(process.poll() is None for process in processes):
                time.sleep(POLL_SECONDS)
            end(processes)
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if None not in codes:
            return 0
        time.sleep(POLL_SECONDS)
    end(processes, float(os.environ.get("TOKKA_LEAVING_SECONDS", LEAVING_SECONDS)))
    codes = [process.returncode for process in processes]
    if PREEMPTED in codes:
        return PREEMPTED
    return 128 + asked[0] if any(codes) else 0


def note_failure(path: Path, code: int) -> None:
    """Keep the exit code of the first node that failed: the launcher sees only the codes of all, of which most were ended."""
    temporary = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    temporary.write_text(f"{code}\n", "utf-8")
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(temporary)
    temporary.unlink()


def main() -> None:
    """Entry point: number of ranks, module, and the module's arguments."""
    ranks, module, *arguments = sys.argv[1:]
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    processes = start_ranks(int(ranks), [sys.executable, "-m", module, *arguments])
    code = supervise(processes, asked)
    for number in (signal.SIGTERM, signal.SIGINT):  # a signal that comes now must not become the exit code
        signal.signal(number, signal.SIG_IGN)
    if code and not asked and "TOKKA_FAILED" in os.environ:
        note_failure(Path(os.environ["TOKKA_FAILED"]), code)
    sys.exit(code)


if __name__ == "__main__":
    main()
