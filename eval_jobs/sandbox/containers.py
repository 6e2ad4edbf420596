"""Programs in containers of Docker or Podman, through the docker SDK.

Starting a container takes some tenths of a second, so a container serves one program after the other, as long as each leaves it
as it was. That they cannot influence each other rests on this: one program at a time runs in a container, each as a fresh process
of a user id of its own; the root file system is read-only, and what can be written to is looked at after each program: when a
process or a file is left, or the program was stopped at a limit, the container is removed and the next program gets a new one.
Shared memory, queues and keys that could stay without a file are denied by the seccomp filter. The process that starts the
programs (``supervisor.warden``) is another user than they, takes nothing from them but the bytes that they print, and has no
rights but that of changing its user; a program has none, and cannot gain any (no-new-privileges).
"""

import contextlib
import json
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval_jobs.sandbox import seccomp, supervisor
from eval_jobs.sandbox.model import (
    ENVIRONMENT,
    OPTIONS,
    Backend,
    Limits,
    Outcome,
    Program,
    SandboxError,
    SandboxUnavailableError,
    given,
    outcome,
    prelude,
)

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

GRACE = 30.0
"""Seconds over the wall clock limit after which a container that says nothing is given up."""

_INTERPRETERS = 64 << 20
_STDOUT = 1


def find(name: str) -> Backend:
    """The backend ``docker`` or ``podman``, after a program has really run in it.

    Raises SandboxUnavailableError with what is missing.
    """
    image = os.environ.get("TOKKA_SANDBOX_IMAGE") or "tokka"
    try:
        from docker.errors import DockerException, ImageNotFound
    except ImportError as error:
        raise SandboxUnavailableError("the Python package docker is not installed") from error
    try:
        with contextlib.closing(client_of(name, timeout=5)) as client:
            version = client.version()
            machine = _machine(str(version.get("Arch", "")))
            client.images.get(image)
    except ImageNotFound as error:
        raise SandboxUnavailableError(
            f"the engine has no image {image!r}; build it from infra/docker/Dockerfile or name one in TOKKA_SANDBOX_IMAGE"
        ) from error
    except (DockerException, OSError) as error:
        where = "DOCKER_HOST" if name == "docker" else "CONTAINER_HOST"
        raise SandboxUnavailableError(f"no engine answers ({type(error).__name__}; {where} names it)") from error
    make = lambda limits: _cell(name, image, machine, limits)  # noqa: E731
    try:
        with make(Limits()) as cell:
            tried = cell.run(Program("try", "assert 1 + 1 == 2"))
    except (SandboxError, DockerException, OSError) as error:
        raise SandboxUnavailableError(f"the engine is there but runs no program in {image!r}: {error}") from error
    if tried.status != "passed":
        raise SandboxUnavailableError(f"a trial program ended as {tried.status}: {tried.output[-200:]}")
    return Backend(name, f"{name} {version.get('Version', '?')}, image {image}", make)


def _machine(architecture: str) -> str:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)
    if machine not in seccomp.ARCHITECTURES:
        known = " and ".join(seccomp.ARCHITECTURES)
        raise SandboxUnavailableError(f"the seccomp filter is known for {known}, the engine's machine is {machine!r}")
    return machine


def client_of(name: str, timeout: int = 60) -> "docker.DockerClient":
    import docker

    if name == "docker":
        return docker.from_env(timeout=timeout)
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    own = "/run/podman/podman.sock" if os.getuid() == 0 else f"{folder}/podman/podman.sock"
    return docker.DockerClient(base_url=os.environ.get("CONTAINER_HOST") or f"unix://{own}", timeout=timeout)


@contextlib.contextmanager
def _cell(name: str, image: str, machine: str, limits: Limits) -> Iterator["_Cell"]:
    with contextlib.closing(client_of(name)) as client:
        cell = _Cell(client, name, image, machine, limits)
        try:
            yield cell
        finally:
            cell.discard()


def _memory_file_systems(name: str, limits: Limits) -> dict[str, str]:
    """The scratch folder, with its options.

    Podman takes no number of files, at which the warden looks instead; and it gives a read-only container further folders to
    write to, which here only root may.
    """
    scratch = f"size={limits.scratch_bytes},mode=1777,nosuid,nodev"
    if name == "docker":
        return {"/tmp": f"{scratch},nr_inodes={limits.scratch_files}"}
    return {"/tmp": scratch, **dict.fromkeys(("/var/tmp", "/run"), "size=65536,mode=0755,nosuid,nodev")}


@cache
def _warden() -> str:
    return Path(supervisor.__file__).read_text(encoding="utf-8")


class _Cell:
    """One container at a time, started when a program wants it."""

    def __init__(self, client: "docker.DockerClient", name: str, image: str, machine: str, limits: Limits) -> None:
        self.client = client
        self.name = name
        self.image = image
        self.machine = machine
        self.limits = limits
        self.container: Container | None = None
        self.stream: _Stream | None = None

    def run(self, program: Program) -> Outcome:
        stream = self.stream or self._start()
        # Up to 60000: rootless engines have 65536 user ids. Random, so that a program meets nobody's processes or files.
        what = given(program, self.limits, 10000 + secrets.randbelow(50000), count_processes=False)
        limits = {
            "wall": self.limits.wall_seconds,
            "output": self.limits.output_bytes,
            "files": self.limits.scratch_files,
        }
        result: dict[str, Any] = {}
        try:
            result = stream.ask({"program": what, "limits": limits}, self.limits.wall_seconds + GRACE)
        except TimeoutError:
            result = {"status": "timeout", "code": None, "output": "", "seconds": self.limits.wall_seconds}
        except OSError as error:
            raise SandboxError(f"The container of the program {program.id!r} ended: {error}.") from error
        finally:
            if not result.get("clean"):
                self.discard()
        return outcome(program, result, self.name)

    def _start(self) -> "_Stream":
        import docker

        container = self.container = self.client.containers.create(
            self.image,
            ["python3", *OPTIONS, "-c", _warden()],
            entrypoint=[],
            user="0:0",
            environment=ENVIRONMENT,
            working_dir="/tmp",
            hostname="sandbox",
            stdin_open=True,
            auto_remove=True,
            network_mode="none",
            ipc_mode="none",  # no /dev/shm
            read_only=True,
            tmpfs=_memory_file_systems(self.name, self.limits),
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID"],
            security_opt=["no-new-privileges"],
            mem_limit=(memory := self.limits.memory_bytes + self.limits.scratch_bytes + _INTERPRETERS),
            memswap_limit=memory,  # the same: no swap
            nano_cpus=1_000_000_000,
            # Where nothing is said, Podman asks for more than some machines allow it.
            ulimits=[docker.types.Ulimit(name=kind, soft=4096, hard=4096) for kind in ("nofile", "nproc")],
            pids_limit=(processes := self.limits.processes + 1),
            log_config={"type": "none"},  # what a program prints is on no disk
            labels={"tokka.sandbox": "1"},
        )
        # With the end of this connection the warden's input ends, and so does the container, whatever becomes of this process.
        sock = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        container.start()
        stream = self.stream = _Stream(sock, self.limits.output_bytes)
        first = {
            "filter": seccomp.program(self.machine).hex(),
            "prelude": prelude(),
            "options": OPTIONS,
            "environment": ENVIRONMENT,
        }
        try:
            held = stream.ask(first, GRACE)
        except OSError as error:
            raise SandboxError(f"A container of the image {self.image!r} does not start programs: {error}.") from error
        for what, most in (("memory", memory), ("processes", processes)):
            if not isinstance(held.get(what), int) or held[what] > most:
                raise SandboxError(
                    f"the engine does not hold the limit of {what} ({most} was asked for, the container has "
                    f"{held.get(what)}); an engine without root does with control groups of version 2, delegated to its user"
                )
        return stream

    def discard(self) -> None:
        """End the container and all that runs in it, if there is one."""
        from docker.errors import APIError

        container, stream = self.container, self.stream
        self.container = self.stream = None
        if stream is not None:
            stream.close()
        end = time.monotonic() + GRACE
        while container is not None:
            try:
                container.remove(force=True, v=True)
                return
            except APIError as error:
                if error.status_code in (404, 409):  # it has gone, or is going, by itself
                    return
                # Podman fails where the container ends in that very moment.
                if self.name != "podman" or time.monotonic() > end:
                    raise
                time.sleep(0.05)


class _Stream:
    """Lines of JSON to and from a warden, through the frames that the engine wraps a container's output in."""

    def __init__(self, sock: Any, most: int) -> None:
        self.holder = sock
        self.socket: socket.socket = getattr(sock, "_sock", sock)
        self.most = most
        self.data = b""
        self.errors = b""

    def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send one line, receive one. Raises TimeoutError, or ConnectionError with what the warden said last."""
        self.socket.settimeout(seconds)
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while b"\n" not in self.data:
            kind, length = struct.unpack(">BxxxL", self._exactly(8))
            data = self._exactly(length)
            if kind == _STDOUT:
                self.data += data
            else:
                self.errors = (self.errors + data)[-supervisor.KEPT :]
            if len(self.data) > 8 * supervisor.KEPT + 4096:  # JSON takes six bytes for a character at most
                raise ConnectionError("it sent more than a result")
        line, self.data = self.data.split(b"\n", 1)
        result = json.loads(line)
        if not isinstance(result, dict):
            raise ConnectionError("it sent no result")
        return result

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError(self.errors.decode("utf-8", "replace").strip()[-500:] or "it said nothing")
            data += chunk
        return data

    def close(self) -> None:
        """End the connection."""
        self.holder.close()
        self.socket.close()
