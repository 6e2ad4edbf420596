"""What the lake does with single files: whole or not at all, and with patience where a server is away for a while."""

import errno
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

WAITS = (0.5, 1, 2, 4, 8, 15, 15, 15, 30, 30)
"""Seconds between attempts, two minutes in all: a server that restarts, or is busy, is back by then."""
MULTIPART_BYTES = 16 * 2**20
"""Size of the parts in which a larger file is uploaded."""
_BUSY = {errno.EBUSY, errno.EIO, errno.EAGAIN, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE, errno.ETIMEDOUT}
# What s3fs makes of a server that says "internal error".
_BUSY.add(getattr(errno, "EREMOTEIO", errno.EIO))
_NETWORK = ("botocore", "aiobotocore", "aiohttp", "fsspec")


def patiently(operation: Callable[[], T]) -> T:
    """What ``operation`` gives, tried again while its server cannot be reached or is busy; then its error.

    The operation may have been done once although it failed, so it is one that can be done twice.
    """
    for wait in WAITS:
        try:
            return operation()
        except Exception as error:
            if not is_transient(error):
                raise
        time.sleep(wait)
    return operation()


def is_transient(error: Exception) -> bool:
    """Whether an error speaks of the way to the server, or of its load, and not of what was asked of it."""
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _BUSY
    status = getattr(error, "response", {})
    if isinstance(status, dict) and "ResponseMetadata" in status:
        return int(status["ResponseMetadata"].get("HTTPStatusCode", 500)) >= 500
    return type(error).__module__.split(".")[0] in _NETWORK


def upload(fs: Any, local: Path, target: str) -> None:
    """Upload a finished local file, in parts where it is large, and remove it here."""
    patiently(lambda: fs.put_file(str(local), target, chunksize=MULTIPART_BYTES))
    local.unlink()


def write_whole(path: Path, content: bytes) -> None:
    """Write a small local file so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has that id and has not ended; one that nobody has waited for yet has ended, too."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # The state is the first field behind the name, which may hold anything (proc_pid_stat(5)).
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        # Gone meanwhile, or a system without /proc.
        return not Path("/proc/self/stat").exists()
