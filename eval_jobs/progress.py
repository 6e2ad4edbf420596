"""How a job says where it stands: by Dagster Pipes where Dagster started it, else on stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """Takes log lines and the state of a count; ``seconds_left`` is None while nobody can tell."""

    def log(self, line: str) -> None: ...

    def report(self, done: int, total: int, seconds_left: float | None) -> None: ...


class _Stderr:
    def log(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def report(self, done: int, total: int, seconds_left: float | None) -> None:
        pass


class _Pipes:
    def __init__(self, context: Any) -> None:
        self.context = context

    def log(self, line: str) -> None:
        self.context.log.info(line)

    def report(self, done: int, total: int, seconds_left: float | None) -> None:
        self.context.report_custom_message(
            {"kind": "progress", "done": done, "total": total, "unit": "tasks", "seconds_left": seconds_left}
        )


@contextmanager
def open_progress() -> Iterator[Progress]:
    """The way to report progress, open until the block ends."""
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        yield _Stderr()
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as context:
        yield _Pipes(context)


def clock(seconds: float) -> str:
    """Seconds as ``0:12`` or ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
