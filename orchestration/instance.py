"""Dagster's instance: the event log that the UI and the command line share."""

import fcntl
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from assets.lake.files import is_alive
from assets.recipe.load import PROJECT
from orchestration.profile import home
from orchestration.secret_files import SecretFileError, read_secret_files

log = logging.getLogger(__name__)

SETTINGS = PROJECT / "infra" / "dagster" / "local.yaml"
POSTGRES_SETTINGS = PROJECT / "infra" / "dagster" / "postgres.yaml"
_STORAGE = """
event_log_storage:
  module: orchestration.event_log
  class: EventLog
  config:
    base_dir: {place}
run_storage:
  module: orchestration.run_storage
  class: RunStorage
  config:
    base_dir: {runs}
"""
POSTGRES_DEFAULTS = {
    "TOKKA_POSTGRES_PORT": "5432",
    "TOKKA_POSTGRES_USER": "tokka",
    "TOKKA_POSTGRES_DATABASE": "tokka",
}


def local_storage(folder: Path) -> str:
    """The settings of the storage in ``folder``, whose files are where Dagster's own storage has them."""
    runs = folder / "history"
    return _STORAGE.format(place=json.dumps(str(runs / "runs")), runs=json.dumps(str(runs)))


def dagster_home() -> Path:
    """The folder of the instance: ``DAGSTER_HOME``, or ``dagster`` in Tokka's home with the settings of ``infra/dagster``.

    With ``TOKKA_POSTGRES_HOST`` the instance is on PostgreSQL, whose password is in ``TOKKA_POSTGRES_PASSWORD`` or in the file
    that ``TOKKA_POSTGRES_PASSWORD_FILE`` names; the settings name the variable and never hold its value. Sets
    ``DAGSTER_HOME``, which Dagster and the processes that it starts read. Raises InstanceError.
    """
    if "DAGSTER_HOME" not in os.environ:
        folder = home() / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
        settings = SETTINGS.read_text("utf-8")
        if os.environ.get("TOKKA_POSTGRES_HOST"):
            settings += POSTGRES_SETTINGS.read_text("utf-8")
        else:
            settings += local_storage(folder)
        # Several processes may start at once, and none may read half a file.
        new = folder / f"dagster.yaml.{os.getpid()}"
        new.write_text(settings, "utf-8")
        new.replace(folder / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(folder)
    if os.environ.get("TOKKA_POSTGRES_HOST"):
        for name, value in POSTGRES_DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            read_secret_files()
        except SecretFileError as error:
            raise InstanceError(str(error)) from None
        if not os.environ.get("TOKKA_POSTGRES_PASSWORD"):
            raise InstanceError(
                "TOKKA_POSTGRES_HOST is set, and the password is missing: set TOKKA_POSTGRES_PASSWORD, or "
                "TOKKA_POSTGRES_PASSWORD_FILE to the path of a file that holds it."
            )
    return Path(os.environ["DAGSTER_HOME"])


def open_instance() -> dg.DagsterInstance:
    """Dagster's instance. Raises InstanceError where it is not to be had."""
    folder = dagster_home()
    try:
        with _alone(folder):
            return dg.DagsterInstance.get()
    except dg.DagsterInvariantViolationError as error:
        raise InstanceError(f"Dagster's instance cannot be opened: {error}") from error
    except Exception as error:
        # Dagster's own exception for this is in a library that only this storage needs, and its cause is what says why.
        if type(error).__name__ not in ("DagsterPostgresException", "OperationalError"):
            raise
        said = str(error.__cause__ or error).strip().splitlines()[0]
        host = os.environ.get("TOKKA_POSTGRES_HOST")
        if host is not None:
            place = f"PostgreSQL on {host}:{os.environ.get('TOKKA_POSTGRES_PORT', '')} (TOKKA_POSTGRES_HOST)"
        elif "already exists" in said:
            return dg.DagsterInstance.get()  # another process has made the tables at the same moment
        else:
            place = f"the database in {os.environ['DAGSTER_HOME']} (TOKKA_HOME)"
        raise InstanceError(
            f"{place[0].upper()}{place[1:]}, which holds Dagster's instance, does not answer: {said}"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the instance, which ends with the process: two that make its tables at once would make them twice."""
    if not folder.is_dir():
        yield
        return
    with (folder / ".opening").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class InstanceError(ValueError):
    """Dagster's instance cannot be opened. The message is one sentence for a person."""


HOST, PROCESS = "tokka/host", "tokka/process"
LOOK_SECONDS = 10.0
"""Between two looks for runs whose process is gone, while a run works or waits."""


def process_tags() -> dict[str, str]:
    """Tags that tell which process carries out a run. Dagster does not start it again: whoever started it does."""
    return {HOST: socket.gethostname(), PROCESS: str(os.getpid()), "dagster/max_retries": "0"}


def close_dead_runs(instance: dg.DagsterInstance, own: bool = False) -> int:
    """Mark runs as failed whose process on this machine is gone, and with ``own`` those of this process; return how many.

    A killed ``tokka run`` cannot say that it ended. Its run would stay "started" for ever, and hold a place in the queue.
    """
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    dead = [
        run
        for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished, tags={HOST: socket.gethostname()}))
        if not is_alive(process := int(run.tags.get(PROCESS, "0"))) or (own and process == os.getpid())
    ]
    for run in dead:
        instance.report_run_failed(
            run, "The process that carried out this run is gone, or lost the database. `tokka run` goes on from there."
        )
        # A killed process cannot give back its places in pools, for which the next run would wait.
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(dead)


@contextmanager
def closing_dead_runs(instance: dg.DagsterInstance, seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """``close_dead_runs`` every so many seconds as long as the block lasts.

    A run that is killed while another one waits for its place in a pool would otherwise keep it until the next command.
    """
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(seconds):
            try:
                close_dead_runs(instance)
            except Exception as error:  # a database that is away for a moment; the run itself says so, and waits
                log.info("Runs whose process is gone could not be looked for (%s).", error)

    looking = threading.Thread(target=look, name="closing_dead_runs", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
