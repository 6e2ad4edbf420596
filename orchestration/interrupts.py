"""Ctrl-C and SIGTERM while Dagster runs steps in this process: Dagster forgets one that comes while it ends a run."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_TOLD = frozenset({signal.SIGINT, signal.SIGTERM})


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the process has been told to end since the block began.

    Python writes the number of every signal that it handles into a pipe, whoever's handler stands at that moment. Signals
    come to the main thread; in any other, the function says no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    told = False

    def asked() -> bool:
        nonlocal told
        with suppress(BlockingIOError):
            told = told or not _TOLD.isdisjoint(os.read(read, 4096))
        return told

    try:
        yield asked
    finally:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)
