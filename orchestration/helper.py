"""A process that carries out groups of partitions beside the one that runs a recipe: ``python -m orchestration.helper FD``.

Dagster's own work, the gates and most stages keep one core busy each; partitions that do not need each other are made on
several. A helper is told what to do by a socket that only the two processes have, and ends with the process that started it.
"""

import os
import queue
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Literal

import dagster as dg

from assets.graph import BY_ASSET
from assets.recipe.catalog import Catalog
from orchestration.groups import Ended, JobFailure, run_group
from orchestration.instance import process_tags
from orchestration.plan import Due
from orchestration.profile import Profile

_Group = list[tuple[str, str]]
_GONE = (EOFError, OSError)
"""What a link raises once either of its ends is closed."""


class Helper:
    """A helper of this process. It is started at once and takes some seconds until it can work."""

    def __init__(self, catalog: Catalog, profile: Profile, instance: dg.DagsterInstance) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestration.helper", str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C in a terminal comes to this process, which says it to its helpers.
                start_new_session=True,
            )
        self._link = Connection(os.dup(self._socket.fileno()))
        self._told = (catalog, profile, instance.get_ref())
        self._state: Literal["started", "ready", "gone"] = "started"

    def ready(self) -> bool:
        """Wait until the helper can work; False where it is gone."""
        if self._state == "started":
            try:
                self._link.send(self._told)
                self._state = self._link.recv()
            except _GONE:
                self._state = "gone"
        return self._state == "ready"

    def run_group(self, group: list[Due], tags: dict[str, str]) -> list[Ended]:
        """What ``orchestration.groups.run_group`` does, in the helper. A helper that was killed meanwhile is a failure."""
        try:
            self._link.send(([(item.stage.asset, item.key) for item in group], tags))
            said = self._link.recv()
        except _GONE:
            self._state = "gone"
            code = self._process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            message = f"The process that made it {how}. The same command goes on from what is finished."
            return [JobFailure(group[0].stage.asset, group[0].key, message)]
        if isinstance(said, BaseException):
            raise said
        assert isinstance(said, list)
        return said

    def interrupt(self) -> None:
        """Let it end the group that it is at, as Ctrl-C does: jobs are cancelled."""
        self._process.terminate()

    def close(self) -> None:
        """End it. A helper whose link is closed leaves at once, and so does a thread of this process that waits for it."""
        with suppress(OSError), self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait()


def _listen(link: Connection, asked: "queue.SimpleQueue[tuple[_Group, dict[str, str]]]") -> None:
    """Pass on what the other process asks for. Where it is gone, or done, this one leaves in the middle of whatever it does."""
    while True:
        try:
            asked.put(link.recv())
        except _GONE:
            os._exit(0)


def _answer(
    definitions: dg.Definitions, profile: Profile, instance: dg.DagsterInstance, group: _Group, tags: dict[str, str]
) -> list[Ended] | BaseException:
    due = [Due(BY_ASSET[asset], key, "", ()) for asset, key in group]
    try:
        return run_group(definitions, profile, instance, due, {**tags, **process_tags()})
    except (Exception, KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
        except Exception:  # an error that cannot be sent is told by its message
            return RuntimeError(f"{type(error).__name__}: {error}")
        return error


def main(fd: int) -> None:
    """Do what is asked for by the socket ``fd``, until it is closed."""
    from orchestration.build import build_definitions
    from orchestration.database import keep_connections
    from orchestration.interrupts import interrupts

    link = Connection(fd)
    catalog, profile, ref = link.recv()
    asked: queue.SimpleQueue[tuple[_Group, dict[str, str]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(link, asked), daemon=True).start()
    definitions = build_definitions(catalog, profile)
    # Between two groups a signal is a KeyboardInterrupt, by Dagster's handlers.
    with suppress(KeyboardInterrupt), dg.DagsterInstance.from_ref(ref) as instance, interrupts() as told_to_end:
        keep_connections(instance)
        link.send("ready")
        while True:
            answer = _answer(definitions, profile, instance, *asked.get())
            link.send(dg.DagsterExecutionInterruptedError() if told_to_end() else answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
