"""One Dagster run of a group of partitions, and what became of each of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster._utils.error import SerializableErrorInfo

from assets.lake import InputRef, Receipt
from assets.lake.receipt import Expectation
from orchestration.database import DatabaseAwayError, await_database, is_away
from orchestration.instance import close_dead_runs
from orchestration.lineage import materialized_ref
from orchestration.plan import Due
from orchestration.profile import Profile

_DATABASE_TRIES = 5


def bound_said(failed: Expectation) -> str:
    """A bound that was not kept: the value, what was observed, what is allowed, and what it means."""
    return f"{failed.column} = {failed.observed}, allowed {failed.allowed}: {failed.meaning}"


@dataclass(frozen=True)
class GateFailure:
    """A gate that failed: whose, what it found, and where to look."""

    asset: str
    partition: str
    receipt: Receipt
    folder: str

    def bounds(self) -> list[str]:
        """The bounds that were not kept, a sentence each; or why the gate could not judge."""
        return [bound_said(failed) for failed in self.receipt.failed] or [str(self.receipt.error)]


@dataclass(frozen=True)
class JobFailure:
    """A step that ended with an error: which, and the error's message."""

    asset: str
    partition: str
    message: str


@dataclass(frozen=True)
class StepDone:
    """A partition that is finished: its counts, whether it was reused, and how its gate judged.

    It is the ``number``-th of ``of`` partitions; both are 0 as long as nobody has counted.
    """

    asset: str
    partition: str
    seconds: float
    reused: bool
    counts: dict[str, int | float]
    receipt: Receipt | None
    number: int = 0
    of: int = 0


Ended = StepDone | GateFailure | JobFailure


def run_group(
    definitions: dg.Definitions, profile: Profile, instance: dg.DagsterInstance, group: list[Due], tags: dict[str, str]
) -> list[Ended]:
    """Run one group in this process, and say what became of its partitions; of those behind a failure, nothing.

    Raises DagsterExecutionInterruptedError where the process was told to end meanwhile.
    """
    started = time.monotonic()
    result, errors, refs = _executed(definitions, instance, group, tags)
    seconds = time.monotonic() - started
    steps = _step_seconds(result)
    ended: list[Ended] = []
    for item in group:
        asset, key = item.stage.asset, item.key
        if asset in errors:
            if _was_interrupted(errors[asset]):
                raise dg.DagsterExecutionInterruptedError
            ended.append(JobFailure(asset, key, _innermost(errors[asset])))
            continue
        if asset not in refs:
            continue
        manifest = profile.lake.manifest(refs[asset])
        receipt = profile.lake.receipt(manifest)
        if receipt is not None and not receipt.passed:
            ended.append(GateFailure(asset, key, receipt, profile.lake.folder(manifest)))
            continue
        took, reused = steps.get(asset, seconds), _reused(result, asset)
        ended.append(StepDone(asset, key, took, reused, manifest.counts, receipt))
    return ended


def _executed(
    definitions: dg.Definitions, instance: dg.DagsterInstance, group: list[Due], tags: dict[str, str]
) -> tuple[dg.ExecuteInProcessResult, dict[str, StepFailureData], dict[str, InputRef]]:
    """One Dagster run of a group, the failures of its steps, and the versions that its assets have.

    Where the database goes away in the middle, the group is run again once it is back; what is made by then is found in the
    lake and not made twice.
    """
    for left in reversed(range(_DATABASE_TRIES)):
        try:
            result, errors = _execute(definitions, instance, group, tags)
            made = {e.asset_key.to_user_string() for e in result.get_asset_materialization_events() if e.asset_key}
            found = {a: materialized_ref(instance, a, item.key) for item in group if (a := item.stage.asset) in made}
            return result, errors, {asset: ref for asset, ref in found.items() if ref is not None}
        except Exception as error:
            if not left or not is_away(type(error).__name__, str(error)):
                raise
            await_database(instance, error)
            close_dead_runs(instance, own=True)
    raise AssertionError("the last try returns or raises")


def _execute(
    definitions: dg.Definitions, instance: dg.DagsterInstance, group: list[Due], tags: dict[str, str]
) -> tuple[dg.ExecuteInProcessResult, dict[str, StepFailureData]]:
    keys = [dg.AssetKey(item.stage.asset) for item in group]
    job = definitions.resolve_implicit_job_def_def_for_assets(keys)
    assert job is not None, f"the definitions have no job with {keys}"
    result = job.execute_in_process(
        instance=instance,
        partition_key=group[0].key,
        asset_selection=keys,
        tags=tags,
        raise_on_error=False,
        run_config={"loggers": {"progress": {}}},
    )
    errors = {
        event.step_key: event.step_failure_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key
    }
    for error in (cause for failure in errors.values() for cause in _causes(failure)):
        # Dagster writes most of its events within a step, and takes a connection that is lost there for the step's failure.
        if is_away(error.cls_name, error.message):
            raise DatabaseAwayError(error.message)
    return result, errors


def _step_seconds(result: dg.ExecuteInProcessResult) -> dict[str, float]:
    """Seconds of each asset's step with its gate's."""
    seconds: dict[str, float] = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and event.step_key:
            asset = event.step_key.removesuffix("_gate")
            seconds[asset] = seconds.get(asset, 0) + event.step_success_data.duration_ms / 1000
    return seconds


def _reused(result: dg.ExecuteInProcessResult, asset: str) -> bool:
    for event in result.asset_materializations_for_node(asset):
        value = event.metadata.get("reused")
        return bool(value and value.value)
    return False


def _causes(failure: StepFailureData) -> Iterator[SerializableErrorInfo]:
    """The error of a step and what it came from, the innermost last."""
    error = failure.error
    while error is not None:
        yield error
        error = error.cause


def _was_interrupted(failure: StepFailureData) -> bool:
    """Whether a step ended because the process was told to, by Ctrl-C or SIGTERM."""
    return any(error.cls_name == dg.DagsterExecutionInterruptedError.__name__ for error in _causes(failure))


def _innermost(failure: StepFailureData) -> str:
    """The message of the error that started it, without Dagster's wrapping."""
    message = [error.message for error in _causes(failure)][-1].strip()
    name, _, rest = message.partition(": ")
    return rest if rest and name.split(".")[-1].endswith(("Error", "Exception")) else message
