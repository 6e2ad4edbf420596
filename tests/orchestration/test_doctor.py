"""``tokka doctor``: each thing that can be wrong with a deployment is found and said."""

import json
import os
import subprocess
import sys
import time

import pytest

from orchestration.cli.deployment import lake_finding, listening_finding, secrets_finding
from tests.servers import free_ports
from tests.workplace import Workplace


@pytest.fixture
def no_secret_files(monkeypatch):
    for name in [name for name in os.environ if name.endswith("_FILE")]:
        monkeypatch.delenv(name)


def test_a_lake_is_written_and_read_and_nothing_stays(tmp_path):
    assert lake_finding(str(tmp_path / "lake")).there
    assert not any((tmp_path / "lake").iterdir())


def test_a_lake_that_cannot_be_written_is_found(tmp_path):
    (tmp_path / "file").write_text("")
    found = lake_finding(str(tmp_path / "file" / "lake"))
    assert not found.there
    assert "NotADirectoryError" in found.found
    assert "TOKKA_LAKE" in found.costs


def test_what_listens_beyond_loopback_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestration.cli.deployment.in_container", lambda: False)
    (port,) = free_ports(1)
    script = (
        f"import socket, time; s = socket.create_server(('0.0.0.0', {port})); print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, "dagster-webserver"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline()
        found = listening_finding()
        assert not found.there
        assert f"0.0.0.0:{port}" in found.found
        assert "no login" in found.costs
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while f"0.0.0.0:{port}" in listening_finding().found:
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("no_secret_files")
def test_files_of_secrets_that_others_can_read_are_named(tmp_path, monkeypatch):
    assert secrets_finding().there
    path = tmp_path / "password"
    path.write_text("planted")
    path.chmod(0o644)
    monkeypatch.setenv("TOKKA_POSTGRES_PASSWORD_FILE", str(path))
    found = secrets_finding()
    assert not found.there
    assert str(path) in found.found and "644" in found.found and "planted" not in found.found
    path.chmod(0o600)
    assert secrets_finding().there
    monkeypatch.setenv("TOKKA_KEY_FILE", str(tmp_path / "nowhere"))
    assert "nowhere" in secrets_finding().found


@pytest.mark.postgres
def test_the_instance_on_postgresql_and_a_daemon_that_is_not_there(tmp_path, postgres):
    place = Workplace(tmp_path)
    done = place.tokka("doctor", "--json", **postgres.environment, TOKKA_CODE_HOST="127.0.0.1", TOKKA_CODE_PORT="1")
    assert done.returncode == 0, done.stderr
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert found["Dagster's instance"]["there"] and "PostgreSQL" in found["Dagster's instance"]["found"]
    assert not found["Dagster's daemon"]["there"] and "there never was one" in found["Dagster's daemon"]["found"]
    assert not found["Code location"]["there"] and "127.0.0.1:1" in found["Code location"]["found"]
    assert found["Packages"]["there"], found["Packages"]
    assert found["Secrets"]["there"] and postgres.password not in done.stdout


def test_a_database_that_is_not_there_is_a_finding(tmp_path):
    (port,) = free_ports(1)
    done = Workplace(tmp_path).tokka(
        "doctor", "--json", TOKKA_POSTGRES_HOST="127.0.0.1", TOKKA_POSTGRES_PORT=str(port), TOKKA_POSTGRES_PASSWORD="x"
    )
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}["Dagster's instance"]
    assert not found["there"] and "Connection refused" in found["found"] and "TOKKA_POSTGRES_HOST" in found["costs"]


def test_a_secret_whose_file_is_missing_or_empty_is_one_sentence(tmp_path):
    place = Workplace(tmp_path)
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for path, said in ((tmp_path / "none", "there is no file"), (empty, "is empty"), (tmp_path, "cannot be read")):
        done = place.tokka("recipes", "list", TOKKA_POSTGRES_PASSWORD_FILE=str(path))
        assert done.returncode == 2
        assert done.stderr.startswith("tokka: the secret TOKKA_POSTGRES_PASSWORD") and said in done.stderr, done.stderr
    # Nothing is sent where the file of an alert's secret is empty.
    assert place.tokka("recipes", "list", TOKKA_ALERT_WEBHOOK_FILE=str(empty)).returncode == 0


def test_serve_refuses_what_it_does_not_know_and_says_what_is_not_well(tmp_path):
    place = Workplace(tmp_path)
    assert "there are code, webserver, daemon" in place.tokka("serve", "proxy").stderr
    (port,) = free_ports(1)
    for what in ("code", "webserver"):
        done = place.tokka("serve", what, "--check", "--port", str(port))
        assert done.returncode == 1 and f"{port}" in done.stderr
    done = place.tokka("serve", "daemon", "--check")
    assert done.returncode == 1 and "there never was one" in done.stderr
