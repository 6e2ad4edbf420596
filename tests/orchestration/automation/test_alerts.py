"""Who is told of what: real failed runs, a real web server and a real mail server on loopback."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from orchestration.automation.alerts import tell
from orchestration.automation.channels import redacted
from tests.orchestration.automation.listeners import http_listener, smtp_listener
from tests.orchestration.automation.place import Place
from tests.servers import free_ports

NOW = datetime.now(UTC)
SECRET = "s3cr3t-token-42"


def fail_a_job(place: Place, message: str = "the disk is full") -> str:
    @dg.op(name="pretraining_run")
    def broken() -> None:
        raise OSError(f"{message}\nsecond line")

    @dg.job(name="broken")
    def job() -> None:
        broken()

    return job.execute_in_process(instance=place.instance, raise_on_error=False).run_id


def fail_a_gate(place: Place) -> str:
    @dg.asset(name="clean_corpus")
    def asset() -> None: ...

    @dg.asset_check(asset=asset, name="gate", blocking=True)
    def gate() -> dg.AssetCheckResult:
        row = {"passed": "NO", "what": "documents removed", "column": "removed", "allowed": "at most 0.5"}
        rows = [
            row | {"observed": "0.9", "severity": "critical"},
            row | {"column": "text", "observed": "Matti Meikäläinen", "severity": "critical"},
            row | {"column": "minor", "observed": "3", "severity": "warning"},
        ]
        table = dg.MetadataValue.table([dg.TableRecord(r) for r in rows])
        return dg.AssetCheckResult(passed=False, metadata={"expectations": table})

    return dg.materialize(
        [asset, gate], instance=place.instance, raise_on_error=False, tags={"dagster/partition": "docs_fi"}
    ).run_id


def tick(place: Place, cursor: str | None, now: datetime = NOW) -> tuple[str, str]:
    result = tell(place.instance, place.catalog, place.profile, cursor, now)
    assert not result.run_requests and result.cursor is not None
    return str(result.skip_reason), result.cursor


@pytest.fixture
def told(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    place.operations = {"alerts": {"webhook": True, "ui": "https://tokka.example.org/"}}
    return place


def webhook(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("TOKKA_ALERT_WEBHOOK", f"http://user:{SECRET}@127.0.0.1:{port}/hooks/{SECRET}")


def test_without_a_way_to_tell_nobody_is_told_and_nothing_is_lost_sight_of(place: Place) -> None:
    result = tell(place.instance, place.catalog, place.profile, None, NOW)
    assert "Nobody is told" in str(result.skip_reason) and result.cursor is None


def test_failures_are_told_once_and_those_before_the_first_tick_not_at_all(
    told: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_a_job(told)
    with http_listener() as listener:
        webhook(monkeypatch, listener.port)
        _, cursor = tick(told, None)
        assert listener.said == []
        run = fail_a_job(told)
        gate = fail_a_gate(told)
        said, cursor = tick(told, cursor)
        assert "2 new alerts, 2 messages delivered, 0 alerts wait" in said
        _, cursor = tick(told, cursor)
    job_alert, gate_alert = listener.said
    assert job_alert["kind"] == "job" and job_alert["title"] == "A job failed: pretraining_run"
    assert job_alert["lines"] == ["OSError: the disk is full", f"run {run}"]
    assert job_alert["link"] == f"https://tokka.example.org/runs/{run}"
    assert gate_alert["kind"] == "gate" and gate_alert["title"] == "A gate failed: clean_corpus, partition docs_fi"
    # What was found in texts is not told; what only warns is not either.
    assert gate_alert["lines"] == [
        "documents removed: removed = 0.9, allowed at most 0.5",
        "documents removed: text = see the receipt, allowed at most 0.5",
    ]
    assert gate in gate_alert["text"]


def test_a_dead_server_fails_no_tick_and_is_told_when_it_is_back(told: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    webhook(monkeypatch, port)
    _, cursor = tick(told, None)
    fail_a_job(told)
    said, cursor = tick(told, cursor)
    assert (
        "0 messages delivered, 1 alerts wait; the webhook at 127.0.0.1 cannot be reached (ConnectionRefusedError)"
        in said
    )
    with http_listener(port) as listener:
        listener.status = 503
        said, cursor = tick(told, cursor)
        assert "1 alerts wait; the webhook at 127.0.0.1 answers 503" in said
        listener.status = 200
        said, cursor = tick(told, cursor)
        assert "1 messages delivered, 0 alerts wait" in said
    assert len(listener.said) == 1


def test_what_nobody_could_be_told_of_for_days_is_dropped_and_said(
    told: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook(monkeypatch, free_ports(1)[0])
    _, cursor = tick(told, None)
    fail_a_job(told)
    _, cursor = tick(told, cursor)
    said, cursor = tick(told, cursor, NOW + timedelta(days=4))
    assert "1 alerts were dropped" in said and json.loads(cursor)["waiting"] == []


def test_no_secret_is_told_or_kept(told: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-9876543210")
    with http_listener() as listener:
        webhook(monkeypatch, listener.port)
        _, cursor = tick(told, None)
        fail_a_job(told, f"cannot reach https://me:{SECRET}@example.org with aws-9876543210 ({SECRET})")
        said, cursor = tick(told, cursor)
        assert listener.said[0]["lines"][0] == "OSError: cannot reach https://***@example.org with *** (***)"
        listener.status = 500
        fail_a_job(told)
        more, cursor = tick(told, cursor)
    everything = said + more + cursor
    assert "aws-9876543210" not in everything + json.dumps(listener.said)
    assert "hooks/" not in everything and SECRET not in everything + json.dumps(listener.said)


def test_a_webhook_that_is_not_set_or_no_web_server_is_said(told: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _, cursor = tick(told, None)
    fail_a_job(told)
    monkeypatch.delenv("TOKKA_ALERT_WEBHOOK", raising=False)
    assert "TOKKA_ALERT_WEBHOOK is not set" in tick(told, cursor)[0]
    monkeypatch.setenv("TOKKA_ALERT_WEBHOOK", f"file:///etc/{SECRET}")
    said = tick(told, cursor)[0]
    assert "is not the URL of a web server" in said and SECRET not in said


def test_e_mail_reaches_everybody_and_waits_for_its_own_server_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with smtp_listener() as mail, http_listener() as web:
        webhook(monkeypatch, web.port)
        server = {"host": "127.0.0.1", "port": mail.port, "security": "none"}
        people: dict[str, Any] = {"sender": "tokka@example.org", "to": ["a@example.org", "b@example.org"]}
        place.operations = {"alerts": {"webhook": True, "email": server | people}}
        _, cursor = tick(place, None)
        run = fail_a_job(place)
        web.status = 500
        said, cursor = tick(place, cursor)
        assert "1 messages delivered, 1 alerts wait" in said
        web.status = 200
        tick(place, cursor)
    ((recipients, content),) = mail.said
    assert recipients == ["a@example.org", "b@example.org"]
    assert "Subject: [tokka] A job failed: pretraining_run" in content and run in content
    assert len(web.said) == 1


def test_a_mail_server_without_starttls_gets_no_message(place: Place) -> None:
    with smtp_listener() as mail:
        server = {"host": "127.0.0.1", "port": mail.port, "sender": "t@example.org", "to": ["a@example.org"]}
        place.operations = {"alerts": {"email": server}}
        _, cursor = tick(place, None)
        fail_a_job(place)
        assert "1 alerts wait; the mail server 127.0.0.1" in tick(place, cursor)[0]
    assert mail.said == []


def test_stale_data_are_told_once_for_each_materialization(told: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    told.operations["freshness"] = {"raw_corpus": {"warn_days": 1, "fail_days": 2}}

    def later() -> datetime:
        return datetime.now(UTC) + timedelta(days=3, minutes=1)

    told.make("raw_corpus", "docs_fi")
    with http_listener() as listener:
        webhook(monkeypatch, listener.port)
        _, cursor = tick(told, None)
        for _ in range(2):
            _, cursor = tick(told, cursor, later())
        told.make("raw_corpus", "docs_fi", "2")
        _, cursor = tick(told, cursor)
        _, cursor = tick(told, cursor, later())
    assert [a["kind"] for a in listener.said] == ["stale", "stale"]
    assert listener.said[0]["title"] == "Stale: raw_corpus was last made 3.0 days ago"


def test_a_spent_budget_is_told_when_it_is_near_and_when_it_is_over(
    told: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.recipe["automation"] = {"retrain": {"cron": "0 2 * * 0", "budget": {"gpu_hours": 10}}}
    with http_listener() as listener:
        webhook(monkeypatch, listener.port)
        _, cursor = tick(told, None)
        for hours in (7.0, 2.0, 0.5, 2.0):
            told.make("pretraining_run", "tiny", str(hours) + "h" * len(listener.said), cost={"rank_hours": hours})
            _, cursor = tick(told, cursor)
    assert [a["title"] for a in listener.said] == [
        "Budget of tiny: 90% spent this month",
        "Budget of tiny: 115% spent this month",
    ]


def test_redaction_takes_logins_out_of_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "abcd1234")
    assert redacted("postgresql://u:p@db:5432 abcd1234 plain") == "postgresql://***@db:5432 *** plain"
