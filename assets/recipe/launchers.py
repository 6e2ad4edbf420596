"""Settings of the launchers: where jobs run and with what means. They decide no result; the recipe does.

They stand in a profile (``infra/profiles``). Secrets never do: ``pass_environment`` names the variables that a job is given
from the environment of whoever starts it.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from assets.recipe.base import Config, Count, Positive

VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Folder = Annotated[str, StringConstraints(pattern=r"^/[^:\n]*$")]
Size = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[kmg]$")]
"""Memory in kibi-, mebi- or gibibytes: ``16g``."""
TimeLimit = Annotated[str, StringConstraints(pattern=r"^([0-9]+-)?[0-9]{1,2}:[0-9]{2}:[0-9]{2}$")]
KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]

_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|(^|_)API_?KEY|ACCESS_KEY", re.IGNORECASE)


class LauncherOptions(Config):
    """What all launchers can be told.

    ``threads`` per rank; by default the cores of a node, shared out over its ranks. Sums of floating-point numbers depend on
    it, so two runs are equal bit by bit only with the same number. ``interface`` is the network interface that ranks on
    different nodes speak over.
    """

    threads: Positive | None = Field(
        None, description="of a rank; by default a node's cores, shared out over its ranks"
    )
    gpus_per_rank: Count = Field(0, description="GPUs that a rank is given")
    interface: str | None = Field(None, description="network interface over which ranks on different nodes speak")
    variables: dict[VariableName, str] = Field(default_factory=dict, description="environment of a job; no secrets")
    pass_environment: tuple[VariableName, ...] = Field(
        (), description="variables that a job is given from the environment of whoever starts it"
    )
    poll_seconds: float = Field(1.0, gt=0, description="time between two looks at a job")
    grace_seconds: float = Field(60.0, gt=0, description="between SIGTERM and SIGKILL when a job is cancelled")

    @field_validator("variables")
    @classmethod
    def _no_secrets(cls, variables: dict[str, str]) -> dict[str, str]:
        for name in variables:
            if _SECRET.search(name):
                raise ValueError(
                    f"{name} looks like a secret, whose value must not stand in a file: "
                    f"set it in the environment and name it under pass_environment"
                )
        return variables


class LocalOptions(LauncherOptions):
    """Processes on this machine."""

    poll_seconds: float = Field(0.2, gt=0, description="time between two looks at a job")


class ImageOptions(LauncherOptions):
    """What launchers of images can be told besides. ``evaluation_image`` is for jobs of ``eval_jobs``, by default ``image``."""

    image: str = Field("tokka", min_length=1, description="name:tag or, better, name@sha256:digest")
    evaluation_image: str | None = Field(
        None, min_length=1, description="the image for jobs of `eval_jobs`; by default `image`"
    )
    python: str = Field("python3", description="the interpreter in the image")

    def image_for(self, module: str) -> str:
        """The image in which a job's module runs."""
        return self.evaluation_image or self.image if module.startswith("eval_jobs.") else self.image


class Mount(Config):
    """A folder of the host that a container sees under the same path."""

    path: Folder = Field(description="the folder, on the host and in the container")
    writable: bool = Field(False, description="whether jobs may write into it")


class DockerOptions(ImageOptions):
    """Containers of one Docker engine, the one that ``DOCKER_HOST`` names.

    ``user`` is ``uid:gid``, by default whoever starts the job; root is refused. ``network`` is ``none`` unless the lake is
    remote; name one that reaches it then.
    """

    user: Annotated[str, StringConstraints(pattern=r"^[0-9]+:[0-9]+$")] | None = Field(
        None, description="uid:gid, not root; by default whoever starts the job"
    )
    network: str = Field(
        "none", description="network of the engine that jobs are in; name one where the lake is remote"
    )
    cpus: float | None = Field(None, gt=0, description="processors that a container may use")
    memory: Size | None = Field(None, description="memory that a container may use")
    shared_memory: Size = Field("1g", description="size of /dev/shm")
    processes: Positive = Field(4096, description="processes of a container, at most")
    mounts: tuple[Mount, ...] = Field((), description="further folders that jobs see")
    poll_seconds: float = Field(0.5, gt=0, description="time between two looks at a job")

    @field_validator("user")
    @classmethod
    def _not_root(cls, user: str | None) -> str | None:
        if user is not None and user.split(":")[0] == "0":
            raise ValueError("jobs do not run as root in a container; name another uid:gid")
        return user


class SlurmOptions(LauncherOptions):
    """Batch jobs of the Slurm cluster whose ``sbatch`` is at hand.

    ``time`` is the limit of one attempt: ``warning_seconds`` before it the ranks get SIGTERM, save and leave, and the job is
    put back into the queue. ``setup`` are shell lines that the job starts with (``module load ...``).
    """

    python: str | None = Field(None, description="the interpreter on the nodes; by default the one that submits")
    partition: str | None = Field(None, description="Slurm's partition")
    account: str | None = Field(None, description="Slurm's account")
    qos: str | None = Field(None, description="Slurm's quality of service")
    time: TimeLimit | None = Field(None, description="limit of one attempt, as [days-]hours:minutes:seconds")
    warning_seconds: Positive = Field(
        180, description="time before the limit at which ranks are asked to save and leave"
    )
    ranks_per_node: Positive | None = Field(None, description="by default all ranks on one node")
    cpus_per_rank: Positive | None = Field(None, description="processors of a rank")
    memory_per_node: Size | None = Field(None, description="memory on each node")
    port: int = Field(20_000, gt=1023, lt=60_000, description="of rank 0; the job's number modulo 5,000 is added")
    array: Positive = Field(
        1, description="elements of the job array in which the tasks of an evaluation run; 1 is no array"
    )
    setup: tuple[str, ...] = Field((), description="shell lines that a job starts with, such as module load")
    sbatch: tuple[Annotated[str, StringConstraints(pattern=r"^--[a-z]")], ...] = Field(
        (), description="further options of sbatch"
    )
    poll_seconds: float = Field(5.0, gt=0, description="time between two looks at a job")


class Claim(Config):
    """A PersistentVolumeClaim and the path at which the orchestrator's machine has the same folder."""

    claim: KubernetesName = Field(description="name of the PersistentVolumeClaim")
    path: Folder = Field(description="where the orchestrator's machine has the same folder")


class KubernetesOptions(ImageOptions):
    """An indexed Job, rendered as manifests; see ``training_jobs.launchers.kubernetes``."""

    namespace: KubernetesName = Field("default", description="namespace of the Job")
    user: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*:[0-9]+$")] = Field(
        "10001:10001", description="uid:gid of the containers, not root"
    )
    ranks_per_node: Positive | None = Field(None, description="by default all ranks on one node")
    cpus: Positive | None = Field(None, description="processors of a node's pod")
    memory: Size | None = Field(None, description="memory of a node's pod")
    shared_memory: Size = Field("1g", description="size of /dev/shm")
    gpu_resource: str = Field("nvidia.com/gpu", description="the cluster's name of a GPU")
    node_selector: dict[str, str] = Field(default_factory=dict, description="labels of the nodes that are taken")
    volumes: tuple[Claim, ...] = Field((), description="claims that hold lake and scratch")
    secrets: tuple[KubernetesName, ...] = Field((), description="Secrets whose keys become environment variables")
    pass_environment: tuple[()] = Field((), description="values would stand in the manifest; use secrets")
    port: int = Field(29_400, gt=1023, lt=60_000, description="of rank 0")
    poll_seconds: float = Field(5.0, gt=0, description="time between two looks at a job")


class Launchers(Config):
    """The settings of each launcher that a profile has."""

    local: LocalOptions = Field(LocalOptions(), description="processes of this machine")
    docker: DockerOptions = Field(DockerOptions(), description="containers of one Docker engine")
    slurm: SlurmOptions = Field(SlurmOptions(), description="batch jobs of a Slurm cluster")
    kubernetes: KubernetesOptions = Field(KubernetesOptions(), description="manifests of indexed Jobs")


LauncherName = Literal["local", "docker", "slurm", "kubernetes"]
LAUNCHERS: tuple[LauncherName, ...] = ("local", "docker", "slurm", "kubernetes")
