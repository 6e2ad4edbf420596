"""Dagster's definitions of a catalog under a profile."""

import dagster as dg

from assets.recipe.catalog import Catalog
from orchestration.assets_from_stages import build_all
from orchestration.lineage import LakeInputs
from orchestration.profile import Profile
from orchestration.progress import progress_logger


def build_definitions(catalog: Catalog, profile: Profile) -> dg.Definitions:
    """The graph of a catalog under a profile."""
    assets, checks = build_all(catalog)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        resources={"profile": profile, "lake_inputs": LakeInputs(profile=profile)},
        loggers={"progress": progress_logger, "console": dg.colored_console_logger},
        # Stages use all cores themselves and the steps of a run follow each other, so processes per step only cost time.
        executor=dg.in_process_executor,
    )
