"""Programs in namespaces of their own, made by bubblewrap: one ``bwrap`` per program.

A program has new user (where bwrap runs without root), process, network, IPC, host name, cgroup and mount namespaces, no
capability and no-new-privileges. It sees the system's libraries and Python's standard library, read-only, /proc of its own
processes, a few devices, and /tmp, a memory file system of limited size that ends with it. Where Tokka runs as root, the program
gets a user id above 0x60000000 that nobody else has; otherwise it is user 65534 of a user namespace, which the kernel takes for
Tokka's own user outside: what protects that user's files is that no folder of theirs is in the mount namespace.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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

NAME = "bubblewrap"
_PYTHON = "/python"
_BASE = dict.fromkeys(("base", "platbase", "installed_base", "installed_platbase"), sys.base_prefix)


def find() -> Backend:
    """The backend, after a program has really run in it. Raises SandboxUnavailableError with what to do."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxUnavailableError(
            "there is no bwrap on the PATH (on Debian and Ubuntu: apt-get install bubblewrap)"
        )
    machine = os.uname().machine
    if machine not in seccomp.ARCHITECTURES:
        known = " and ".join(seccomp.ARCHITECTURES)
        raise SandboxUnavailableError(f"the seccomp filter is known for {known}, this machine is {machine}")
    cell = _Cell(bwrap, Limits())
    try:
        tried = cell.run(Program("try", "assert 1 + 1 == 2"))
    except (SandboxError, OSError) as error:
        raise SandboxUnavailableError(
            f"bwrap is there but cannot make namespaces ({error}); the kernel may forbid user namespaces to users who are "
            "not root (user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        ) from error
    if tried.status != "passed":
        raise SandboxUnavailableError(
            f"bwrap is there but a trial program ended as {tried.status}: {tried.output[-200:]}"
        )
    version = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False).stdout.split()[-1]
    how = "as root, programs as another user" if os.getuid() == 0 else "in user namespaces"
    return Backend(NAME, f"bubblewrap {version}, {how}", lambda limits: contextlib.nullcontext(_Cell(bwrap, limits)))


class _Cell:
    def __init__(self, bwrap: str, limits: Limits) -> None:
        self.limits = limits
        self.command = [bwrap, *_arguments(limits)]
        self.filter = seccomp.program(os.uname().machine)

    def run(self, program: Program) -> Outcome:
        uid = 0x60000000 + secrets.randbelow(1 << 28) if os.getuid() == 0 else None
        what = given(program, self.limits, uid, count_processes=True)
        with supervisor.payload(what) as payload, tempfile.TemporaryFile() as rules:
            rules.write(self.filter)
            rules.seek(0)
            with _started(self.command, payload, rules) as (process, first):
                tree = _Tree(process, first, self.limits)
                limits = {"wall": self.limits.wall_seconds, "output": self.limits.output_bytes}
                try:
                    result = supervisor.watch(process, limits, what["token"], tree.probe, tree.end)
                finally:
                    tree.end()
        return outcome(program, result, NAME)


@contextlib.contextmanager
def _started(
    command: list[str], payload: IO[bytes], rules: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], tuple[int, int] | None]]:
    """bwrap, and the first process of the new process namespace: its id and a descriptor of it.

    That process waits until its descriptor is open, so the id cannot be another's. None where bwrap ended before.
    """
    info, tell = os.pipe()
    wait, go = os.pipe()
    descriptor = None
    try:
        fds = ["--info-fd", str(tell), "--block-fd", str(wait), "--seccomp", str(rules.fileno())]
        with subprocess.Popen(
            [*command, *fds, "--", f"{_PYTHON}/bin/python", *OPTIONS, "-c", prelude()],
            stdin=payload, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(), cwd="/",
            pass_fds=(tell, wait, rules.fileno()), start_new_session=True,
        ) as process:  # fmt: skip
            os.close(tell)
            tell = -1
            try:
                with open(info, "rb", closefd=False) as file:
                    said = file.read()
                first = json.loads(said)["child-pid"] if said else None
                descriptor = os.pidfd_open(first) if first is not None else None
                os.write(go, b"1")
                yield process, (first, descriptor) if first is not None and descriptor is not None else None
            finally:
                process.kill()  # where it has ended this does nothing; its namespace ends with it
    finally:
        for fd in (info, tell, wait, go, -1 if descriptor is None else descriptor):
            if fd >= 0:
                os.close(fd)


class _Tree:
    """All processes of one program, seen from outside its namespaces."""

    def __init__(self, process: subprocess.Popen[bytes], first: tuple[int, int] | None, limits: Limits) -> None:
        self.process = process
        self.first = first
        self.limits = limits

    def probe(self) -> str:
        """The limit that the processes together have passed."""
        if self.first is None:
            return ""
        try:
            if sum(_resident(pid) for pid in _descendants(self.first[0])) > self.limits.memory_bytes:
                return "memory"
            scratch = os.statvfs(f"/proc/{self.first[0]}/root/tmp")
        except OSError:  # it has just ended
            return ""
        # A file without content takes a kilobyte of the kernel's memory that no limit counts.
        return "killed" if scratch.f_files - scratch.f_ffree > self.limits.scratch_files else ""

    def end(self) -> int:
        """End every process: with the first process of a process namespace the kernel ends all, before that one is gone."""
        if self.first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.first[1], signal.SIGKILL)
            gone = select.poll()
            gone.register(self.first[1], select.POLLIN)
            gone.poll()
        return self.process.wait()


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return
    for thread in threads:
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield from _descendants(int(child))


def _resident(pid: int) -> int:
    """Bytes of memory that a process has now; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _environment() -> dict[str, str]:
    shared = {} if sys.base_prefix == "/usr" else {"LD_LIBRARY_PATH": f"{_PYTHON}/lib"}
    return {**ENVIRONMENT, **shared}


def _arguments(limits: Limits) -> list[str]:
    """The namespaces and what is to be seen in them; nothing of the host is writable."""
    arguments = [
        "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
    ]  # fmt: skip
    if os.getuid() == 0:  # what the prelude needs to become another user; both are gone after that
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        arguments += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    made = ("/usr", "/usr/lib", "/usr/share", "/etc", _PYTHON, f"{_PYTHON}/bin", f"{_PYTHON}/lib", f"{_PYTHON}/lib64")
    for name in made:  # bwrap itself makes parents of files for root alone
        arguments += ["--perms", "0755", "--dir", name]
    libraries = sysconfig.get_config_var("MULTIARCH")
    system = f"/usr/lib/{libraries}" if libraries and Path(f"/usr/lib/{libraries}/libc.so.6").exists() else "/usr/lib"
    for name in (system, "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache"):
        arguments += ["--ro-bind-try", name, name]
    for name in ("/lib", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(name), name]  # noqa: PTH115
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
    prefix = Path(sys.base_prefix)
    python = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    arguments += ["--ro-bind", str(python), f"{_PYTHON}/bin/python"]
    folders = {Path(sysconfig.get_path(name, vars=_BASE)) for name in ("stdlib", "platstdlib")}
    if prefix != Path("/usr"):  # a Python of its own may have brought libraries
        folders = {folder.parent for folder in folders}
    for folder in sorted(folders):
        arguments += ["--ro-bind", str(folder), f"{_PYTHON}/{folder.relative_to(prefix)}"]
        for packages in sorted({*folder.glob("*-packages"), *folder.glob("python*/*-packages")}):
            # The project may be installed there.
            covered = f"{_PYTHON}/{packages.relative_to(prefix)}"
            arguments += ["--tmpfs", covered, "--remount-ro", covered]
    return [
        *arguments,
        "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", "/tmp",
        "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp",
    ]  # fmt: skip
