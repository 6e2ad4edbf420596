"""``tokka run``."""

import time
from typing import Any

import dagster as dg

from assets.graph import BY_ASSET
from assets.recipe.catalog import Catalog
from assets.recipe.load import RecipeError
from assets.recipe.model import Recipe
from orchestration.cli.context import open_instance, open_profile, open_recipe
from orchestration.cli.output import Exit, duration, err, fail, out, print_json
from orchestration.cli.scores import print_scores, score_rows
from orchestration.groups import GateFailure, JobFailure, StepDone, bound_said
from orchestration.plan import Due, Plan
from orchestration.profile import Profile
from orchestration.progress import clear_line
from orchestration.run import Outcome, run_recipe


def run_command(
    name: str,
    to: str | None,
    lake: str | None,
    profile_name: str | None,
    launcher: str | None,
    data_engine: str | None,
    accept_risk: str | None,
    as_json: bool,
) -> None:
    """Run a recipe and leave with the exit code that says how it went."""
    started = time.monotonic()
    catalog, recipe = open_recipe(name)
    if to is not None and to not in BY_ASSET:
        fail(f"there is no asset {to!r}; the assets are: {', '.join(BY_ASSET)}.")
    if accept_risk is not None and not accept_risk.strip():
        fail("--accept-risk needs a reason, which stays in the lineage.")
    profile = open_profile(lake, launcher, data_engine, profile_name)
    check_files(catalog, recipe)
    with open_instance() as instance:
        try:
            outcome = run_recipe(
                catalog,
                profile,
                instance,
                recipe.name,
                to=to,
                accept_risk=accept_risk,
                listener=print_event,
                on_plan=lambda plan: _print_plan(recipe, profile, plan),
            )
        except RecipeError as error:
            fail(str(error))
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            clear_line()
            fail(f"interrupted. What is finished stays; `tokka run {name}` goes on from there.", Exit.INTERRUPTED)
    _finish(profile, recipe, outcome, time.monotonic() - started, as_json, to is None, accept_risk is not None)


def check_files(catalog: Catalog, recipe: Recipe) -> None:
    """Stop, before anything runs, when a source of the recipe's pools has no files, or cannot be cleaned as it says: a step,
    threshold or reason that is not there, a filter without its model or library. Says it of every source.
    """
    from assets.cleaning.gate import bounds
    from assets.corpora.files import find_files

    pools = {recipe.sources[name].pool for name in recipe.sources}
    faults = []
    for source in (source for pool in sorted(pools) for source in catalog.pools[pool]):
        try:
            find_files(catalog.sources[source].files, f"sources.{source}.files")
            bounds(catalog, source)
        except (RecipeError, OSError) as error:
            faults.append(str(error))
    if faults:
        fail("\n".join(faults))


def _print_plan(recipe: Recipe, profile: Profile, plan: Plan) -> None:
    total = len(plan.due) + len(plan.finished)
    if plan.due:
        err.print(f"{recipe.name}: {len(plan.due)} of {total} partitions to make, in the lake {profile.lake_uri}")


# A warning that holds for every partition of an asset is said once.
_warned: set[tuple[str, str]] = set()


def print_event(event: StepDone | GateFailure | JobFailure | Due) -> None:
    """Say what became of a partition, on stderr."""
    if isinstance(event, Due):
        return
    clear_line()
    if isinstance(event, StepDone):
        gate = "no gate" if event.receipt is None else f"gate passed ({_passed(event)})"
        what = "reused" if event.reused else _headline(event.counts)
        err.print(
            f"[{event.of and event.number:>3}/{event.of}] {event.asset:<22}{event.partition:<34}{what:<26}"
            f"{event.seconds:>6.1f} s  {gate}",
            markup=False,
        )
        for failed in event.receipt.failed if event.receipt else ():
            if (event.asset, failed.column) in _warned:
                continue
            _warned.add((event.asset, failed.column))
            err.print(f"          warning: {bound_said(failed)}", markup=False)
    elif isinstance(event, GateFailure):
        err.print(f"GATE FAILED  {event.asset}, partition {event.partition}", style="bold red", markup=False)
        if event.receipt.error:
            err.print(f"  {event.receipt.error}", markup=False)
        for failed in event.receipt.failed:
            err.print(f"  {failed.severity}: {bound_said(failed)}", markup=False)
        err.print(f"  Look at {event.folder}, and at the asset's checks in the UI (`tokka ui`).", markup=False)
    else:
        err.print(f"FAILED  {event.asset}, partition {event.partition}", style="bold red", markup=False)
        err.print(f"  {event.message}", markup=False)


def _passed(event: StepDone) -> str:
    assert event.receipt is not None
    return f"{sum(e.passed for e in event.receipt.expectations)} of {len(event.receipt.expectations)}"


def _headline(counts: dict[str, int | float]) -> str:
    """The one count that tells most."""
    for name in ("tokens", "documents", "items", "vocab_size", "duplicates", "parameters", "steps"):
        if name in counts:
            return f"{counts[name]:,} {name.replace('_', ' ')}"
    return ""


def _finish(
    profile: Profile,
    recipe: Recipe,
    outcome: Outcome,
    seconds: float,
    as_json: bool,
    show_scores: bool,
    risk_taken: bool,
) -> None:
    gates, jobs = outcome.gate_failures, outcome.job_failures
    code = Exit.JOB_FAILED if jobs else Exit.GATE_FAILED if gates else Exit.DONE
    if gates and not jobs and risk_taken and _went_on(outcome):
        code = Exit.DONE
    rows = score_rows(profile, recipe) if show_scores and code is Exit.DONE else []
    if as_json:
        print_json(_as_json(recipe, outcome, seconds, rows, code))
    elif code is Exit.DONE:
        if not outcome.planned:
            out.print(
                f"{recipe.name}: nothing to do, all {outcome.finished} partitions are there ({duration(seconds)})."
            )
        else:
            out.print(f"{recipe.name}: done, {len(outcome.done)} partitions made in {duration(seconds)}.")
        if show_scores:
            print_scores(rows)
            _print_reports(profile, recipe)
    if code is not Exit.DONE:
        fail(f"{recipe.name} stopped: {len(gates)} gates and {len(jobs)} jobs failed. What is finished stays.", code)


def _went_on(outcome: Outcome) -> bool:
    """Whether a taken risk led past the failed gates to the end of the plan."""
    return len(outcome.done) + len(outcome.gate_failures) == outcome.planned


def _print_reports(profile: Profile, recipe: Recipe) -> None:
    from orchestration.cli.scores import report_files

    for title, path in report_files(profile, recipe):
        out.print(f"{title}: {path}")


def _as_json(
    recipe: Recipe, outcome: Outcome, seconds: float, rows: list[dict[str, Any]], code: Exit
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "exit_code": int(code),
        "seconds": round(seconds, 1),
        "planned": outcome.planned,
        "finished_before": outcome.finished,
        "made": [
            {
                "asset": d.asset,
                "partition": d.partition,
                "seconds": round(d.seconds, 2),
                "reused": d.reused,
                "counts": d.counts,
            }
            for d in outcome.done
        ],
        "gate_failures": [
            {
                "asset": g.asset,
                "partition": g.partition,
                "folder": g.folder,
                "error": g.receipt.error,
                "failed": [e.model_dump() for e in g.receipt.failed],
            }
            for g in outcome.gate_failures
        ],
        "job_failures": [vars(j) for j in outcome.job_failures],
        "scores": rows,
    }
