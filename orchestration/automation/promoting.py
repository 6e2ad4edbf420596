"""Promotion by policy: a sensor that sees a new model card, and the job that promotes."""

import json

import dagster as dg

from assets.lake import LakeError
from assets.promotion.model import PromotionError
from assets.recipe.catalog import Catalog
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile
from orchestration.promotion import better, promote, propose

OP = "promote"


def build_job(catalog: Catalog, profile: Profile) -> dg.JobDefinition:
    """The job ``promote_by_policy``, for one recipe."""

    @dg.op(name=OP, config_schema={"recipe": str}, description="Promotes what the recipe's policy takes.")
    def promote_op(context: dg.OpExecutionContext) -> None:
        recipe: str = context.op_config["recipe"]
        try:
            proposal = propose(catalog, profile, context.instance, recipe, None, None)
            reason = better(catalog, profile, proposal)
            if reason:
                context.log.info("%s, step %d, is not promoted: %s.", recipe, proposal.candidate.step, reason)
                return
            entry = promote(profile, context.instance, proposal, f"policy of {recipe}", proposal.why)
        except (PromotionError, LakeError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        context.log.info("%s, step %d, is current as %s: %s.", recipe, entry.step, entry.name, entry.why)

    @dg.job(name="promote_by_policy", executor_def=dg.in_process_executor)
    def promote_by_policy() -> None:
        promote_op()

    return promote_by_policy


def build_promotion(catalog: Catalog, profile: Profile, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor ``promote_by_policy``."""

    @dg.sensor(
        name="promote_by_policy",
        job=build_job(catalog, profile),
        minimum_interval_seconds=profile.operations.every_seconds,
        default_status=status,
        description="A new model card of a recipe with automation.promote.automatic has its policy applied.",
    )
    def promote_by_policy(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return look(context.instance, catalog, context.cursor)

    return promote_by_policy


def look(instance: dg.DagsterInstance, catalog: Catalog, cursor: str | None) -> dg.SensorResult:
    """One tick: a run for every recipe whose card is another one than at the last."""
    recipes = [name for name, recipe in catalog.recipes.items() if recipe.automation.promote.automatic]
    if not recipes:
        return dg.SensorResult(skip_reason="No recipe has automation.promote.automatic.")
    seen: dict[str, str] = json.loads(cursor or "{}")
    cards = {name: ref.digest for name in recipes if (ref := materialized_ref(instance, "model_card", name))}
    new = [name for name, digest in cards.items() if seen.get(name) != digest]
    if not new:
        return dg.SensorResult(skip_reason=f"No new model card of {', '.join(recipes)}.", cursor=json.dumps(cards))
    requests = [
        dg.RunRequest(
            run_key=f"{name}-{cards[name]}",
            run_config={"ops": {OP: {"config": {"recipe": name}}}},
            tags={"tokka/recipe": name, "tokka/by": "promote_by_policy", "tokka/why": "a new model card"},
        )
        for name in new
    ]
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cards))
