"""The ranks of a job on several nodes, each node a process of this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_ports
from training_jobs.launchers.ranks import meeting_point


def node(modules: Path, folder: Path, module: str, number: str, port: int = 1) -> "subprocess.Popen[str]":
    env = {
        **os.environ,
        "PYTHONPATH": str(modules),
        "TOKKA_NODES": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TOKKA_FAILED": str(folder / "failed"),
        "SLURM_NODEID": number,
    }
    command = [
        sys.executable,
        "-m",
        "training_jobs.launchers.ranks",
        "2",
        f"tokka_test_{module}",
        str(folder / "s.json"),
    ]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_ranks_are_numbered_over_the_nodes_and_meet(modules, folder):
    (folder / "s.go").touch()
    (port,) = free_ports(1)
    second, first = node(modules, folder, "meets", "1", port), node(modules, folder, "meets", "0", port)
    assert "met [[0, ''], [1, ''], [2, ''], [3, '']]" in first.communicate(timeout=60)[0]
    assert (first.returncode, second.wait(30)) == (0, 0)
    assert not (folder / "failed").exists()


def test_the_first_failure_is_kept(modules, folder):
    first = node(modules, folder, "fails", "0")
    assert first.wait(30) == 4
    assert (folder / "failed").read_text() == "4\n"
    other = node(modules, folder, "nothing", "1")
    assert other.wait(30) == 1
    assert (folder / "failed").read_text() == "4\n"
    assert [path.name for path in folder.iterdir()] == ["failed"]


def test_many_signals_are_one_request_to_leave(modules, folder):
    (port,) = free_ports(1)
    nodes = [node(modules, folder, "meets", number, port) for number in ("0", "1")]
    assert nodes[0].stdout is not None
    assert "met" in nodes[0].stdout.readline()
    for _ in range(20):
        for process in nodes:
            process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert [process.wait(30) for process in nodes] == [75, 75]
    assert not (folder / "failed").exists()


@pytest.mark.parametrize("number", [None, "2", "-1"])
def test_a_node_without_its_number_does_not_start(monkeypatch, number):
    for name in ("TOKKA_NODE", "SLURM_NODEID", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOKKA_NODES", "2")
    if number is not None:
        monkeypatch.setenv("TOKKA_NODE", number)
    with pytest.raises(ValueError, match="one of 2 nodes"):
        meeting_point(1)


def test_a_meeting_point_is_no_port_of_a_connection_on_its_way_out():
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for _ in range(50):
        assert not low <= int(meeting_point(2)["MASTER_PORT"]) <= high
