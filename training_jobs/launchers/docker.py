"""Jobs as containers of a Docker engine.

A container sees the folder of its job, what the request reads and writes, and what the profile mounts, each under the same path
as outside; it has no root, no capabilities, a root file system that it cannot write to, and no network unless the profile
names one. It goes when it has ended: its log, exit code and seconds lie in the job's folder (see ``records``).
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.recipe.jobs import JobRequest, JobStatus
from assets.recipe.launchers import DockerOptions
from assets.recipe.reliability import KILLED
from training_jobs.launchers import records
from training_jobs.launchers.records import WRAPPER, RecordedJobs

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "tokka.job"
_ENGINE_SECONDS = 60
_STOPPED = ("exited", "dead", "removing")


class DockerError(RuntimeError):
    """The Docker engine, or an image, is not to be had. The message is one sentence for a person."""


@dataclass
class DockerLauncher(RecordedJobs):
    """Launcher for the Docker engine that ``DOCKER_HOST`` names, by default the one of this machine."""

    options: DockerOptions = DockerOptions()  # noqa: RUF009 - frozen
    name: str = "docker"

    def submit(self, request: JobRequest) -> str:
        """Start a container with the job. Raises DockerError, and ValueError for a user that must not run it."""
        from docker.errors import NotFound

        user = self._user()
        path, record = self.new_record(request)
        with _engine() as engine:
            image = _image(engine, self.options.image_for(request.module))
            for folder in request.writes:
                folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                _give(request, user)
            record = record.model_copy(update={"image": image})
            records.write_record(path, record)
            container = engine.containers.create(**self.container(engine, request, str(path), record, user))
            records.write_record(path, record.model_copy(update={"native": container.id}))
            try:
                container.start()
            except BaseException:
                with contextlib.suppress(NotFound):  # what cannot be started the engine removes by itself
                    container.remove(force=True)
                raise
        return str(path)

    def _user(self) -> str:
        """The user that jobs run as: the profile's, or whoever starts them."""
        if self.options.user is None and os.getuid() == 0:
            raise ValueError(
                "Jobs do not run as root in a container, and root starts them: name a uid:gid under launchers.docker.user in "
                "the profile. The jobs' folders are given to it."
            )
        return self.options.user or f"{os.getuid()}:{os.getgid()}"

    def container(
        self, engine: "DockerClient", request: JobRequest, job: str, record: records.Record, user: str
    ) -> dict[str, Any]:
        """What the engine is asked to run, as arguments of docker-py's ``containers.create``."""
        from docker.types import DeviceRequest, LogConfig, Mount

        options = self.options
        threads = options.threads or max(1, int(options.cpus or engine.info()["NCPU"]) // request.ranks)
        folders = {os.path.abspath(folder): False for folder in request.reads}  # noqa: PTH100 - links keep their names
        folders |= {mount.path: mount.writable for mount in options.mounts}
        folders |= {os.path.abspath(folder): True for folder in (request.log.resolve().parent, *request.writes)}  # noqa: PTH100
        environment = {
            "GLOO_SOCKET_IFNAME": "lo",
            "HOME": "/tmp",
            "USER": "tokka",
            "LOGNAME": "tokka",
            "TOKKA_IMAGE": record.image,
            **({"TOKKA_MEMORY_LIMIT": options.memory} if options.memory else {}),
            **records.job_environment(request, job, options, threads),
        }
        gpus = [DeviceRequest(count=record.gpus, capabilities=[["gpu"]])] if record.gpus else []
        return {
            "image": record.image,
            "command": [
                "/bin/sh",
                "-c",
                WRAPPER,
                "sh",
                *records.module_command(options.python, request, request.ranks),
            ],
            "name": f"tokka-{re.sub('[^a-z0-9-]+', '-', request.name)}-{record.key}",
            "labels": {LABEL: record.key, "tokka.name": request.name},
            "environment": environment,
            "mounts": [Mount(path, path, type="bind", read_only=not writable) for path, writable in folders.items()],
            "working_dir": str(request.log.resolve().parent),
            "user": user,
            "detach": True,
            "init": True,
            "auto_remove": True,
            "network_mode": options.network,
            "mem_limit": options.memory,
            "memswap_limit": options.memory,
            "nano_cpus": int(options.cpus * 1e9) if options.cpus else None,
            "shm_size": options.shared_memory,
            "pids_limit": options.processes,
            "device_requests": gpus,
            "read_only": True,
            "tmpfs": {"/tmp": "exec,mode=1777"},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "log_config": LogConfig(type="none"),
        }

    def poll(self, job: str) -> JobStatus:
        """State of a job, by its own account or else by the engine's. While the engine does not answer, it counts as running."""
        record = records.read_record(job)
        status = records.ended(job)
        if status is not None:
            return status
        try:
            with _engine() as engine:
                container = _find(engine, record)
        except DockerError as error:
            return JobStatus(state="running", reason=str(error))
        late = time.time() - record.submitted > _ENGINE_SECONDS
        if container is not None and container.status not in (*_STOPPED, *(["created"] if late else [])):
            return JobStatus(state="running")
        # The end may have been written between the two looks.
        reason = "its container is gone and left no exit code: it was killed, or the engine was"
        return records.ended(job) or JobStatus(state="failed", exit_code=KILLED, reason=reason)

    def cancel(self, job: str) -> None:
        """Stop the container: SIGTERM to all of its processes, SIGKILL after the grace period."""
        from docker.errors import NotFound

        with _engine(self.options.grace_seconds) as engine:
            container = _find(engine, records.read_record(job))
            if container is None:
                return
            with contextlib.suppress(NotFound):
                container.stop(timeout=max(1, round(self.options.grace_seconds)))
            with contextlib.suppress(NotFound):
                container.wait(condition="removed")


@contextlib.contextmanager
def _engine(more_seconds: float = 0) -> "Iterator[DockerClient]":
    """A client of the engine for a few requests. Raises DockerError where it does not answer."""
    import docker
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.from_env(timeout=int(_ENGINE_SECONDS + more_seconds))
    except DockerException as error:
        raise DockerError(f"the Docker engine does not answer ({error})") from error
    try:
        yield client
    except APIError as error:
        raise DockerError(f"the Docker engine refuses: {error.explanation or error}") from error
    except RequestException as error:
        raise DockerError(f"the Docker engine does not answer ({error})") from error
    finally:
        client.close()


def _image(engine: "DockerClient", name: str) -> str:
    """The image's digest: the registry's where it has one, else the engine's own id. Pulled where it is not there."""
    from docker.errors import APIError, ImageNotFound

    try:
        image = engine.images.get(name)
    except ImageNotFound:
        try:
            image = engine.images.pull(name)
        except APIError as error:
            raise DockerError(
                f"there is no image {name}, and it cannot be pulled ({error.explanation or error}); build it with "
                "infra/docker/Dockerfile, or name another one under launchers.docker.image in the profile"
            ) from error
    digests: list[str] = image.attrs.get("RepoDigests") or []
    return digests[0] if digests else str(image.id)


def _find(engine: "DockerClient", record: records.Record) -> "Container | None":
    """The container of a job: by its id, or by its label where whoever started it was killed before the id was noted."""
    from docker.errors import NotFound

    if not record.native:
        found = engine.containers.list(all=True, filters={"label": f"{LABEL}={record.key}"})
        return found[0] if found else None
    try:
        return engine.containers.get(record.native)
    except NotFound:
        return None


def _give(request: JobRequest, user: str) -> None:
    """Give what the job writes to the user that it runs as; only root can, and only root has to."""
    uid, gid = (int(part) for part in user.split(":"))
    for folder in (request.log.resolve().parent, *request.writes):
        for path in (folder, *Path(folder).rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
