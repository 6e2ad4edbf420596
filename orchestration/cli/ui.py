"""``tokka ui``."""

import os
import sys

import dagster as dg

from assets.recipe.load import PROJECT
from orchestration.cli.context import open_profile
from orchestration.cli.output import err
from orchestration.instance import close_dead_runs, dagster_home


def ui_command(port: int, lake: str | None) -> None:
    """Replace this process by Dagster's webserver and daemon, on loopback."""
    open_profile(lake)
    dagster_home()
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
    err.print(f"The Dagster UI opens on http://127.0.0.1:{port} (Ctrl-C ends it).")
    dagster = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-w",
        str(PROJECT / "workspace.yaml"),
    ]
    os.chdir(PROJECT)
    os.execv(sys.executable, dagster)
