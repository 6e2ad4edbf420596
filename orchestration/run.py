"""``tokka run``: carry out a plan through Dagster, in this process, with the events that the UI shows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg

from assets.graph import targets
from assets.lake import Receipt
from assets.recipe.catalog import Catalog
from orchestration.build import build_definitions
from orchestration.execute import ACCEPT_RISK
from orchestration.instance import close_dead_runs, process_tags
from orchestration.lineage import materialized_ref
from orchestration.plan import Due, Plan, in_groups, make_plan
from orchestration.profile import Profile

RECIPE = "tokka/recipe"
"""Tag of a run: the recipe that it is carried out for."""


@dataclass(frozen=True)
class GateFailure:
    """A gate that failed: whose, what it found, and where to look."""

    asset: str
    partition: str
    receipt: Receipt
    folder: str


@dataclass(frozen=True)
class JobFailure:
    """A step that ended with an error: which, and the error's message."""

    asset: str
    partition: str
    message: str


@dataclass(frozen=True)
class StepDone:
    """A partition that is finished: its counts, whether it was reused, and how its gate judged."""

    number: int
    of: int
    asset: str
    partition: str
    seconds: float
    reused: bool
    counts: dict[str, int | float]
    receipt: Receipt | None


@dataclass
class Outcome:
    """What a run did. ``planned`` partitions were due; empty lists of failures mean that all of them are done."""

    planned: int
    finished: int
    done: list[StepDone] = field(default_factory=list)
    gate_failures: list[GateFailure] = field(default_factory=list)
    job_failures: list[JobFailure] = field(default_factory=list)


Listener = Callable[[StepDone | GateFailure | JobFailure | Due], None]


def run_recipe(
    catalog: Catalog,
    profile: Profile,
    instance: dg.DagsterInstance,
    recipe: str,
    *,
    to: str | None = None,
    accept_risk: str | None = None,
    listener: Listener = lambda event: None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
) -> Outcome:
    """Materialize what ``recipe`` needs up to the asset ``to``. Stops at the end of the first stage that fails."""
    close_dead_runs(instance)
    wanted = targets(catalog, recipe, to)
    plan = make_plan(catalog, profile, instance, wanted)
    on_plan(plan)
    outcome = Outcome(planned=len(plan.due), finished=len(plan.finished))
    if not plan.due:
        return outcome
    risk = {ACCEPT_RISK: accept_risk} if accept_risk else {}
    run_tags = {RECIPE: recipe, **process_tags(), **risk}
    carry_out(build_definitions(catalog, profile), profile, instance, plan, run_tags, outcome, listener)
    return outcome


def carry_out(
    definitions: dg.Definitions,
    profile: Profile,
    instance: dg.DagsterInstance,
    plan: Plan,
    tags: dict[str, str],
    outcome: Outcome,
    listener: Listener,
) -> None:
    """Run what is due, in Dagster runs with ``tags``, up to the end of the first stage that fails; says it in ``outcome``."""
    accept_risk = ACCEPT_RISK in tags
    # A taken risk starts behind a failed gate, which blocks within a run; so each asset runs on its own then.
    groups = [[item] for item in plan.due] if accept_risk else in_groups(plan.due)
    stopped_in: str | None = None
    for group in groups:
        if stopped_in not in (None, group[0].stage.space):
            break
        gates, jobs = len(outcome.gate_failures), len(outcome.job_failures)
        _run_group(definitions, profile, instance, group, tags, outcome, listener)
        if len(outcome.job_failures) > jobs or (len(outcome.gate_failures) > gates and not accept_risk):
            stopped_in = group[0].stage.space


def _run_group(
    definitions: dg.Definitions,
    profile: Profile,
    instance: dg.DagsterInstance,
    group: list[Due],
    tags: dict[str, str],
    outcome: Outcome,
    listener: Listener,
) -> None:
    """Run one group and add what became of its partitions to ``outcome``."""
    keys = [dg.AssetKey(item.stage.asset) for item in group]
    job = definitions.resolve_implicit_job_def_def_for_assets(keys)
    assert job is not None, f"the definitions have no job with {keys}"
    listener(group[0])
    started = time.monotonic()
    result = job.execute_in_process(
        instance=instance,
        partition_key=group[0].key,
        asset_selection=keys,
        tags=tags,
        raise_on_error=False,
        run_config={"loggers": {"progress": {}}},
    )
    seconds = time.monotonic() - started
    steps = _step_seconds(result)
    errors = {
        event.step_key: event.step_failure_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.STEP_FAILURE
    }
    made = {e.asset_key.to_user_string() for e in result.get_asset_materialization_events() if e.asset_key}
    for item in group:
        asset, key = item.stage.asset, item.key
        if asset in errors:
            if _was_interrupted(errors[asset]):
                raise dg.DagsterExecutionInterruptedError
            failure = JobFailure(asset, key, _innermost(errors[asset]))
            outcome.job_failures.append(failure)
            listener(failure)
            continue
        ref = materialized_ref(instance, asset, key) if asset in made else None
        if ref is None:
            continue
        manifest = profile.lake.manifest(ref)
        receipt = profile.lake.receipt(manifest)
        if receipt is not None and not receipt.passed:
            gate_failure = GateFailure(asset, key, receipt, profile.lake.folder(manifest))
            outcome.gate_failures.append(gate_failure)
            listener(gate_failure)
            continue
        done = StepDone(
            number=outcome.finished + len(outcome.done) + 1,
            of=outcome.finished + outcome.planned,
            asset=asset,
            partition=key,
            seconds=steps.get(asset, seconds),
            reused=_reused(result, asset),
            counts=manifest.counts,
            receipt=receipt,
        )
        outcome.done.append(done)
        listener(done)


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


def _was_interrupted(failure: object) -> bool:
    """Whether a step ended because the process was told to, by Ctrl-C or SIGTERM."""
    error = getattr(failure, "error", None)
    while error is not None:
        if error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            return True
        error = error.cause
    return False


def _innermost(failure: object) -> str:
    """The message of the error that started it, without Dagster's wrapping."""
    error = getattr(failure, "error", None)
    while error is not None and getattr(error, "cause", None) is not None:
        error = error.cause
    message = str(getattr(error, "message", error)).strip()
    name, _, rest = message.partition(": ")
    return rest if rest and name.split(".")[-1].endswith(("Error", "Exception")) else message
