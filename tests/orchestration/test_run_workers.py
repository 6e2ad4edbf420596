"""Runs that Dagster could not start again: back in the queue, so often, and not where they have failed by themselves."""

import socket

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import WILL_RETRY_TAG

from orchestration.instance import HOST, PROCESS
from orchestration.run_workers import MOST, build_retries, requeue_unretried_runs

LOST = "Failed to retry run"


@dg.op
def fails() -> None:
    raise ValueError("a fault of its own")


@dg.job
def failing() -> None:
    fails()


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def failed(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that was launched over a code location and has failed by itself."""
    location = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="tokka")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), failing.name)
    run = instance.create_run_for_job(failing, remote_job_origin=origin)
    assert not execute_run(InMemoryJob(failing), run, instance).success
    return instance.get_run_by_id(run.run_id)


def lose(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """What Dagster's daemon leaves of a run whose process has gone, where no code location answers."""
    instance.report_run_failed(run, "The process of this run is gone.")
    instance.report_engine_event(LOST, run)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})


def test_a_run_that_could_not_be_started_again_is_back_in_the_queue_once(instance):
    run = failed(instance)
    lose(instance, run)
    assert requeue_unretried_runs(instance) == 1
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.QUEUED
    assert requeue_unretried_runs(instance) == 0


def test_a_run_that_fails_by_itself_stays_failed_even_if_it_was_lost_before(instance):
    assert requeue_unretried_runs(instance) == 0
    own = failed(instance)
    assert requeue_unretried_runs(instance) == 0
    lose(instance, own)
    assert requeue_unretried_runs(instance) == 1
    instance.report_run_failed(instance.get_run_by_id(own.run_id), "a fault of its own")
    assert requeue_unretried_runs(instance) == 0
    assert instance.get_run_by_id(own.run_id).status == dg.DagsterRunStatus.FAILURE


def test_a_run_that_is_lost_again_and_again_stays_failed(instance):
    run = failed(instance)
    for _ in range(MOST):
        lose(instance, run)
        assert requeue_unretried_runs(instance) == 1
    lose(instance, run)
    assert requeue_unretried_runs(instance) == 0


def test_the_sensor_closes_the_run_of_a_killed_tokka_run_and_says_what_it_did(instance):
    told = build_retries()(dg.build_sensor_context(instance=instance))
    assert isinstance(told, dg.SkipReason) and told.skip_message == "No run is lost."
    tags = {HOST: socket.gethostname(), PROCESS: str(2**22 + 1)}
    run = instance.create_run_for_job(failing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    lose(instance, failed(instance))
    told = build_retries()(dg.build_sensor_context(instance=instance))
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "1 runs are back in the queue. 1 runs whose process is gone are closed."
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
