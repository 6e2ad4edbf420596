"""Dagster's event log on one machine, at a fraction of the cost of an event.

Dagster's own storage keeps a SQLite file for each run and one index over all of them, as this one does: the files are the same,
and either reads what the other has written. It opens a connection for each statement, however, and lays out the tables of each
run's file anew, which for a run of one small partition takes longer than its work. Here connections stay open, and a new file is
a copy.
"""

import os
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from orchestration.sqlite import inode, kept_open

OPEN_RUNS = 8
"""Runs whose files stay open, those used last."""


@dataclass(frozen=True)
class _Open:
    """An open file: its inode, by which another file in its place is noticed."""

    engine: Engine
    inode: int


class EventLog(SqliteEventLogStorage):
    """SqliteEventLogStorage that keeps its connections; ``base_dir`` is the folder of its files.

    Threads take turns, as they do with Dagster's own. SQLite's connections do not survive a fork, so a forked process opens
    its own. Nothing else of this process may open and close the files: that would take SQLite's locks on them away.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, _Open] = OrderedDict()
        self._process = os.getpid()
        self._inherited: list[OrderedDict[str, _Open]] = []
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "EventLog":
        """How Dagster makes it from what ``dagster.yaml`` says."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction on the index, or on the file of a run."""
        with self._db_lock:
            engine = self._engine(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():
            # Kept and never used: closing them here could take the other process' log away.
            self._inherited.append(self._engines)
            self._engines, self._process = OrderedDict(), os.getpid()
        path = Path(self.path_for_shard(shard))
        opened = self._engines.get(shard)
        if opened is not None and opened.inode == inode(path):
            self._engines.move_to_end(shard)
            return opened.engine
        if opened is not None:  # another file is in its place, or none
            self._close(shard)
            self._initialized_dbs.discard(shard)
        if shard != INDEX_SHARD_NAME and self._lay_out(path):
            self._initialized_dbs.add(shard)
        engine = kept_open(self.conn_string_for_shard(shard))  # whoever holds the lock uses it
        if shard not in self._initialized_dbs:
            self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
            self._initialized_dbs.add(shard)
        with engine.connect():  # the file is open from here on, and its inode is that of what is open
            self._engines[shard] = _Open(engine, inode(path))
        for old in [name for name in self._engines if name != INDEX_SHARD_NAME][:-OPEN_RUNS]:
            self._close(old)
        return engine

    def _lay_out(self, path: Path) -> bool:
        """Put a file with empty tables where there is none, and say so; of two processes that do it at once one is first."""
        if path.exists():
            return False
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
            new = Path(folder) / "run"
            with new.open("wb") as stream:
                stream.write(self._empty_tables)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(new, path)
            except FileExistsError:
                return False
        return True

    @cached_property
    def _empty_tables(self) -> bytes:
        """A run's file before its first event, as Dagster itself makes it."""
        with tempfile.TemporaryDirectory(prefix="tokka-tables-") as folder:
            engine = create_engine(create_db_conn_string(folder, "run"), poolclass=NullPool)
            self._initdb(engine)
            engine.dispose()
            path = Path(folder) / "run.db"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return path.read_bytes()

    def store_event(self, event: EventLogEntry) -> None:
        """Write an event, and show whoever watches the run's file that it has one more.

        What is written stands in SQLite's log beside the file as long as the connection is open, and Dagster's UI watches the
        file alone.
        """
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def _close(self, shard: str) -> None:
        opened = self._engines.pop(shard, None)
        if opened is not None:
            opened.engine.dispose()

    def dispose(self) -> None:
        """Close all files."""
        super().dispose()
        if self._process != os.getpid():
            return
        with self._db_lock:
            for shard in list(self._engines):
                self._close(shard)
