"""Watches one process from outside, and is the warden inside a container that starts one process per program.

Uses the standard library only: a container gets this file as text. Nothing here believes what a program prints: the verdict comes
from the exit status that the kernel reports, from clocks and counters read outside the process, and from a token.
"""

import contextlib
import json
import marshal
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

KEPT = 8192
"""Bytes at the end of what a program printed that are kept."""

POLL = 0.05
"""Seconds between two looks at the memory and the files of a program."""

_CHUNK = 1 << 16
_STARTED = b"started\n"


class _Pipe:
    """The reading end of a pipe: the last ``keep`` bytes (or the first) and how many there were."""

    def __init__(self, file: IO[bytes], keep: int, first: bool) -> None:
        self.fd = file.fileno()
        self.keep = keep
        self.first = first
        self.total = 0
        self.data = b""
        os.set_blocking(self.fd, False)

    def read(self) -> bool:
        """Take what there is now, one chunk; False at the end of the pipe and where there is nothing."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return False
        self.total += len(chunk)
        together = self.data + chunk
        self.data = together[: self.keep] if self.first else together[-self.keep :]
        return bool(chunk)


def watch(
    process: subprocess.Popen[bytes],
    limits: dict[str, Any],
    token: str,
    probe: Callable[[], str],
    end: Callable[[], int | None],
) -> dict[str, Any]:
    """Wait until the process ends or a limit is passed.

    ``limits`` has ``wall`` (seconds) and ``output`` (bytes). ``probe`` is asked every 50 ms and at the end, and answers with the
    limit that the program has passed, or with nothing. ``end`` ends all processes of the program where it can, and returns the
    exit status (a signal as a negative number or as 128 + the number), or None while the process still runs. Returns ``status``
    (a status of an outcome, or ``broken``: the program was not started), ``code``, ``output`` (text), ``seconds``.
    """
    begun = time.monotonic()
    assert process.stdout is not None and process.stderr is not None
    output, control = _Pipe(process.stdout, KEPT, first=False), _Pipe(process.stderr, 4096, first=True)
    reason = ""
    with selectors.DefaultSelector() as selector:
        ended = os.pidfd_open(process.pid)
        try:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(output.fd, selectors.EVENT_READ, output)
            selector.register(control.fd, selectors.EVENT_READ, control)
            looked = begun
            over = False
            while not reason and not over:
                now = time.monotonic()
                if now - begun > limits["wall"]:
                    reason = "timeout"
                for key, _ in selector.select(POLL):
                    if key.data is None:
                        over = True
                    elif not key.data.read():
                        selector.unregister(key.fd)
                if output.total > limits["output"]:
                    reason = "output"
                elif now - looked > POLL:
                    looked = now
                    reason = reason or probe()
        finally:
            os.close(ended)
    code = end()
    seconds = time.monotonic() - begun
    for pipe in (output, control):
        while pipe.total <= limits["output"] and pipe.read():
            pass
    if not reason and output.total > limits["output"]:
        reason = "output"
    status = reason or probe() or _status(code, control.data, token)
    if not control.data.startswith(_STARTED):
        return {"status": "broken", "code": code, "output": _text(control.data + output.data), "seconds": seconds}
    return {"status": status, "code": _shell(code), "output": _text(output.data), "seconds": seconds}


def _shell(code: int | None) -> int | None:
    return 128 - code if code is not None and code < 0 else code


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _status(code: int | None, control: bytes, token: str) -> str:
    """What an ended process means. Only an exit status of 0 and the token, and nothing else on the channel, is a pass."""
    code = _shell(code)
    if code == 0 and control == _STARTED + token.encode() + b"\n":
        return "passed"
    if code == 128 + signal.SIGXCPU:
        return "timeout"
    if code and control == _STARTED + b"memory\n":
        return "memory"
    return "killed" if code is not None and code > 128 else "failed"


@contextlib.contextmanager
def payload(program: dict[str, Any]) -> Any:
    """A file without a name, at its beginning, that holds what the prelude reads."""
    with tempfile.TemporaryFile() as file:
        marshal.dump(program, file, 2)  # a format that Pythons of different versions share
        file.seek(0)
        yield file


def _oom_kills() -> int:
    """How often memory ran out in this container (cgroup v2, then v1); 0 where the kernel does not tell."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with contextlib.suppress(OSError), open(path) as file:  # noqa: PTH123
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    return 0


def _bound(*paths: str) -> int | None:
    """What a limit of this container's control group is; None where there is none, or the kernel does not tell."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError), open(f"/sys/fs/cgroup/{path}") as file:  # noqa: PTH123
            return int(file.read())
    return None


def _passed(limits: dict[str, Any], oom_kills: int) -> str:
    """The limit of this container that the program has passed."""
    if _oom_kills() > oom_kills:
        return "memory"
    scratch = os.statvfs("/tmp")
    return "killed" if scratch.f_files - scratch.f_ffree > limits["files"] else ""


def _clean() -> bool:
    """Whether the program left nothing: no process beside this one, no file in the scratch folder."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # orphans that ended are this process's to collect
            pass
    return [name for name in os.listdir("/proc") if name.isdigit()] == [str(os.getpid())] and not os.listdir("/tmp")  # noqa: PTH208


def _forbid(code: bytes) -> None:
    """Put a seccomp filter on this process and all that it starts."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    given = Filter(len(code) // 8, ctypes.addressof(buffer))
    no_new_privileges, seccomp, mode_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, mode_filter, ctypes.byref(given), 0, 0):
        raise OSError(ctypes.get_errno(), "the seccomp filter was not taken")


def warden() -> None:
    """Serve one container: a line of JSON in, one process, a line of JSON out, until standard input ends.

    It is root in the container with the rights to change its user and no others; a program has another user, a new one each time.
    It ends when a program left anything behind, so that the next program gets a container that nothing has run in.
    """
    first = json.loads(sys.stdin.buffer.readline())
    _forbid(bytes.fromhex(first["filter"]))
    held = {
        "memory": _bound("memory.max", "memory/memory.limit_in_bytes"),
        "processes": _bound("pids.max", "pids/pids.max"),
    }
    print(json.dumps(held), flush=True)
    for line in sys.stdin.buffer:
        given = json.loads(line)
        before = _oom_kills()
        with payload(given["program"]) as file:
            process = subprocess.Popen(
                [sys.executable, *first["options"], "-c", first["prelude"]],
                stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=first["environment"], cwd="/tmp", start_new_session=True,
            )  # fmt: skip
        result = watch(
            process, given["limits"], given["program"]["token"],
            probe=lambda limits=given["limits"], before=before: _passed(limits, before),  # type: ignore[misc]
            end=process.poll,
        )  # fmt: skip
        result["clean"] = process.poll() is not None and _clean()
        print(json.dumps(result), flush=True)
        if not result["clean"]:
            return


if __name__ == "__main__":
    warden()
