"""Which partitions follow their inputs, evaluated by Dagster over a real event log."""

import dagster as dg
import pytest

from orchestration.automation.conditions import FOLLOW_CHECKPOINTS, FOLLOW_DATA
from tests.orchestration.automation.place import Place


def requested(place: Place, cursor: object = None) -> tuple[dict[str, set[str]], object]:
    """What one tick requests, by asset."""
    followers = dg.AssetSelection.assets(*FOLLOW_DATA, *FOLLOW_CHECKPOINTS)
    result = dg.evaluate_automation_conditions(
        place.definitions, place.instance, asset_selection=followers, cursor=cursor
    )
    found = {}
    for asset in (*FOLLOW_DATA, *FOLLOW_CHECKPOINTS):
        keys = result.get_requested_partitions(dg.AssetKey(asset))
        if keys:
            found[asset] = {str(key) for key in keys}
    return found, result.cursor


def test_nothing_is_requested_where_nothing_is_there(place: Place) -> None:
    assert requested(place)[0] == {}


def test_a_clean_corpus_follows_its_raw_corpus_and_only_that(place: Place) -> None:
    place.make("raw_corpus", "docs_fi")
    assert requested(place)[0] == {"clean_corpus": {"docs_fi"}}


def test_what_is_made_from_what_is_there_stays(place: Place) -> None:
    place.road("mixture")
    assert requested(place)[0] == {}


def test_a_new_version_goes_down_the_road_step_by_step_and_stops_before_training(place: Place) -> None:
    place.road("mixture")
    place.make("raw_corpus", "docs_fi", "2")
    seen: list[str] = []
    cursor = None
    for _ in range(20):
        found, cursor = requested(place, cursor)
        if not found:
            break
        seen += list(found)
        for asset, keys in found.items():
            for key in keys:
                place.make(asset, key)
    assert seen[0] == "clean_corpus" and seen[-1] == "mixture"
    assert set(seen) == set(FOLLOW_DATA)
    assert place.ref("pretraining_run", "tiny") is None


def test_a_rebuild_with_the_same_bytes_is_no_change(place: Place) -> None:
    place.road("mixture")
    place.make("raw_corpus", "docs_fi")  # the event is new, the version is not
    assert requested(place)[0] == {}


@pytest.mark.parametrize("passed", [False, None], ids=["failed", "never run"])
def test_a_gate_that_has_not_passed_holds_back_its_own_partition_alone(place: Place, passed: bool | None) -> None:
    place.make("raw_corpus", "docs_fi", passed=passed)
    place.make("raw_corpus", "docs_pairs")
    assert requested(place)[0] == {"clean_corpus": {"docs_pairs"}}


def test_one_failed_gate_of_many_inputs_holds_back_what_reads_them_all(place: Place) -> None:
    place.road("clean_corpus")
    place.make("clean_corpus", "docs_fi", "worse", passed=False)
    # Dagster's all_deps_blocking_checks_passed is true here, since docs_pairs has passed.
    assert "duplicates" not in requested(place)[0]
    place.judge(place.lake.manifest(place.ref("clean_corpus", "docs_fi")), True)
    assert requested(place)[0]["duplicates"] == {"tiny"}


def test_a_gate_that_passed_on_an_older_version_does_not_count(place: Place) -> None:
    place.make("raw_corpus", "docs_fi")
    place.make("clean_corpus", "docs_fi")
    place.make("raw_corpus", "docs_fi", "2", passed=None)
    assert requested(place)[0] == {}


def test_training_follows_nothing(place: Place) -> None:
    assets = place.definitions.resolve_asset_graph()
    for asset in ("raw_corpus", "benchmark", "pretraining_run"):
        assert assets.get(dg.AssetKey(asset)).automation_condition is None
    place.road("mixture")
    assert requested(place)[0] == {}


def test_checkpoints_are_scored_once_their_gate_has_passed_and_reports_follow(place: Place) -> None:
    place.road("pretraining_run")
    keys = {"tiny--step-0000000", "tiny--step-0000004"}
    assert requested(place)[0] == {"checkpoint": keys}
    for key in keys:
        place.make("checkpoint", key, passed=key.endswith("4"))
    assert requested(place)[0] == {"evaluation": {"tiny--step-0000004"}}
    place.make("evaluation", "tiny--step-0000004")
    assert requested(place)[0] == {}
    first = place.ref("checkpoint", "tiny--step-0000000")
    place.judge(place.lake.manifest(first), True)
    assert requested(place)[0] == {"evaluation": {"tiny--step-0000000"}}
    place.make("evaluation", "tiny--step-0000000")
    assert requested(place)[0] == {"scoreboard": {"tiny"}}
    place.make("scoreboard", "tiny")
    assert requested(place)[0] == {"model_card": {"tiny"}}
    place.make("model_card", "tiny")
    assert requested(place)[0] == {}


def test_new_data_are_no_reason_to_score_an_old_model_again(place: Place) -> None:
    place.road("model_card")
    for asset in ("raw_corpus", *FOLLOW_DATA):
        for key in sorted(place.instance.get_materialized_partitions(dg.AssetKey(asset))):
            place.make(asset, key, "2" if asset == "raw_corpus" else "1")
    assert requested(place)[0] == {}


def test_scores_of_two_runs_do_not_stand_on_one_board(place: Place) -> None:
    place.road("model_card")
    place.make("pretraining_run", "tiny", "2")
    keys = ["tiny--step-0000000", "tiny--step-0000004"]
    for key in keys:
        place.make("checkpoint", key)
    place.make("evaluation", keys[0])
    assert requested(place)[0] == {"evaluation": {keys[1]}}
    place.make("evaluation", keys[1])
    assert requested(place)[0] == {"scoreboard": {"tiny"}}
