"""Pretraining by schedule: only where the data have changed since the last run, and where the budget allows it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.lake import InputRef, Lake, LakeError, Manifest, digest_of
from assets.recipe.automation import Retraining
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from orchestration.automation.budget import estimate, over_budget, spent
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile

PRETRAINING_RUN, MIXTURE = "pretraining_run", "mixture"
PRIORITY = "dagster/priority"


def trained_on(lake: Lake, mixture: Manifest) -> str:
    """Digest of the bytes that a run reads of a mixture: how it blends, and the files of its shards and its tokenizer.

    A mixture that was made anew from the same bytes has another digest of its own, since its lineage is another, but this one
    stays.
    """
    read = {}
    for ref in mixture.inputs:
        files = lake.manifest(ref).files
        read[f"{ref.asset}/{ref.partition}"] = {f.path: f.sha256 for f in files if not f.timed}
    return digest_of({"config": mixture.config, "code": mixture.code, "read": read})


def decide(
    instance: dg.DagsterInstance, profile: Profile, recipe: Recipe, retraining: Retraining, now: datetime
) -> dg.RunRequest | dg.SkipReason:
    """What a tick of the schedule does: a run of exactly the recipe's pretraining, or the reason why not."""
    mixture = materialized_ref(instance, MIXTURE, recipe.name)
    if mixture is None:
        return _not(recipe, f"its mixture was never made; `tokka run {recipe.name} --to mixture` makes it")
    try:
        last, why = _what_changed(profile.lake, mixture, materialized_ref(instance, PRETRAINING_RUN, recipe.name))
        refused = _unready(instance, profile.lake, recipe, mixture, last, why)
    except LakeError as error:
        return _not(recipe, str(error))
    if refused:
        return _not(recipe, refused)
    next_run = estimate(recipe, retraining, last)
    if next_run is None:
        return _not(
            recipe,
            "no earlier run of this model says what it will cost. Give automation.retrain.estimate in the recipe "
            "(`tokka plan` says it), or train it once by hand",
        )
    cost, basis = next_run
    refused = over_budget(retraining.budget, spent(profile.lake, recipe.name, retraining, now), cost)
    if refused:
        return _not(recipe, f"{refused} ({basis})")
    return dg.RunRequest(
        partition_key=recipe.name,
        asset_selection=[dg.AssetKey(PRETRAINING_RUN)],
        tags={
            "tokka/recipe": recipe.name,
            "tokka/by": schedule_name(recipe.name),
            "tokka/why": why,
            "tokka/estimate": f"{cost} ({basis})",
            PRIORITY: str(retraining.priority),
        },
    )


def _not(recipe: Recipe, why: str) -> dg.SkipReason:
    return dg.SkipReason(f"{recipe.name} is not trained: {why.rstrip('.')}.")


def _unready(
    instance: dg.DagsterInstance, lake: Lake, recipe: Recipe, mixture: InputRef, last: Manifest | None, why: str
) -> str | None:
    """Why there is nothing to train, or not now; None where there is."""
    if last is not None and not why:
        return (
            f"its data have not changed since the run {last.version} of {last.started[:10]}, which read the same tokens as "
            f"the mixture {mixture.version} has"
        )
    receipt = lake.receipt(mixture)
    if receipt is None or receipt.manifest_digest != mixture.digest:
        return f"the gate of the mixture {mixture.version} has not judged it"
    if not receipt.passed:
        return f"the gate of the mixture {mixture.version} has not passed"
    working = _working(instance, recipe.name)
    return f"the run {working[:8]} is training it now" if working else None


def _what_changed(lake: Lake, mixture: InputRef, run: InputRef | None) -> tuple[Manifest | None, str]:
    """The last run, and a sentence on how the mixture differs from what it read; empty where it does not."""
    if run is None:
        return None, f"It was never trained; its mixture is {mixture.version}."
    last = lake.manifest(run)
    before = next(ref for ref in last.inputs if ref.asset == MIXTURE)
    if before.digest == mixture.digest:
        return last, ""
    try:
        old = lake.manifest(before)
        if trained_on(lake, old) == trained_on(lake, lake.manifest(mixture)):
            return last, ""
    except LakeError:  # what the last run read was removed since, so there is nothing to compare with
        pass
    return (
        last,
        f"The mixture {mixture.version} has other tokens than {before.version}, which was trained on {last.started[:10]}.",
    )


def _working(instance: dg.DagsterInstance, name: str) -> str | None:
    """The id of a run that is training the recipe, or will."""
    unfinished = [
        *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING),
        *(dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
    ]
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished, tags={"dagster/partition": name})):
        if run.asset_selection is None or dg.AssetKey(PRETRAINING_RUN) in run.asset_selection:
            return run.run_id
    return None


def schedule_name(recipe: str) -> str:
    """The name of a recipe's schedule, in which Dagster allows letters, digits and underscores."""
    return "train_" + "".join(c if c.isalnum() else "_" for c in recipe)


def build_schedules(catalog: Catalog, profile: Profile) -> Iterator[dg.ScheduleDefinition]:
    """A schedule for every recipe that asks for one."""
    for recipe in catalog.recipes.values():
        if recipe.automation.retrain is not None:
            yield _schedule(recipe, recipe.automation.retrain, profile)


def _schedule(recipe: Recipe, retraining: Retraining, profile: Profile) -> dg.ScheduleDefinition:
    budget = retraining.budget
    co2 = "" if budget.co2_kg is None else f" and {budget.co2_kg:g} kg CO2"

    @dg.schedule(
        name=schedule_name(recipe.name),
        cron_schedule=retraining.cron,
        execution_timezone=retraining.timezone,
        target=dg.AssetSelection.assets(PRETRAINING_RUN),
        default_status=dg.DefaultScheduleStatus.RUNNING if retraining.running else dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Pretraining of {recipe.name}, where its data have changed, within {budget.gpu_hours:g} GPU-hours{co2} per "
            f"{budget.period}."
        ),
    )
    def train(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return decide(context.instance, profile, recipe, retraining, datetime.now(UTC))

    return train
