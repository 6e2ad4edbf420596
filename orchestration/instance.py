"""Dagster's instance: the event log that the UI and the command line share."""

import os
import shutil
from pathlib import Path

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
