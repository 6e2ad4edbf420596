"""PostgreSQL as the database of Dagster's instance: connections that are kept, and a server that goes away and comes back."""

import logging
import time

import dagster as dg

_LOST = (
    *("closed the connection", "terminating connection", "could not receive data", "could not send data"),
    *(
        "connection already closed",
        "Connection refused",
        "the database system is",
        "too many retries for DB connection",
    ),
)
"""What PostgreSQL's client, and Dagster after its tries, say of a server that is away. A full disk is none of it."""
AWAY_SECONDS = 120.0
_FURTHER_CONNECTIONS = 20


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let this process keep its connection to the database instead of opening one for each statement, as Dagster does.

    PostgreSQL starts a process each time and checks the password by 4,096 rounds of SCRAM (its manual, ``scram_iterations``).
    Changes nothing on SQLite.
    """
    for storage in (instance.event_log_storage, instance.run_storage):
        # Dagster's own way for its web server; 0 is no bound on the time of a statement, -1 on the age of a connection.
        storage.optimize_for_webserver(statement_timeout=0, pool_recycle=-1, max_overflow=_FURTHER_CONNECTIONS)


class DatabaseAwayError(Exception):
    """The database went away within a step."""


def is_away(kind: str | None, message: str) -> bool:
    """Whether an error, by the name of its class and its message, says that the server of Dagster's database is away."""
    known = ("OperationalError", "InterfaceError", "DagsterPostgresException")
    return kind == DatabaseAwayError.__name__ or (kind in known and any(text in message for text in _LOST))


def await_database(instance: dg.DagsterInstance, error: Exception, seconds: float = AWAY_SECONDS) -> None:
    """Wait until the database that went away with ``error`` answers. Raises ``error`` where it does not in ``seconds``."""
    said = str(error).strip().splitlines()[0]
    logging.getLogger(__name__).warning(
        "The database of Dagster's instance went away (%s). Waiting for it, at most %.0f s.", said, seconds
    )
    deadline = time.monotonic() + seconds
    while True:
        try:
            instance.get_runs_count()
            return
        except Exception as again:
            if not is_away(type(again).__name__, str(again)) or time.monotonic() > deadline:
                raise error from again
        time.sleep(1)
