"""SQLite's files of Dagster on one machine: how they are held open."""

from pathlib import Path
from typing import Any

from dagster._core.storage.event_log.sqlite.sqlite_event_log import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool


def kept_open(address: str) -> Engine:
    """A file that stays open: one connection is kept, for whatever thread; further ones last as long as they are used.

    A commit does not wait for the disk. What a killed process has committed is there all the same; when the power fails, the
    last changes may be missing and the file is whole, and what was made is in the lake.
    """
    engine = create_engine(
        address,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _not_waiting)
    return engine


def _not_waiting(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def inode(path: Path) -> int:
    """The inode of a file, by which another one in its place is noticed; 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
