"""What Dagster does by itself with a catalog under a profile: conditions, sensors, pools, freshness."""

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.graph import BY_ASSET
from assets.recipe.catalog import Catalog
from orchestration.automation.alerts import build_alerts
from orchestration.automation.conditions import FOLLOW_CHECKPOINTS, FOLLOW_DATA, conditions
from orchestration.automation.new_files import build_new_files
from orchestration.automation.promoting import build_promotion
from orchestration.automation.retraining import PRIORITY
from orchestration.profile import Profile, ProfileError
from orchestration.run_workers import build_retries

# Conditions of one's own are evaluated by the code server, which is beta in 1.13; the daemon's test covers it.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

GPU_POOL = "gpu"


def pools(profile: Profile) -> dict[str, str]:
    """The pool in which an asset's steps take a place; ``dagster instance concurrency set gpu 2`` says how many it has.

    Checkpoints are scored beside other work where that runs on this machine's cores.
    """
    from training_jobs.launchers.local import has_gpu

    trains = {"pretraining_run": GPU_POOL}
    return trains if profile.launcher_name == "local" and not has_gpu() else {**trains, "evaluation": GPU_POOL}


def how_assets_run(catalog: Catalog, profile: Profile) -> dict[str, dict[str, Any]]:
    """By asset: its condition, its pool, its freshness policy. Raises ProfileError where the profile names no asset."""
    how: dict[str, dict[str, Any]] = {asset: {} for asset in BY_ASSET}
    for asset, condition in conditions(catalog, profile).items():
        how[asset]["automation_condition"] = condition
    for asset, pool in pools(profile).items():
        how[asset]["pool"] = pool
    for asset, fresh in profile.operations.freshness.items():
        if asset not in BY_ASSET:
            raise ProfileError(f"operations.freshness names {asset!r}; the assets are: {', '.join(BY_ASSET)}.")
        how[asset]["freshness_policy"] = dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=fresh.fail_days), warn_window=timedelta(days=fresh.warn_days)
        )
    return how


def sensors(catalog: Catalog, profile: Profile) -> Iterator[dg.SensorDefinition]:
    """All sensors. Those that begin something stand still unless the profile names them."""
    settings = profile.operations

    def status(name: str) -> dg.DefaultSensorStatus:
        running = name in settings.running
        return dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED

    yield build_new_files(catalog, profile, status("new_files"))
    for name, assets, description in (
        ("follow_data", FOLLOW_DATA, "From clean_corpus to mixture: what was made from other versions is made anew."),
        (
            "follow_checkpoints",
            FOLLOW_CHECKPOINTS,
            "Behind a pretraining run: its checkpoints, their scores, the reports.",
        ),
    ):
        yield dg.AutomationConditionSensorDefinition(
            name,
            target=dg.AssetSelection.assets(*assets),
            default_status=status(name),
            minimum_interval_seconds=settings.every_seconds,
            # What is begun is finished before something else is begun.
            run_tags={"tokka/by": name, PRIORITY: "1"},
            emit_backfills=False,
            use_user_code_server=True,
            description=description,
        )
    yield build_promotion(catalog, profile, status("promote_by_policy"))
    yield build_alerts(catalog, profile, status("alerts"))
    yield build_retries()
