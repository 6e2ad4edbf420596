"""How a job's messages come home: through a file in the job's folder, wherever the job runs.

The job appends Dagster Pipes messages to ``NAME.messages.jsonl`` beside its log, and whoever runs the step follows the file. So
messages need no way back over the network, and a step that follows a job of an earlier, killed run goes on reading.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
from dagster_pipes import PipesDefaultMessageWriter, PipesParams

FOLLOW_SECONDS = 0.1
REPLAY_BYTES = 4096
"""How much of what was said before a step that finds a running job is told again: a few lines."""


def messages_path(log: Path) -> Path:
    """The file of the messages of a job with this log."""
    return log.with_suffix(".messages.jsonl")


def context_path(log: Path) -> Path:
    """The file that tells the job of a run with this log which Dagster run it belongs to."""
    return log.with_suffix(".context.json")


class FileMessages(dg.PipesMessageReader):
    """Follows the file at ``path``. With ``resume`` it is kept, and read from its last lines on."""

    def __init__(self, path: Path, resume: bool) -> None:
        self.path, self.resume = path, resume

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[PipesParams]:
        """Read in a thread until the block ends, and then what is still there."""
        if not self.resume or not self.path.exists():
            self.path.write_bytes(b"")
        over = Event()
        thread = Thread(target=self._handle, args=(handler, over), daemon=True)
        thread.start()
        try:
            yield {PipesDefaultMessageWriter.FILE_PATH_KEY: str(self.path)}
        finally:
            over.set()
            thread.join()

    def _handle(self, handler: Any, over: Event) -> None:
        try:
            for line in follow(self.path, over.is_set, REPLAY_BYTES if self.resume else None):
                handler.handle_message(json.loads(line))
        except Exception:
            # A message that cannot be read must not end the job; the run's log says what happened.
            handler.report_pipes_framework_exception("the reader of a job's messages", sys.exc_info())

    def no_messages_debug_text(self) -> str:
        return f"Messages were expected in {self.path}."


def follow(path: Path, is_over: Callable[[], bool], last_bytes: int | None = None) -> Iterator[bytes]:
    """Whole lines of a growing file, until ``is_over`` and no more are there.

    With ``last_bytes``, first the file's first line, which opens the protocol, and then only the lines that begin within the
    last so many bytes.
    """
    with path.open("rb") as stream:
        if last_bytes is not None:
            start = max(0, path.stat().st_size - last_bytes)
            first = stream.readline()
            if first.endswith(b"\n") and start > stream.tell():
                yield first
                stream.seek(start - 1)
                stream.readline()
            else:
                stream.seek(0)
        rest = b""
        while True:
            over = is_over()  # asked before reading, so that what was written before the end is read
            rest += stream.read()
            *lines, rest = rest.split(b"\n")
            yield from (line for line in lines if line)
            if over:
                return
            if not lines:
                time.sleep(FOLLOW_SECONDS)
