"""Start a job's ranks on this machine: ``python -m training_jobs.launchers.ranks 2 training_jobs.pretrain spec.json``.

It gives each rank the variables that torchrun gives (RANK, WORLD_SIZE, MASTER_ADDR ...) for one machine, on loopback.
It starts in a tenth of a second because it does not import torch, and it ends with the exit code of the first rank that
failed, where torchrun always ends with 1. Where a rank fails, the others are ended.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

GRACE_SECONDS = 10.0
LAST_WORDS_SECONDS = 3.0
POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent goes, so that a killed parent leaves no rank behind (Linux)."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start_ranks(ranks: int, command: list[str]) -> list[subprocess.Popen[bytes]]:
    """Start ``command`` once per rank."""
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_RANK": "0",
    }
    processes = []
    for rank in range(ranks):
        environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(subprocess.Popen(command, env=environment, preexec_fn=_die_with_parent))  # noqa: PLW1509
    return processes


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes: SIGTERM, and SIGKILL after a grace period."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def supervise(processes: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all ranks. Returns 0, or the exit code of the first rank that failed, after ending the others."""
    while True:
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


def main() -> None:
    """Entry point: number of ranks, module, and the module's arguments."""
    ranks, module, *arguments = sys.argv[1:]
    processes: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        end(processes)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    processes += start_ranks(int(ranks), [sys.executable, "-m", module, *arguments])
    sys.exit(supervise(processes))


if __name__ == "__main__":
    main()
