"""Runs of Dagster's daemon whose process has gone, and the code location with it, or a little before or after.

While a code location lives it says that a run's process has ended. When both are gone, as after the power has failed, the run
would stay "started" for ever, and hold its place in the queue: with one run at a time nothing would start any more. Where the
code location is away for a moment only, Dagster finds the run failed, tries once to start it again, which takes the code
location, and never more.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil
from dagster._core.events import DagsterEvent
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from orchestration.instance import HOST, close_dead_runs

MOST = 5
"""So often a run goes back into the queue; one that takes the machine down with it does not do so for ever."""
_SAID = "The process of this run is gone, and so is the code location that had started it; the run waits for its turn again."
_NOT_RETRIED = "Failed to retry run"
"""What Dagster's daemon says of a run that it wanted to start again and could not."""
_DAYS = 1
"""So long ago, at most, a run has failed that is put back into the queue."""
_STATUSES = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


def requeue_lost_runs(instance: dg.DagsterInstance) -> int:
    """Put the runs back into the queue whose process is gone with the code location before this one; return how many.

    For the start of a code location, whose runs are processes beside it. Runs of ``tokka run`` are left to ``close_dead_runs``.
    A run goes on from what the lake holds. It is not marked as failed, since Dagster tries that again at once, while the code
    location is still starting, and then never more.
    """
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return 0
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=list(_STATUSES)))
    here = dict(_processes())
    if any("dagster api grpc" in command for command in here.values()):
        return 0  # a server that has lost its code location goes on watching over its runs until they end
    lost = [run for run in runs if HOST not in run.tags and not _works(instance, run.run_id, here)]
    for run in lost:
        _requeue(instance, run)
    return len(lost)


def requeue_unretried_runs(instance: dg.DagsterInstance) -> int:
    """Put the runs back into the queue that Dagster wanted to start again and could not; return how many."""
    since = datetime.now(UTC) - timedelta(days=_DAYS)
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "false"}, updated_after=since)
    found = [
        run
        for run in instance.get_runs(filters=failed)
        if run.remote_job_origin is not None and AUTO_RETRY_RUN_ID_TAG not in run.tags and _unretried(instance, run)
    ]
    for run in found:
        _requeue(instance, run)
    return len(found)


def _unretried(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the last that was done with a run is that it could not be started again."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    said = [text for event in events if (text := event.get_dagster_event().message) in (_SAID, _NOT_RETRIED)]
    return said[-1:] == [_NOT_RETRIED] and said.count(_SAID) < MOST


def build_retries() -> dg.SensorDefinition:
    """The sensor ``retry_lost_runs``, which always works: what it starts was started before, and was lost without a fault."""

    @dg.sensor(
        name="retry_lost_runs",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Puts runs back into the queue that were lost while no code location answered, and closes those of a "
        "`tokka run` that was killed, which would keep its places in pools.",
    )
    def retry_lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        closed, back = close_dead_runs(context.instance), requeue_unretried_runs(context.instance)
        said = [f"{back} runs are back in the queue."] if back else []
        said += [f"{closed} runs whose process is gone are closed."] if closed else []
        return dg.SkipReason(" ".join(said) or "No run is lost.")

    return retry_lost_runs


def _requeue(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    before = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    times = sum(event.get_dagster_event().message == _SAID for event in before)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    elif times >= MOST:
        instance.report_run_failed(run, f"The process of this run has gone with its code location {times + 1} times.")
    else:
        instance.report_engine_event(_SAID, run)
        instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)


def _processes() -> Iterator[tuple[int, str]]:
    """The command lines of this instance's processes on this machine, by their numbers."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        if (process.info["environ"] or {}).get("DAGSTER_HOME") == os.environ.get("DAGSTER_HOME"):
            yield process.pid, " ".join(process.info["cmdline"] or ())


def _works(instance: dg.DagsterInstance, run: str, here: dict[int, str]) -> bool:
    """Whether a process that the event log names for a run is there."""
    for event in instance.all_logs(run, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = event.get_dagster_event().event_specific_data
        named = getattr(data, "metadata", {}).get("pid")
        if named is not None and "spawn_main" in here.get(int(str(named.value)), ""):
            return True
    return False
