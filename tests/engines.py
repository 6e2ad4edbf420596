"""A real Docker engine, Podman and Slurm, started by the project's own scripts for tests, stopped by their process ids."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from assets.recipe.launchers import DockerOptions, Mount
from tests.workplace import let_others_through

ROOT = Path(__file__).parents[1]
USER = "12345:12345"
"""Root starts the tests and the engine; nothing in a container runs as root."""
Engine = TypeVar("Engine", "Slurm", "Docker")


def _script(name: str, *arguments: str, **environment: str) -> str:
    command = [str(ROOT / "infra" / name), *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def _require(*programs: str) -> None:
    if os.getuid():
        pytest.skip("starting this engine needs root")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (see .ci/run)")


@dataclass(frozen=True)
class Slurm:
    """A cluster of the nodes n1 and n2."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def kill_node(self, node: str) -> None:
        """End a node with everything that runs on it, at once."""
        _script("slurm/cluster.sh", "kill", str(self.folder), node)

    def start_node(self, node: str) -> None:
        _script("slurm/cluster.sh", "start", str(self.folder), node)


@dataclass(frozen=True)
class Docker:
    """An engine with an image from ``infra/docker/Dockerfile`` on a base of this machine's Debian packages.

    The image has Python; the tests' packages and the project are mounted into it, read-only.
    """

    folder: Path
    image: str

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.folder}/docker.sock"}

    def options(self, *more: Path) -> DockerOptions:
        """Options with the project, its packages and ``more`` folders in the container."""
        folders = [str(path) for path in (*more, ROOT, Path(sysconfig.get_paths()["purelib"]))]
        return DockerOptions(
            image=self.image,
            user=USER,
            mounts=tuple(Mount(path=folder) for folder in folders),
            variables={"PYTHONPATH": os.pathsep.join(folders)},
        )


def used(engine: Engine, patch: pytest.MonkeyPatch) -> Engine:
    """The engine, which this test's commands and clients find by its variables."""
    for name, value in engine.environment.items():
        patch.setenv(name, value)
    return engine


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    _require("slurmctld", "slurmd", "munged", "sbatch")
    folder = tmp_path_factory.mktemp("slurm")
    let_others_through(folder)  # the users of munge and of the database
    try:
        _script("slurm/cluster.sh", "up", str(folder))
        yield Slurm(folder)
    except RuntimeError as error:
        pytest.skip(f"Slurm does not start here: {error}")
    finally:
        _script("slurm/cluster.sh", "down", str(folder))


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    _require("dockerd", "docker")
    inside = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, text=True, check=False).stdout.split()
    if inside[-1:] == [] or not inside[-1].startswith(f"{sys.version_info.major}.{sys.version_info.minor}."):
        pytest.skip(
            f"the image has Debian's Python ({' '.join(inside)}), the tests' packages are for {sys.version[:4]}"
        )
    folder = tmp_path_factory.mktemp("docker")
    host = f"unix://{folder}/docker.sock"
    try:
        _script("docker/engine.sh", "up", str(folder))
    except RuntimeError as error:
        pytest.skip(f"the Docker engine does not start here: {error}")
    try:
        _script("docker/debian_base.sh", "tokka-base:test", DOCKER_HOST=host)
        yield Docker(folder, _build(host))
    finally:
        _script("docker/engine.sh", "down", str(folder))


@dataclass(frozen=True)
class Podman:
    """A Podman service with an image of this machine's Debian packages, which has Python."""

    folder: Path
    image: str

    @property
    def environment(self) -> dict[str, str]:
        return {"CONTAINER_HOST": f"unix://{self.folder}/podman.sock"}


@pytest.fixture(scope="session")
def podman_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    _require("podman", "docker")  # Docker's client imports the image
    folder = tmp_path_factory.mktemp("podman")
    try:
        _script("docker/podman.sh", "up", str(folder))
        _script("docker/debian_base.sh", "tokka-base:test", DOCKER_HOST=f"unix://{folder}/podman.sock")
        yield Podman(folder, "tokka-base:test")
    except RuntimeError as error:
        pytest.skip(f"Podman does not start here: {error}")
    finally:
        _script("docker/podman.sh", "down", str(folder))


def _build(host: str) -> str:
    """The project's image up to the stage that needs no package index."""
    import docker

    client = docker.DockerClient(base_url=host)
    try:
        image, _ = client.images.build(
            path=str(ROOT / "infra" / "docker"),
            dockerfile="Dockerfile",
            target="runtime",
            buildargs={"BASE_IMAGE": "tokka-base:test"},
            tag="tokka-runtime:test",
            rm=True,
        )
    finally:
        client.close()
    return image.tags[0]
