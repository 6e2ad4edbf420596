"""What is kept of jobs beside their logs."""

import os
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recipe.jobs import JobRequest
from assets.recipe.launchers import LocalOptions
from training_jobs.launchers import records
from training_jobs.launchers.local import LocalLauncher


@pytest.fixture
def request_(tmp_path) -> JobRequest:
    return JobRequest(name="job", module="nothing", spec=tmp_path / "s.json", ranks=4, log=tmp_path / "job.log")


def job_with(request: JobRequest, *lines: str) -> str:
    path, record = LocalLauncher().new_record(request)
    records.write_record(path, record.model_copy(update={"gpus": 2}))
    records.events_path(str(path)).write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_attempts_add_up_and_waiting_does_not_count(request_):
    job = job_with(request_, "started 100.0", "paused 130.5 75", "started 500.0", "ended 510.0 0")
    cost = records.own_cost(job, running=False)
    assert (cost.seconds, cost.attempts, cost.ranks, cost.gpus) == (40.5, 2, 4, 2)
    assert cost.gpu_hours == pytest.approx(40.5 * 2 / 3600)
    assert records.ended(job).state == "succeeded"


def test_an_attempt_that_was_killed_counts_until_the_logs_last_line(request_):
    job = job_with(request_, "started 1000.0")
    request_.log.write_text("step 1\n")
    os.utime(request_.log, (1060, 1060))
    assert records.own_cost(job, running=False).seconds == 60
    assert records.own_cost(job, running=True).seconds == pytest.approx(time.time() - 1000, abs=5)


def test_ends_are_counted_over_all_jobs_of_a_log(request_):
    job_with(request_, "started 1.0", "paused 2.0 75", "started 3.0", "ended 4.0 6")
    job_with(request_, "started 5.0", "ended 6.0 6")
    job_with(request_, "started 7.0")
    job_with(request_)
    assert records.ends(request_.log) == Counter({75: 1, 6: 2, records.KILLED: 2})


def test_the_latest_job_comes_first_and_a_torn_record_is_passed_over(request_, tmp_path):
    first, second = job_with(request_), job_with(request_)
    (tmp_path / "job.log.0123.job.json").write_text('{"launcher": "lo')
    assert [job for job, _ in records.records(request_.log)] == [second, first]


@given(st.text())
def test_any_text_can_stand_in_the_events(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("events")
    job = str(folder / "job.log.1.job.json")
    records.events_path(job).write_text(f"started 1.0\n{text}\n", "utf-8")
    said = records.events(job)
    assert said[0] == records.Event("started", 1.0, None)


def test_only_what_the_profile_names_is_passed_on(request_, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_WORD", "kuusitoista")
    job = job_with(request_)
    options = LocalOptions(variables={"NCCL_DEBUG": "WARN"})
    assert "SECRET_WORD" not in records.job_environment(request_, job, options, 1)
    named = options.model_copy(update={"pass_environment": ("SECRET_WORD",)})
    environment = records.job_environment(request_, job, named, 3)
    assert (environment["SECRET_WORD"], environment["NCCL_DEBUG"]) == ("kuusitoista", "WARN")
    assert environment["OMP_NUM_THREADS"] == "3"


def test_the_tail_of_a_long_log(tmp_path):
    path = tmp_path / "log"
    path.write_text("".join(f"line {n}\n" for n in range(200_000)) + "ä")
    assert records.tail(path, 3) == "line 199998\nline 199999\nä"
    assert records.tail(tmp_path / "none", 3) == ""
