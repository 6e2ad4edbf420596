"""Patience with servers, and small files that are whole or not there."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import botocore.exceptions as boto
import pytest

from assets.lake import files
from assets.lake.files import is_alive, is_transient, patiently, write_whole


def client_error(status: int) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), True),
        (boto.ConnectionClosedError(endpoint_url="http://127.0.0.1:1"), True),
        (client_error(503), True),
        (OSError(errno.EBUSY, "slow down"), True),
        (OSError(errno.EREMOTEIO, "internal error"), True),
        (client_error(412), False),
        (FileNotFoundError(), False),
        (FileExistsError(), False),
        (PermissionError(), False),
        (OSError(errno.ENOSPC, "no space left on device"), False),
        (ValueError(), False),
    ],
)
def test_only_the_way_to_the_server_is_tried_again(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_an_operation_is_tried_until_the_server_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAITS", (0, 0, 0))
    attempts: list[int] = []

    def operation() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionRefusedError
        return "done"

    assert patiently(operation) == "done" and len(attempts) == 3


def test_patience_ends_with_the_servers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAITS", (0, 0))
    with pytest.raises(ConnectionRefusedError):
        patiently(lambda: (_ for _ in ()).throw(ConnectionRefusedError()))


def test_a_whole_file_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.json"
    write_whole(target, b"one")
    write_whole(target, b"two")
    assert target.read_bytes() == b"two" and list(target.parent.iterdir()) == [target]


def test_a_process_that_ended_and_that_nobody_has_waited_for_is_not_alive():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert is_alive(process.pid) and is_alive(os.getpid()) and not is_alive(0)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays until somebody waits for it
    os.kill(process.pid, 0)
    assert not is_alive(process.pid)
    process.communicate()
    assert not is_alive(process.pid)
