"""Dagster's instance: the event log that the UI and the command line share."""

import os
import shutil
import socket
from pathlib import Path

import dagster as dg

from assets.lake.files import is_alive
from assets.recipe.load import PROJECT
from orchestration.profile import home

SETTINGS = PROJECT / "infra" / "dagster" / "local.yaml"


def dagster_home() -> Path:
    """The folder of the instance: ``DAGSTER_HOME``, or ``dagster`` in Tokka's home with the settings of ``infra/dagster``.

    Sets ``DAGSTER_HOME``, which Dagster and the processes that it starts read.
    """
    if "DAGSTER_HOME" not in os.environ:
        folder = home() / "dagster"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SETTINGS, folder / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(folder)
    return Path(os.environ["DAGSTER_HOME"])


HOST, PROCESS = "tokka/host", "tokka/process"


def process_tags() -> dict[str, str]:
    """Tags that tell which process carries out a run."""
    return {HOST: socket.gethostname(), PROCESS: str(os.getpid())}


def close_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose process on this machine is gone; return how many.

    A killed ``tokka run`` cannot say that it ended. Its run would stay "started" for ever, and hold a place in the queue.
    """
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    dead = [
        run
        for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished, tags={HOST: socket.gethostname()}))
        if not is_alive(int(run.tags.get(PROCESS, "0")))
    ]
    for run in dead:
        instance.report_run_failed(
            run, "The process that carried out this run is gone. `tokka run` goes on from there."
        )
    return len(dead)
