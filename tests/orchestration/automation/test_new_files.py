"""The sensor of new files, over real folders."""

import json
import os
import time
from typing import Any

import dagster as dg
import pytest

from orchestration.automation.new_files import build_new_files, list_files, read_cursor
from tests.orchestration.automation.place import Place


def tick(place: Place, cursor: str | None) -> dg.SensorResult:
    sensor = build_new_files(place.catalog, place.profile, dg.DefaultSensorStatus.STOPPED)
    context = dg.build_sensor_context(instance=place.instance, cursor=cursor)
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requests(result: dg.SensorResult) -> dict[str, dg.RunRequest]:
    return {str(request.partition_key): request for request in result.run_requests or []}


@pytest.fixture
def settled(place: Place) -> tuple[Place, str | None]:
    """Two sources whose files were requested."""
    place.file("docs_fi", "a.jsonl")
    place.file("docs_pairs", "a.jsonl")
    cursor = tick(place, None).cursor
    second = tick(place, cursor)
    assert set(requests(second)) == {"docs_fi", "docs_pairs"}
    return place, second.cursor


def test_files_are_requested_once_they_are_the_same_at_two_ticks(place: Place) -> None:
    place.file("docs_fi", "a.jsonl")
    first = tick(place, None)
    assert not first.run_requests
    assert "looked at again at the next tick" in str(first.skip_reason) and "docs_fi" in str(first.skip_reason)
    place.file("docs_fi", "a.jsonl", "longer, somebody is still writing\n")
    second = tick(place, first.cursor)
    assert not second.run_requests
    third = tick(place, second.cursor)
    (request,) = requests(third).values()
    assert request.partition_key == "docs_fi"
    assert request.asset_selection == [dg.AssetKey("raw_corpus")]
    assert "1 files, and no version of them yet: a.jsonl" in request.tags["tokka/why"]
    (observation,) = third.asset_events
    assert observation.partition == "docs_fi" and observation.metadata["why"].value == request.tags["tokka/why"]


def test_nothing_new_is_said_to_be_nothing_new(settled: tuple[Place, str]) -> None:
    place, cursor = settled
    result = tick(place, cursor)
    assert not result.run_requests
    assert "2 of 2 sources are as they were" in str(result.skip_reason)


def test_a_new_a_changed_and_a_removed_file_each_make_a_request_for_their_source_alone(
    settled: tuple[Place, str],
) -> None:
    place, cursor = settled
    place.make("raw_corpus", "docs_fi", config={"files": {"a.jsonl": "sha256:1"}})
    changes: list[Any] = [
        lambda: place.file("docs_fi", "b.jsonl"),
        lambda: place.file("docs_fi", "a.jsonl", "other\n"),
        (place.folder / "data" / "docs_fi" / "b.jsonl").unlink,
    ]
    said = []
    for change in changes:
        change()
        first = tick(place, cursor)
        second = tick(place, first.cursor)
        cursor = second.cursor
        assert not first.run_requests and set(requests(second)) == {"docs_fi"}
        said.append(requests(second)["docs_fi"].tags["tokka/why"])
    assert said[0].startswith("1 new: b.jsonl; compared with the version ")
    assert "other sizes or times" in said[2]


def test_a_file_touched_without_a_change_is_left_to_the_run(settled: tuple[Place, str]) -> None:
    place, cursor = settled
    os.utime(place.folder / "data" / "docs_fi" / "a.jsonl", (1, 1))
    second = tick(place, tick(place, cursor).cursor)
    assert set(requests(second)) == {"docs_fi"}


def test_a_source_that_cannot_be_listed_is_named_and_holds_up_no_other(place: Place) -> None:
    place.file("docs_fi", "a.jsonl")
    second = tick(place, tick(place, None).cursor)
    assert set(requests(second)) == {"docs_fi"}
    third = tick(place, second.cursor)
    assert "cannot be listed: docs_pairs (no file matches" in str(third.skip_reason)


@pytest.mark.parametrize("cursor", ["", "no json", "[]", '{"seen": 3}', '{"seen": null}'])
def test_a_cursor_that_cannot_be_read_begins_anew(cursor: str) -> None:
    assert read_cursor(cursor) == {"seen": {}, "changing": {}}


def test_thousands_of_files_are_a_matter_of_seconds_and_none_is_read(place: Place) -> None:
    for number in range(5_000):
        place.file("docs_fi", f"{number:05d}.jsonl", "x")
    listing = list_files([str(place.folder / "data" / "docs_fi" / "*.jsonl")])
    assert len(listing.names) == 5_000
    started = time.process_time()
    result = tick(place, None)
    assert time.process_time() - started < 5
    assert len(json.dumps(result.cursor)) < 1_000  # it does not grow with the files
