"""The job ``run_recipe``: a whole recipe by a click in the UI, as ``tokka run RECIPE`` does it.

A run of assets has one kind of partition, and a recipe needs several: sources, tokenizers, recipes, checkpoints. The one step
of this job plans the recipe and carries out the runs that are due, each a run of its own in the UI with the tag
``tokka/recipe``. The job's own tag ``tokka/accept_risk`` is the reason of ``--accept-risk``.
"""

import dagster as dg

from assets.recipe.catalog import Catalog
from assets.recipe.yaml_files import RecipeError
from orchestration.execute import ACCEPT_RISK
from orchestration.groups import GateFailure, JobFailure, StepDone
from orchestration.plan import Due, Plan
from orchestration.profile import Profile
from orchestration.run import run_recipe

NAME = "run_recipe"


def recipe_job(catalog: Catalog, profile: Profile) -> dg.JobDefinition:
    """The job over a catalog: its partitions are the recipes."""

    @dg.op(name="recipe", description="Plan a recipe, and make what is due up to its model card.")
    def carry_out_recipe(context: dg.OpExecutionContext) -> None:
        recipe = context.partition_key

        def tell(event: StepDone | GateFailure | JobFailure | Due) -> None:
            if isinstance(event, StepDone):
                context.log.info(_done(event))
            elif isinstance(event, GateFailure | JobFailure):
                context.log.error(_failed(event))

        def tell_plan(plan: Plan) -> None:
            total = len(plan.due) + len(plan.finished)
            context.log.info(
                "%s: %d of %d partitions to make, in the lake %s", recipe, len(plan.due), total, profile.lake_uri
            )

        try:
            outcome = run_recipe(
                catalog,
                profile,
                context.instance,
                recipe,
                accept_risk=context.run.tags.get(ACCEPT_RISK),
                listener=tell,
                on_plan=tell_plan,
            )
        except RecipeError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        failures: list[GateFailure | JobFailure] = [*outcome.gate_failures, *outcome.job_failures]
        if failures:
            raise dg.Failure(
                f"{recipe} stopped: {len(outcome.gate_failures)} gates and {len(outcome.job_failures)} jobs failed. "
                "What is finished stays.",
                {f"{f.asset} {f.partition}": dg.MetadataValue.text(_failed(f)) for f in failures},
                allow_retries=False,
            )
        context.add_output_metadata(
            {"partitions made": len(outcome.done), "partitions that were there": outcome.finished}
        )

    @dg.job(
        name=NAME,
        partitions_def=dg.StaticPartitionsDefinition(sorted(catalog.recipes)),
        executor_def=dg.in_process_executor,
        description="A whole recipe, from its raw corpora to its model card; its name is the partition. What is there stays.",
    )
    def run_recipe_job() -> None:
        carry_out_recipe()

    return run_recipe_job


def _done(event: StepDone) -> str:
    gate = "no gate" if event.receipt is None else "gate passed"
    how = "reused" if event.reused else f"{event.seconds:.1f} s"
    return f"[{event.number}/{event.of}] {event.asset} {event.partition}: {how}, {gate}"


def _failed(failure: GateFailure | JobFailure) -> str:
    if isinstance(failure, JobFailure):
        return f"{failure.asset} {failure.partition} failed: {failure.message}"
    return (
        f"The gate of {failure.asset} {failure.partition} failed: {'; '.join(failure.bounds())}. "
        f"Look at {failure.folder}, and at the asset's checks."
    )
