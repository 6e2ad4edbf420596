"""Runs generated programs where they can do no harm: in a container, or in namespaces made by bubblewrap.

``TOKKA_SANDBOX`` (docker, podman or bubblewrap) picks one; without it the first that works here is taken, in this order.
``TOKKA_SANDBOX_IMAGE`` names the image of the containers (``tokka`` without it): any with Python 3.11 or later as ``python3``.
The package needs the standard library, and the docker SDK for containers.
"""

import os
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from eval_jobs.sandbox.model import (
    Backend,
    Cell,
    Limits,
    Outcome,
    Program,
    SandboxError,
    SandboxUnavailableError,
)

__all__ = [
    "BACKENDS",
    "Backend",
    "Limits",
    "Outcome",
    "Program",
    "SandboxError",
    "SandboxUnavailableError",
    "available",
    "run_programs",
]

BACKENDS = ("docker", "podman", "bubblewrap")


def available(backend: str | None = None) -> Backend:
    """The sandbox to use: the named one, that of TOKKA_SANDBOX, or the first that works here.

    Raises SandboxUnavailableError with the reason of each that was tried, ValueError for a name that is none of ``BACKENDS``.
    """
    named = backend or os.environ.get("TOKKA_SANDBOX") or None
    if named is not None and named not in BACKENDS:
        raise ValueError(f"There is no sandbox {named!r} (TOKKA_SANDBOX); there are {', '.join(BACKENDS)}.")
    reasons = []
    for name in (named,) if named else BACKENDS:
        try:
            return _find(name)()
        except SandboxUnavailableError as error:
            reasons.append(f"{name}: {error}")
    raise SandboxUnavailableError(
        "Generated code is run only in a sandbox, and there is none here. "
        + "; ".join(reasons)
        + ". Install bubblewrap, or "
        "start a Docker engine or Podman's service and name an image with Python 3.11 or later in TOKKA_SANDBOX_IMAGE."
    )


def _find(name: str) -> Callable[[], Backend]:
    if name == "bubblewrap":
        from eval_jobs.sandbox import bubblewrap

        return bubblewrap.find
    from eval_jobs.sandbox import containers

    return lambda: containers.find(name)


def run_programs(
    programs: Sequence[Program], limits: Limits, backend: str | None = None, workers: int | None = None
) -> Iterator[Outcome]:
    """Run programs, ``workers`` (the processors of this process) at a time, and yield their outcomes in the same order.

    Each program runs in a fresh process under its own limits, and none can see or influence another. ``passed`` means that the
    last statement of the program was executed and that it ended with 0: ``sys.exit(0)`` or ``os._exit(0)`` before that is
    ``failed``. The limit of this: a program that searches its own process for the token of that proof finds it; no
    code that runs in the process of the tests can be kept from this.

    Raises SandboxUnavailableError where there is no sandbox (before anything has run), SandboxError where it stops working.
    """
    place = available(backend)
    count = max(1, min(workers or len(os.sched_getaffinity(0)), len(programs)))
    cells: queue.SimpleQueue[Cell] = queue.SimpleQueue()

    def run(program: Program) -> Outcome:
        cell = cells.get()
        try:
            return cell.run(program)
        finally:
            cells.put(cell)

    with ExitStack() as stack:
        for _ in range(count if programs else 0):
            cells.put(stack.enter_context(place.cell(limits)))
        pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="sandbox"))
        waiting: deque[Future[Outcome]] = deque()
        try:
            for program in programs:
                waiting.append(pool.submit(run, program))
                if len(waiting) >= 4 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
