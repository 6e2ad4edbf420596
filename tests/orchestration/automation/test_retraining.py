"""The schedule of training: what it requests, and what it says where it does not."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import ValidationError

from assets.lake import Manifest
from assets.lake.fingerprint import canonical
from assets.recipe.automation import Retraining, cron_fault
from orchestration.automation.budget import period_start
from orchestration.automation.retraining import build_schedules, decide
from tests.orchestration.automation.place import Place

RETRAIN: dict[str, Any] = {
    "cron": "0 2 * * 0",
    "budget": {"gpu_hours": 10},
    "estimate": {"gpu_hours": 3, "co2_kg": 0.5},
}
NOW = datetime.now(UTC)


@pytest.fixture
def ready(place: Place) -> Place:
    """A mixture that was never trained on, with a schedule."""
    place.recipe["automation"] = {"retrain": RETRAIN}
    place.road("mixture")
    return place


def tick(place: Place, **budget: float) -> dg.RunRequest | dg.SkipReason:
    recipe = place.catalog.recipe("tiny")
    retraining = Retraining.model_validate(RETRAIN | {"budget": RETRAIN["budget"] | budget})
    return decide(place.instance, place.profile, recipe, retraining, NOW)


def train(place: Place, hours: float = 2.0, co2: float | None = 0.25, tokens: int = 256) -> Manifest:
    model = place.catalog.recipe("tiny").model
    cost = {"rank_hours": hours} | ({} if co2 is None else {"co2_kg": co2})
    config = {"model": canonical(model.model_dump(mode="json", exclude={"start_from": {"folder"}})), "hours": hours}
    return place.make("pretraining_run", "tiny", config=config, cost=cost, counts={"tokens": tokens})


def skipped(result: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(result, dg.SkipReason), result
    return str(result.skip_message)


def test_what_was_never_trained_is_requested_with_exactly_its_pretraining(ready: Place) -> None:
    request = tick(ready)
    assert isinstance(request, dg.RunRequest)
    assert request.asset_selection == [dg.AssetKey("pretraining_run")] and request.partition_key == "tiny"
    assert request.tags["tokka/estimate"] == "3 GPU-hours and 0.5 kg CO2 (the recipe's estimate)"


def test_the_recipes_priority_is_that_of_its_run_in_the_queue(ready: Place) -> None:
    retraining = Retraining.model_validate(RETRAIN | {"priority": 7})
    request = decide(ready.instance, ready.profile, ready.catalog.recipe("tiny"), retraining, NOW)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[PRIORITY_TAG] == "7"
    assert tick(ready).tags[PRIORITY_TAG] == "0"  # type: ignore[union-attr]


def test_unchanged_data_are_not_trained_on_again(ready: Place) -> None:
    run = train(ready)
    said = skipped(tick(ready))
    assert "its data have not changed since the run" in said and run.version in said


def test_a_rebuild_with_the_same_tokens_is_not_trained_on_again(ready: Place) -> None:
    train(ready)
    # Other versions all the way, from a raw corpus that differs, to the same shards.
    ready.make("raw_corpus", "docs_fi", "2")
    for asset in (
        "clean_corpus",
        "duplicates",
        "deduplicated_corpus",
        "decontaminated_corpus",
        "tokenizer",
        "tokenized_shards",
    ):
        for key in sorted(ready.instance.get_materialized_partitions(dg.AssetKey(asset))):
            ready.make(asset, key)
    before = ready.ref("mixture", "tiny")
    assert ready.make("mixture", "tiny").ref != before
    assert "read the same tokens" in skipped(tick(ready))


def test_changed_data_are_trained_on_and_the_last_run_says_what_it_will_cost(ready: Place) -> None:
    train(ready, hours=2.0, tokens=128)
    ready.make("tokenized_shards", "docs_fi--tiny-bpe", "other tokens")
    ready.make("mixture", "tiny")
    request = tick(ready)
    assert isinstance(request, dg.RunRequest)
    assert "has other tokens than" in request.tags["tokka/why"]
    # The recipe trains on 4 x 4 x 16 = 256 tokens, the last run on half of them.
    assert request.tags["tokka/estimate"].startswith("4 GPU-hours and 0.5 kg CO2")


def test_over_budget_it_says_the_numbers(ready: Place) -> None:
    train(ready, hours=6.0)
    ready.make("tokenized_shards", "docs_fi--tiny-bpe", "other tokens")
    ready.make("mixture", "tiny")
    assert (
        "the budget is 10 GPU-hours per month: 6 GPU-hours and 0.25 kg CO2 spent this month, about 6 GPU-hours and 0.25 kg CO2 "
        "for the next run (the run of" in skipped(tick(ready))
    )
    assert isinstance(tick(ready, gpu_hours=12.0), dg.RunRequest)
    assert "the budget is 0.4 kg CO2 per month" in skipped(tick(ready, gpu_hours=100.0, co2_kg=0.4))
    assert isinstance(tick(ready, gpu_hours=100.0, co2_kg=0.5), dg.RunRequest)


def test_a_co2_budget_without_known_emissions_refuses(ready: Place) -> None:
    train(ready, co2=None)
    ready.make("tokenized_shards", "docs_fi--tiny-bpe", "other tokens")
    ready.make("mixture", "tiny")
    assert "what training emits is not known" in skipped(tick(ready, gpu_hours=100.0, co2_kg=5.0))


def test_a_mixture_that_is_not_there_or_has_not_passed_is_not_trained_on(place: Place) -> None:
    assert "its mixture was never made" in skipped(tick(place))
    place.road("tokenized_shards")
    place.make("mixture", "tiny", passed=None)
    assert "has not judged it" in skipped(tick(place))
    place.judge(place.lake.manifest(place.ref("mixture", "tiny")), False)
    assert "has not passed" in skipped(tick(place))


def test_a_recipe_that_is_being_trained_is_not_started_twice(ready: Place) -> None:
    job = ready.definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey("pretraining_run")])
    assert job is not None
    run = ready.instance.create_run_for_job(
        job, asset_selection=frozenset([dg.AssetKey("pretraining_run")]), tags={"dagster/partition": "tiny"}
    )
    assert f"the run {run.run_id[:8]} is training it now" in skipped(tick(ready))


def test_the_schedule_is_stopped_unless_the_recipe_says_otherwise_and_ticks(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:  # a schedule's context opens it again
        place = Place(tmp_path, instance)
        place.recipe["automation"] = {"retrain": RETRAIN}
        (schedule,) = build_schedules(place.catalog, place.profile)
        assert schedule.name == "train_tiny" and schedule.cron_schedule == "0 2 * * 0"
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=NOW)
        assert "its mixture was never made" in skipped(schedule(context))
        place.make("mixture", "tiny", inputs=[])
        request = schedule(context)
        assert isinstance(request, dg.RunRequest) and request.partition_key == "tiny"


@pytest.mark.parametrize("cron", ["0 2 * * 0", "*/5 0-6,22 1 jan-mar mon", "0 0 1 1 *", "59 23 31 12 7"])
def test_right_cron_expressions(cron: str) -> None:
    assert cron_fault(cron) is None


@pytest.mark.parametrize(
    "cron",
    ["", "daily", "60 * * * *", "* * * *", "0 24 * * *", "5-1 * * * *", "* * 0 * *", "* * * * foo", "*/0 * * * *"],
)
def test_wrong_cron_expressions(cron: str) -> None:
    assert cron_fault(cron)
    with pytest.raises(ValidationError, match=r"fields|allowed are"):
        Retraining.model_validate(RETRAIN | {"cron": cron})


@pytest.mark.parametrize(("period", "start"), [("week", "2026-11-23"), ("month", "2026-11-01"), ("year", "2026-01-01")])
def test_periods_are_those_of_the_calendar(period: str, start: str) -> None:
    budget = Retraining.model_validate(RETRAIN | {"budget": {"gpu_hours": 1, "period": period}}).budget
    assert period_start(budget, datetime(2026, 11, 29, 23, 59, tzinfo=UTC)).isoformat() == f"{start}T00:00:00+00:00"
