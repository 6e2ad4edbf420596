"""The gate of an evaluation: one good set of results, and one for each thing that it must stop."""

import copy
import json

import pytest

from assets.evaluation.stage import STAGE
from assets.lake import Identity
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed, failed_columns, judged

ITEMS = {"heldout_fi": 5, "heldout_en": 3}
TASKS = {
    name: {"kind": "bits_per_character", "files": f"{name}.jsonl", "language": name.removeprefix("heldout_")}
    for name in ITEMS
}
KEY = "tiny--step-0000004"


def catalog_with(reference=None):
    return Catalog.of([Recipe.model_validate(changed(RECIPE, tasks=TASKS, reference=reference or {}))])


CATALOG = catalog_with()


def put(lake, who, **counts):
    with lake.write(who) as out:
        out.counts.update(counts)
    return lake.find(who.asset, who.partition, who.version)


@pytest.fixture
def benchmarks(lake):
    return {name: put(lake, Identity("benchmark", name, {}, "test"), items=n, available=1) for name, n in ITEMS.items()}


@pytest.fixture
def good(benchmarks):
    """What the job writes: ``results.json``, and the number of item rows per task."""
    tasks = {
        name: {
            "status": "scored",
            "reason": "",
            "language": TASKS[name]["language"],
            "metrics": {"bits_per_character": 2.0, "unigram_bits_per_character": 4.0},
            "stderr": {"bits_per_character": 0.25},
            "items": items,
            "version": 1,
            "definition": "d" * 64,
            "data": benchmarks[name].digest,
        }
        for name, items in ITEMS.items()
    }
    return {"results": {"tasks": tasks, "harness": {"lm_eval": "0.4.13"}}, "rows": dict(ITEMS)}


def put_evaluation(lake, benchmarks, scored, name="good"):
    who = Identity("evaluation", KEY, {"name": name}, "test", tuple(made.ref for made in benchmarks.values()))
    with lake.write(who) as out:
        out.write_json("results.json", scored["results"])
        for task, rows in scored["rows"].items():
            out.stage(f"items/{task}.jsonl").write_text('{"id": "i"}\n' * rows, "utf-8")
    return lake.find("evaluation", KEY, who.version)


def test_good_results_pass_and_are_shown(lake, benchmarks, good):
    made = put_evaluation(lake, benchmarks, good)
    receipt = judged(STAGE, lake, made, CATALOG)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert receipt.numbers == {"tasks_scored": 2.0, "tasks_missing": 0.0}
    shown = STAGE.show(lake, made)
    assert shown["heldout_fi.bits_per_character"] == 2.0
    assert "not scored" not in shown


def test_an_error_that_was_not_measured_is_not_shown_as_zero(lake, benchmarks, good):
    rows = STAGE.show(lake, put_evaluation(lake, benchmarks, good))["scores"].rows
    errors = {row["metric"]: row["standard error"] for row in rows if row["task"] == "heldout_fi"}
    assert errors == {"bits_per_character": 0.25, "unigram_bits_per_character": "\N{EN DASH}"}


def without_a_task(scored):
    del scored["results"]["tasks"]["heldout_en"]


def with_a_failed_task(scored):
    not_scored(scored, "heldout_en", "failed", "ValueError: broken")


def with_fewer_items(scored):
    scored["results"]["tasks"]["heldout_fi"]["items"] = scored["rows"]["heldout_fi"] = 4


def with_more_items(scored):
    scored["results"]["tasks"]["heldout_fi"]["items"] = scored["rows"]["heldout_fi"] = 6


def with_fewer_item_rows(scored):
    scored["rows"]["heldout_fi"] = 4


def without_version(scored):
    scored["results"]["tasks"]["heldout_fi"]["version"] = None


def without_definition(scored):
    del scored["results"]["tasks"]["heldout_fi"]["definition"]


def without_data(scored):
    scored["results"]["tasks"]["heldout_fi"]["data"] = ""


def without_harness(scored):
    scored["results"]["harness"] = {}


def on_other_data(scored):
    scored["results"]["tasks"]["heldout_fi"]["data"] = "0" * 64


def without_any_score(scored):
    for name in ITEMS:
        not_scored(scored, name, "missing", "the data was not at hand")


def not_scored(scored, name, status, reason):
    """As the job writes a task that it did not score."""
    scored["results"]["tasks"][name] |= {"status": status, "reason": reason, "metrics": {}, "stderr": {}, "items": 0}
    scored["rows"].pop(name, None)


@pytest.mark.parametrize(
    ("damage", "column"),
    [
        (without_a_task, "tasks_without_result"),
        (with_a_failed_task, "tasks_failed"),
        (with_fewer_items, "items_missing"),
        (with_more_items, "items_missing"),
        (with_fewer_item_rows, "item_rows_missing"),
        (without_version, "provenance_missing"),
        (without_definition, "provenance_missing"),
        (without_data, "provenance_missing"),
        (without_harness, "provenance_missing"),
        (on_other_data, "other_data"),
        (without_any_score, "tasks_scored"),
    ],
)
def test_damaged_results_are_stopped(lake, benchmarks, good, damage, column):
    scored = copy.deepcopy(good)
    damage(scored)
    receipt = judged(STAGE, lake, put_evaluation(lake, benchmarks, scored, damage.__name__), CATALOG)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_item_results_that_are_not_there_are_stopped(lake, benchmarks, good):
    del good["rows"]["heldout_fi"]
    receipt = judged(STAGE, lake, put_evaluation(lake, benchmarks, good), CATALOG)
    assert not receipt.passed and "FileNotFoundError" in receipt.error


def test_a_task_without_data_only_warns(lake, benchmarks, good):
    not_scored(good, "heldout_en", "missing", "the data was not at hand")
    made = put_evaluation(lake, benchmarks, good)
    receipt = judged(STAGE, lake, made, CATALOG)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("tasks_missing", "warning")]
    (row,) = STAGE.show(lake, made)["not scored"].rows
    assert row == {"task": "heldout_en", "status": "missing", "reason": "the data was not at hand"}


def curve(score, tolerance=0.1, lower=True, step=4):
    return {"scores": {step: score}, "tolerance": tolerance, "lower_is_better": lower}


def with_reference(lake, benchmarks, good, found, reference):
    good["results"]["tasks"]["heldout_fi"]["metrics"]["bits_per_character"] = found
    catalog = catalog_with({"heldout_fi": {"bits_per_character": reference}})
    receipt = judged(STAGE, lake, put_evaluation(lake, benchmarks, good), catalog)
    assert receipt.error is None
    return receipt


@pytest.mark.parametrize(
    ("found", "reference"),
    [(2.21, curve(2.0)), (0.44, curve(0.5, lower=False)), (2.1, curve(2.0, tolerance=0))],
)
def test_a_score_worse_than_its_reference_by_more_than_the_tolerance_is_stopped(
    lake, benchmarks, good, found, reference
):
    receipt = with_reference(lake, benchmarks, good, found, reference)
    assert not receipt.passed
    assert failed_columns(receipt) == {"heldout_fi_bits_per_character"}


@pytest.mark.parametrize(
    ("found", "reference"),
    [
        (2.0, curve(2.0)),
        (2.19, curve(2.0)),
        (0.5, curve(2.0)),
        (0.5, curve(0.5, lower=False)),
        (0.46, curve(0.5, lower=False)),
        (0.9, curve(0.5, lower=False)),
        (9.0, curve(2.0, step=2)),
    ],
)
def test_a_score_within_the_tolerance_or_better_passes_and_other_steps_do_not_count(
    lake, benchmarks, good, found, reference
):
    receipt = with_reference(lake, benchmarks, good, found, reference)
    assert receipt.passed and not receipt.failed


@pytest.mark.parametrize("status", ["missing", "failed"])
def test_a_reference_that_could_not_be_compared_has_not_held(lake, benchmarks, good, status):
    not_scored(good, "heldout_en", status, "no score")
    catalog = catalog_with({"heldout_en": {"bits_per_character": curve(2.0)}})
    receipt = judged(STAGE, lake, put_evaluation(lake, benchmarks, good), catalog)
    assert not receipt.passed and receipt.error is None
    outcome = next(e for e in receipt.failed if e.column == "heldout_en_bits_per_character")
    assert outcome.observed == "missing"


def test_results_that_are_not_whole_json_are_stopped(lake, benchmarks, good):
    who = Identity("evaluation", KEY, {}, "test", tuple(made.ref for made in benchmarks.values()))
    with lake.write(who) as out:
        out.stage("results.json").write_text(json.dumps(good["results"])[:-20], "utf-8")
    receipt = judged(STAGE, lake, lake.find("evaluation", KEY, who.version), CATALOG)
    assert not receipt.passed and "could not judge" in receipt.error
