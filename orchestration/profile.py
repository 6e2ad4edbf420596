"""The profile: where things run and lie. It never decides a result; the recipe does."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from assets.lake import Lake
from assets.recipe.load import PROJECT

if TYPE_CHECKING:
    from assets.recipe.jobs import Launcher

LAUNCHERS = ("local",)


def home() -> Path:
    """The folder for everything that Tokka keeps on this machine: ``TOKKA_HOME``, by default ``.tokka`` in the project."""
    return Path(os.environ.get("TOKKA_HOME", PROJECT / ".tokka")).expanduser().resolve()


def default_lake() -> str:
    """The lake's URI: ``TOKKA_LAKE``, by default the folder ``lake`` in the home."""
    return os.environ.get("TOKKA_LAKE", str(home() / "lake"))


class Profile(dg.ConfigurableResource):
    """Lake, launcher and data engine of this deployment, as a Dagster resource."""

    lake_uri: str
    launcher_name: str
    data_engine: str
    scratch_folder: str

    @classmethod
    def from_environment(cls) -> "Profile":
        """The profile that ``TOKKA_LAKE``, ``TOKKA_LAUNCHER``, ``TOKKA_DATA_ENGINE`` and ``TOKKA_HOME`` describe."""
        return cls(
            lake_uri=default_lake(),
            launcher_name=os.environ.get("TOKKA_LAUNCHER", "local"),
            data_engine=os.environ.get("TOKKA_DATA_ENGINE", "native"),
            scratch_folder=str(home() / "scratch"),
        )

    @property
    def lake(self) -> Lake:
        return Lake.open(self.lake_uri)

    def launcher(self) -> "Launcher":
        """The launcher of that name. Raises ValueError that lists the names there are."""
        if self.launcher_name == "local":
            from training_jobs.launchers.local import LocalLauncher

            return LocalLauncher()
        raise ValueError(f"There is no launcher {self.launcher_name!r}; the launchers are: {', '.join(LAUNCHERS)}.")

    def scratch(self, asset: str, key: str, version: str) -> Path:
        """A local folder for one version's work in progress; it outlives a killed process."""
        folder = Path(self.scratch_folder) / asset / key / version
        folder.mkdir(parents=True, exist_ok=True)
        return folder
