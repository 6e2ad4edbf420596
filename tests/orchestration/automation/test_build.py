"""What is defined, what stands still, and how the profile turns it on."""

import dagster as dg
import pytest
import yaml
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import ValidationError

from assets.recipe.operations import Operations
from orchestration.build import build_definitions
from orchestration.instance import SETTINGS
from orchestration.profile import ProfileError
from tests.orchestration.automation.place import Place
from training_jobs.launchers import local

SENSORS = {"new_files", "follow_data", "follow_checkpoints", "promote_by_policy", "alerts"}
RETRIES = "retry_lost_runs"
"""It begins nothing, and always works."""


def test_everything_stands_still_unless_the_profile_says_otherwise(place: Place) -> None:
    stopped = {s.name: s.default_status for s in place.definitions.sensors or []}
    assert stopped.pop(RETRIES) == dg.DefaultSensorStatus.RUNNING
    assert stopped == dict.fromkeys(SENSORS, dg.DefaultSensorStatus.STOPPED)
    place.operations = {"running": ["new_files", "alerts"]}
    del place.definitions
    running = {s.name for s in place.definitions.sensors or [] if s.default_status == dg.DefaultSensorStatus.RUNNING}
    assert running == {"new_files", "alerts", RETRIES}


@pytest.mark.parametrize(
    ("launcher", "devices", "taking"),
    [
        ("slurm", (), {"pretraining_run", "evaluation"}),
        ("local", ("/dev/null",), {"pretraining_run", "evaluation"}),
        ("local", ("/dev/no-such-gpu",), {"pretraining_run"}),
    ],
)
def test_work_on_gpus_takes_a_place_in_their_pool(
    launcher: str, devices: tuple[str, ...], taking: set[str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_GPU_DEVICES", devices)
    profile = place.profile.model_copy(update={"launcher_name": launcher})
    definitions = build_definitions(place.catalog, profile)
    pools = {a.key.to_user_string(): a.op.pool for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)}
    assert {asset for asset, pool in pools.items() if pool == "gpu"} == taking
    assert {pool for asset, pool in pools.items() if asset not in taking} == {None}


def test_what_is_begun_leaves_the_queue_before_what_is_new(place: Place) -> None:
    tags = {
        sensor.name: sensor.run_tags
        for sensor in place.definitions.sensors or []
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    }
    assert set(tags) == {"follow_data", "follow_checkpoints"}
    assert all(int(each[PRIORITY_TAG]) > 0 for each in tags.values())


def test_freshness_policies_are_the_profiles(place: Place) -> None:
    place.operations = {"freshness": {"raw_corpus": {"warn_days": 7, "fail_days": 14}}}
    specs = {spec.key.to_user_string(): spec for spec in place.definitions.resolve_all_asset_specs()}
    policy = specs["raw_corpus"].freshness_policy
    assert policy.fail_window.to_timedelta().days == 14 and policy.warn_window.to_timedelta().days == 7
    assert specs["mixture"].freshness_policy is None


def test_a_profile_that_names_no_asset_is_refused(place: Place) -> None:
    place.operations = {"freshness": {"raw_corpora": {"warn_days": 7, "fail_days": 14}}}
    with pytest.raises(ProfileError, match="names 'raw_corpora'; the assets are: benchmark, raw_corpus"):
        _ = place.definitions


@pytest.mark.parametrize(
    "value",
    [
        {"running": ["train"]},  # no sensor trains
        {"every_seconds": 0},
        {"freshness": {"raw_corpus": {"warn_days": 14, "fail_days": 7}}},
        {"alerts": {"email": {"host": "h", "sender": "a@b", "to": []}}},
        {"alerts": {"webhook": "https://example.org/secret"}},  # a secret does not stand in a profile
    ],
)
def test_wrong_settings_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Operations.model_validate(value)


def test_the_instance_frees_places_and_starts_only_lost_runs_again() -> None:
    settings = yaml.safe_load(SETTINGS.read_text("utf-8"))
    assert settings["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}
    assert settings["run_monitoring"]["enabled"] and settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False


def test_two_that_need_the_gpu_do_not_run_at_once_and_a_killed_run_gives_its_place_back(tmp_path: object) -> None:
    import socket

    from orchestration.instance import HOST, PROCESS, close_dead_runs

    with dg.DagsterInstance.local_temp(
        str(tmp_path), overrides={"concurrency": {"pools": {"default_limit": 1, "granularity": "op"}}}
    ) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("gpu")
        run = instance.create_run_for_job(
            dg.job(name="job")(lambda: None),
            tags={HOST: socket.gethostname(), PROCESS: str(2**22 + 1)},
            status=dg.DagsterRunStatus.STARTED,
        )
        assert storage.claim_concurrency_slot("gpu", run.run_id, "pretraining_run").is_claimed
        assert not storage.claim_concurrency_slot("gpu", "another", "evaluation").is_claimed
        assert close_dead_runs(instance) == 1
        assert storage.claim_concurrency_slot("gpu", "another", "evaluation").is_claimed
