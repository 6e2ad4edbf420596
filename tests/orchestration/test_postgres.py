"""Dagster's instance on a real PostgreSQL: a run, a restart in the middle of one, and what is said when it is not there."""

import json
import signal
import time

import pytest

from tests.postgres import postgres_server
from tests.servers import free_ports
from tests.workplace import small_workplace, wait_for_line

pytestmark = pytest.mark.postgres


@pytest.fixture
def server():
    with postgres_server() as running:
        yield running


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_survives_a_restart_of_the_database(tmp_path, server, how):
    place = small_workplace(tmp_path)
    process = place.start("run", "small", "--to", "clean_corpus", **server.environment)
    wait_for_line(process, "raw_corpus")
    server.stop(how)
    time.sleep(1)
    server.start()
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    # Nothing lost and nothing twice: each partition is materialized once in the event log, and the lake has what it names.
    counted = server.query(
        "select asset_key, partition, count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' group by 1, 2"
    )
    assert {key: times for *key_, times in counted for key in [tuple(key_)]} and all(
        times == 1 for *_, times in counted
    )
    asked = place.tokka("run", "small", "--to", "clean_corpus", "--json", **server.environment)
    assert asked.returncode == 0, asked.stderr
    again = json.loads(asked.stdout)
    assert again["planned"] == 0
    assert again["finished_before"] == len(counted)
    assert not (place.folder / "home" / "dagster" / "history").exists(), "no event went to SQLite"


def test_an_instance_that_is_not_there_is_one_sentence(tmp_path):
    place = small_workplace(tmp_path)
    (port,) = free_ports(1)
    there = {"TOKKA_POSTGRES_HOST": "127.0.0.1", "TOKKA_POSTGRES_PORT": str(port)}
    without = place.tokka("run", "small", **there)
    assert without.returncode == 2
    assert "TOKKA_POSTGRES_PASSWORD" in without.stderr and "Traceback" not in without.stderr
    closed = place.tokka("run", "small", **there, TOKKA_POSTGRES_PASSWORD="planted-secret")
    assert closed.returncode == 2
    last = closed.stderr.splitlines()[-1]
    assert last.startswith(f"tokka: PostgreSQL on 127.0.0.1:{port}") and "Connection refused" in last
    assert "Traceback" not in closed.stderr and "planted-secret" not in closed.stderr
