"""Dagster's record of runs on one machine, at a fraction of the cost of a change.

Dagster's own storage opens SQLite's file for each statement. The last one who closes such a file writes all of it out and waits
for the disk, which for a run of one small partition happens some forty times. Here the file stays open; it is the same file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._core.storage.runs import SqliteRunStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine

from orchestration.sqlite import inode, kept_open


class RunStorage(SqliteRunStorage):
    """SqliteRunStorage that keeps its connections, as ``orchestration.event_log`` does and under the same conditions."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._opened: tuple[int, int, Engine] | None = None
        self._left: list[Engine] = []
        self._file = Path(conn_string.removeprefix("sqlite:///"))
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "RunStorage":
        """How Dagster makes it from what ``dagster.yaml`` says."""
        return cls.from_local(inst_data=inst_data, **config_value)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction on the file."""
        with self._engine().connect() as connection, connection.begin():
            yield connection

    def _engine(self) -> Engine:
        here = (os.getpid(), inode(self._file))
        if self._opened is not None and self._opened[:2] == here:
            return self._opened[2]
        if self._opened is not None:
            # Of a forked process, or of a file that was removed: kept and never used, since closing it could take others' locks.
            self._left.append(self._opened[2])
        engine = kept_open(self._conn_string)
        with engine.connect():
            self._opened = (os.getpid(), inode(self._file), engine)
        return engine

    def dispose(self) -> None:
        """Close the file."""
        super().dispose()
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[2].dispose()
            self._opened = None
