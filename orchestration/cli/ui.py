"""``tokka ui``."""

import os
import sys

from assets.recipe.load import PROJECT
from orchestration.cli.context import open_instance, open_profile
from orchestration.cli.output import err
from orchestration.instance import close_dead_runs
from orchestration.run_workers import requeue_lost_runs


def ui_command(port: int, lake: str | None, profile: str | None) -> None:
    """Replace this process by Dagster's webserver and daemon, on loopback."""
    open_profile(lake, name=profile)
    with open_instance() as instance:
        close_dead_runs(instance)
        requeue_lost_runs(instance)
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
