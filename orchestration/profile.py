"""The profile: where things run and lie. It never decides a result; the recipe does.

A profile is a YAML file, ``infra/profiles/NAME.yaml`` or any path, named by ``TOKKA_PROFILE`` or ``--profile``. The command line
goes over the environment, the environment over the file, the file over the defaults.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from assets.lake import Lake
from assets.recipe.base import Config, Positive
from assets.recipe.cost import CostAssumptions
from assets.recipe.launchers import LAUNCHERS, LauncherName, Launchers
from assets.recipe.load import PROJECT, expand
from assets.recipe.operations import Operations
from assets.recipe.yaml_files import RecipeError, line_of, one_line, parse_yaml

if TYPE_CHECKING:
    from assets.recipe.jobs import Launcher

PROFILES = PROJECT / "infra" / "profiles"


class ProfileError(ValueError):
    """A profile cannot be used. The message is one line for a person."""


class ProfileFile(Config):
    """What a profile's file holds. Paths and URIs may name variables, ``${TOKKA_...}``.

    ``scratch`` is where work in progress lies; machines that run jobs see it, and a lake that is a folder, under the same path.
    ``cost`` is what turns the time of a job into energy and CO2, ``operations`` how the place is run by itself.
    """

    description: str = Field("", description="what the place is, for people")
    lake: str | None = Field(
        None, description="URI of the lake: a folder or s3://bucket/prefix; by default in TOKKA_HOME"
    )
    scratch: str | None = Field(
        None, description="folder for work in progress that every machine with jobs sees; by default in TOKKA_HOME"
    )
    data_engine: str = Field("native", description="what works on documents: native, or ray")
    processes: Positive | None = Field(
        None, description="in which `tokka run` makes partitions side by side; by default 2, of one core 1"
    )
    launcher: LauncherName = Field("local", description="where jobs run")
    launchers: Launchers = Field(Launchers(), description="settings of each launcher")
    cost: CostAssumptions = Field(CostAssumptions(), description="what turns time into energy and CO2")
    operations: Operations = Field(Operations(), description="sensors, freshness, alerts, retries")


def home() -> Path:
    """The folder for everything that Tokka keeps on this machine: ``TOKKA_HOME``, by default ``.tokka`` in the project."""
    return Path(os.environ.get("TOKKA_HOME", PROJECT / ".tokka")).expanduser().resolve()


def default_lake() -> str:
    """The lake's URI without a profile: ``TOKKA_LAKE``, by default the folder ``lake`` in the home."""
    return os.environ.get("TOKKA_LAKE", str(home() / "lake"))


def read_profile(name: str) -> ProfileFile:
    """The profile of that name, or in the file of that path. Raises ProfileError."""
    is_path = "/" in name or name.endswith((".yaml", ".yml"))
    path = Path(name).expanduser().resolve() if is_path else PROFILES / f"{name}.yaml"
    try:
        value = parse_yaml(path)
    except FileNotFoundError:
        there = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise ProfileError(f"there is no profile {path}; those of the project are: {there}.") from None
    except RecipeError as error:
        raise ProfileError(str(error)) from error
    try:
        return ProfileFile.model_validate(value or {})
    except ValidationError as error:
        first = error.errors()[0]
        key = one_line(".".join(str(part) for part in first["loc"])) or "the profile"
        unknown = first["type"] == "extra_forbidden"
        # What stands under pass_environment or variables by mistake may be a secret, so values are not shown.
        said = "is not a known key" if unknown else one_line(first["msg"].removeprefix("Value error, "))
        raise ProfileError(f"{path}, line {line_of(path, first['loc'])}: {key}: {said}.") from error


def _processes(said: int | None) -> int:
    """The number of processes that make partitions. Raises ProfileError."""
    text = os.environ.get("TOKKA_PROCESSES")
    if text is None:
        return said or min(2, os.cpu_count() or 1)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ProfileError(f"TOKKA_PROCESSES is {text!r}; it has to be a whole number from 1.")
    return int(text)


class Profile(Config):
    """Lake, launchers, data engine and operations of this deployment; what turns time into energy and CO2."""

    lake_uri: str
    launcher_name: str
    launchers: Launchers = Launchers()
    assumptions: CostAssumptions = CostAssumptions()
    operations: Operations = Operations()
    data_engine: str
    scratch_folder: str
    processes: Positive = 1

    @classmethod
    def from_environment(cls) -> "Profile":
        """The profile that ``TOKKA_PROFILE`` names, under what ``TOKKA_LAKE``, ``TOKKA_LAUNCHER``, ``TOKKA_DATA_ENGINE``,
        ``TOKKA_PROCESSES``, ``TOKKA_HOME`` and the variables of ``CostAssumptions`` say. Raises ProfileError.
        """
        name = os.environ.get("TOKKA_PROFILE")
        file = read_profile(name) if name else ProfileFile()
        try:
            cost = CostAssumptions.from_environment(file.cost)
        except ValueError as error:
            raise ProfileError(str(error)) from error
        lake = os.environ.get("TOKKA_LAKE") or (expand(file.lake) if file.lake else default_lake())
        return cls(
            lake_uri=lake,
            launcher_name=os.environ.get("TOKKA_LAUNCHER", file.launcher),
            launchers=file.launchers,
            assumptions=cost,
            operations=file.operations,
            data_engine=os.environ.get("TOKKA_DATA_ENGINE", file.data_engine),
            scratch_folder=expand(file.scratch) if file.scratch else str(home() / "scratch"),
            processes=_processes(file.processes),
        )

    @property
    def lake(self) -> Lake:
        return Lake.open(self.lake_uri)

    def launcher(self, name: str | None = None) -> "Launcher":
        """The launcher of that name, by default the profile's. Raises ValueError that lists the names there are."""
        name = name or self.launcher_name
        options = self.launchers
        match name:
            case "local":
                from training_jobs.launchers.local import LocalLauncher

                return LocalLauncher(options.local)
            case "docker":
                from training_jobs.launchers.docker import DockerLauncher

                return DockerLauncher(options.docker)
            case "slurm":
                from training_jobs.launchers.slurm import SlurmLauncher

                return SlurmLauncher(options.slurm)
            case "kubernetes":
                from training_jobs.launchers.kubernetes import KubernetesLauncher

                return KubernetesLauncher(options.kubernetes)
        raise ValueError(f"there is no launcher {name!r}; the launchers are: {', '.join(LAUNCHERS)}.")

    def scratch(self, asset: str, key: str, version: str) -> Path:
        """A folder for one version's work in progress; it outlives a killed process."""
        folder = Path(self.scratch_folder) / asset / key / version
        folder.mkdir(parents=True, exist_ok=True)
        return folder
