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
    # Nothing lost and nothing twice.
    counted = server.query(
        "select asset_key, partition, count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' group by 1, 2"
    )
    assert counted and all(times == 1 for *_, times in counted)
    asked = place.tokka("run", "small", "--to", "clean_corpus", "--json", **server.environment)
    assert asked.returncode == 0, asked.stderr
    again = json.loads(asked.stdout)
    assert again["planned"] == 0
    assert again["finished_before"] == len(counted)
    assert not (place.folder / "home" / "dagster" / "history").exists(), "no event went to SQLite"


@pytest.mark.parametrize("event", ["STEP_START", "ASSET_MATERIALIZATION", "STEP_SUCCESS", "PIPELINE_SUCCESS"])
def test_a_connection_lost_at_any_event_is_waited_for_and_nothing_is_made_twice(tmp_path, server, event):
    place = small_workplace(tmp_path)
    first = place.tokka("run", "small", "--to", "raw_corpus", **server.environment)
    assert first.returncode == 0, first.stderr
    # The server ends the first connection that writes such an event; a sequence keeps its number when a transaction is undone.
    server.execute(f"""
        create sequence lost;
        create function lose() returns trigger language plpgsql as $$ begin
          if nextval('lost') = 1 then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); end if;
          return new; end $$;
        create trigger lose before insert on event_logs for each row when (new.dagster_event_type = '{event}')
          execute function lose();
    """)
    result = place.tokka("run", "small", "--to", "clean_corpus", "--json", **server.environment)
    assert result.returncode == 0, result.stderr
    assert "went away" in result.stderr and "Traceback" not in result.stderr
    assert server.query("select last_value > 1 from lost") == [(True,)]
    ((made, unfinished),) = server.query(
        "select count(distinct partition), (select count(*) from runs where status not in ('SUCCESS', 'FAILURE')) "
        "from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key = '[\"clean_corpus\"]'"
    )
    assert (made, unfinished) == (2, 0)
    assert len(list(place.lake.glob("clean_corpus/*/*/manifest.json"))) == 2
    again = json.loads(place.tokka("run", "small", "--to", "clean_corpus", "--json", **server.environment).stdout)
    assert again["planned"] == 0


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
