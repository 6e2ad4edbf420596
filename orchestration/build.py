"""Dagster's definitions of a catalog under a profile."""

import dagster as dg

from assets.promotion.history import ASSET as PROMOTED_MODEL
from assets.recipe.catalog import Catalog
from orchestration.assets_from_stages import build_all
from orchestration.automation.build import how_assets_run, sensors
from orchestration.automation.retraining import build_schedules
from orchestration.lineage import LakeInputs
from orchestration.pools import sleep_while_waiting
from orchestration.profile import Profile
from orchestration.progress import progress_logger


def build_definitions(catalog: Catalog, profile: Profile) -> dg.Definitions:
    """The graph of a catalog under a profile, and what happens in it by itself."""
    sleep_while_waiting()
    assets, checks = build_all(catalog, how_assets_run(catalog, profile))
    promoted = dg.AssetSpec(
        PROMOTED_MODEL,
        description="Promoted models, by `tokka promote` or by a recipe's policy; each event is an entry of the history.",
        deps=["checkpoint", "evaluation", "model_card"],
        group_name="reports",
        kinds={"huggingface"},
    )
    return dg.Definitions(
        assets=[*assets, promoted],
        asset_checks=checks,
        resources=_resources(profile),
        loggers={"progress": progress_logger, "console": dg.colored_console_logger},
        # Stages use all cores themselves and the steps of a run follow each other, so processes per step only cost time.
        executor=dg.in_process_executor,
        sensors=list(sensors(catalog, profile)),
        schedules=list(build_schedules(catalog, profile)),
    )


def _resources(profile: Profile) -> dict[str, dg.ResourceDefinition]:
    """What steps are given. Nothing of it is configured by run: a profile holds for all runs of a place."""

    @dg.resource(description=f"The settings of this place:\n```\n{profile.model_dump_json(indent=1)}\n```")
    def settings(context: dg.InitResourceContext) -> Profile:
        return profile

    @dg.io_manager(description="Hands a step the manifests of the versions that it reads.")
    def lake_inputs(context: dg.InitResourceContext) -> LakeInputs:
        return LakeInputs(profile)

    return {"profile": settings, "lake_inputs": lake_inputs}
