"""Dagster's instance on a real PostgreSQL: a run, a restart in the middle of one, and what is said when it is not there."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.postgres import Postgres, postgres_server
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


def test_a_run_keeps_its_connection(tmp_path, server):
    """Opening one takes longer than writing an event."""
    place = small_workplace(tmp_path)
    assert place.tokka("run", "small", "--to", "raw_corpus", **server.environment).returncode == 0
    asked = "select sessions, (select count(*) from event_logs) from pg_stat_database where datname = 'tokka'"
    ((opened, written),) = server.query(asked)
    assert place.tokka("run", "small", "--to", "clean_corpus", **server.environment).returncode == 0
    time.sleep(2)  # the server counts once a second
    ((opened_then, written_then),) = server.query(asked)
    # One for each statement would be several for each event.
    assert 0 < opened_then - opened < written_then - written


def test_a_database_that_is_dumped_and_restored_goes_on_with_its_history(tmp_path, server):
    """As docs/operations.md says: the dump first, then the lake; into an empty database of a new server."""
    place, later = small_workplace(tmp_path / "before"), small_workplace(tmp_path / "after")
    assert place.tokka("run", "small", "--to", "raw_corpus", **server.environment).returncode == 0
    dump, counted = tmp_path / "tokka.dump", "select count(*) from event_logs"
    program("pg_dump", "-Fc", "--file", str(dump), "tokka", at=server)
    events = server.query(counted)
    # What is made between the two is in the lake alone.
    assert place.tokka("run", "small", "--to", "clean_corpus", **server.environment).returncode == 0
    shutil.copytree(place.lake, later.lake)
    with postgres_server() as other:
        program("pg_restore", "--dbname", "tokka", "--exit-on-error", str(dump), at=other)
        assert other.query(counted) == events
        first = later.tokka("run", "small", "--to", "raw_corpus", **other.environment)
        assert first.returncode == 0 and "nothing to do" in first.stdout, first.stderr
        before = {path: path.read_bytes() for path in later.lake.glob("*/*/*/manifest.json")}
        asked = later.tokka("run", "small", "--to", "clean_corpus", "--json", **other.environment)
        assert asked.returncode == 0 and json.loads(asked.stdout)["planned"] == 2, asked.stderr
        assert {path: path.read_bytes() for path in later.lake.glob("*/*/*/manifest.json")} == before
        assert later.tokka("lake", "verify", **other.environment).returncode == 0


def program(name: str, *arguments: str, at: Postgres) -> None:
    """Run a program of PostgreSQL's as the user of the stack's database."""
    found = next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), shutil.which(name))
    assert found is not None, f"{name} comes with PostgreSQL"
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(at.port), "PGUSER": "tokka", "PGPASSWORD": at.password}
    done = subprocess.run([found, *arguments], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
