"""The gate of an evaluation: one good set of results, and one for each thing that it must stop."""

import copy
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.decontamination.stage import matches_schema
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


def catalog_with(reference=None, missing_data="warn"):
    evaluation = {"missing_data": missing_data}
    value = changed(RECIPE, tasks=TASKS, reference=reference or {}, evaluation=evaluation)
    return Catalog.of([Recipe.model_validate(value)])


CATALOG = catalog_with()


def put(lake, who, **counts):
    with lake.write(who) as out:
        out.counts.update(counts)
    return lake.find(who.asset, who.partition, who.version)


@pytest.fixture
def benchmarks(lake):
    return {name: put(lake, Identity("benchmark", name, {}, "test"), items=n, available=1) for name, n in ITEMS.items()}


@pytest.fixture
def corpora(lake, benchmarks):
    """The corpora that the recipe trains on. In one of them stood the first item of heldout_fi."""
    made = {}
    for source in ("docs_fi", "docs_pairs"):
        who = Identity("decontaminated_corpus", source, {}, "test", tuple(b.ref for b in benchmarks.values()))
        common = {"document": "docs_fi:3", "words": 20, "dropped": False, "excerpt": "..."}
        rows = [
            {**common, "benchmark": "heldout_fi", "item": "i0", "share": 0.2},
            {**common, "benchmark": "heldout_fi", "item": "i1", "share": 0.19},
            {**common, "benchmark": "protected", "item": "i2", "share": 1.0},
        ]
        with lake.write(who) as out:
            found = rows if source == "docs_fi" else []
            pq.write_table(pa.Table.from_pylist(found, matches_schema()), out.stage("matches.parquet"))
        made[source] = lake.find(who.asset, who.partition, who.version)
    return made


@pytest.fixture
def good(benchmarks):
    """What the job writes: ``results.json``, and the item rows per task."""
    tasks = {
        name: {
            "status": "scored",
            "reason": "",
            "language": TASKS[name]["language"],
            "metrics": {"bits_per_character": 2.0, "unigram_bits_per_character": 4.0},
            "stderr": {"bits_per_character": 0.25},
            "items": items,
            "contaminated": int(name == "heldout_fi"),
            "clean": {
                "items": items - int(name == "heldout_fi"),
                "metrics": {"bits_per_character": 2.5 if name == "heldout_fi" else 2.0},
                "stderr": {},
            },
            "version": 1,
            "definition": "d" * 64,
            "data": benchmarks[name].digest,
        }
        for name, items in ITEMS.items()
    }
    rows = {
        name: [{"id": f"i{n}", "contaminated": (name, n) == ("heldout_fi", 0)} for n in range(items)]
        for name, items in ITEMS.items()
    }
    return {"results": {"tasks": tasks, "harness": {"lm_eval": "0.4.13"}}, "rows": rows}


@pytest.fixture
def inputs(benchmarks, corpora):
    return [*benchmarks.values(), *corpora.values()]


def put_evaluation(lake, inputs, scored, name="good"):
    who = Identity("evaluation", KEY, {"name": name}, "test", tuple(made.ref for made in inputs))
    with lake.write(who) as out:
        out.write_json("results.json", scored["results"])
        for task, rows in scored["rows"].items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            out.stage(f"items/{task}.jsonl").write_text(lines, "utf-8")
    return lake.find("evaluation", KEY, who.version)


def test_good_results_pass_and_are_shown(lake, inputs, good):
    made = put_evaluation(lake, inputs, good)
    receipt = judged(STAGE, lake, made, CATALOG)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert receipt.numbers == {"tasks_scored": 2.0, "tasks_missing": 0.0}
    shown = STAGE.show(lake, made)
    assert shown["heldout_fi.bits_per_character"] == 2.0
    assert "not scored" not in shown


def test_an_error_that_was_not_measured_is_not_shown_as_zero(lake, inputs, good):
    rows = STAGE.show(lake, put_evaluation(lake, inputs, good))["scores"].rows
    errors = {row["metric"]: row["standard error"] for row in rows if row["task"] == "heldout_fi"}
    assert errors == {"bits_per_character": 0.25, "unigram_bits_per_character": "\N{EN DASH}"}


def without_a_task(scored):
    del scored["results"]["tasks"]["heldout_en"]


def with_a_failed_task(scored):
    not_scored(scored, "heldout_en", "failed", "ValueError: broken")


def with_fewer_items(scored):
    scored["results"]["tasks"]["heldout_fi"]["items"] = 4
    scored["results"]["tasks"]["heldout_fi"]["clean"]["items"] = 3
    scored["rows"]["heldout_fi"].pop()


def with_more_items(scored):
    scored["results"]["tasks"]["heldout_fi"]["items"] = 6
    scored["results"]["tasks"]["heldout_fi"]["clean"]["items"] = 5
    scored["rows"]["heldout_fi"].append({"id": "i5", "contaminated": False})


def with_fewer_item_rows(scored):
    scored["rows"]["heldout_fi"].pop()


def with_an_item_that_is_neither(scored):
    scored["results"]["tasks"]["heldout_fi"]["clean"]["items"] = 3


def with_another_count_of_contaminated(scored):
    scored["results"]["tasks"]["heldout_fi"] |= {"contaminated": 0}
    scored["results"]["tasks"]["heldout_fi"]["clean"]["items"] = 5


def with_a_contaminated_item_taken_for_clean(scored):
    scored["rows"]["heldout_fi"][0]["contaminated"] = False
    with_another_count_of_contaminated(scored)


def with_the_wrong_item_left_out(scored):
    rows = scored["rows"]["heldout_fi"]
    rows[0]["contaminated"], rows[1]["contaminated"] = False, True


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
        (without_a_task, "without_result"),
        (with_a_failed_task, "failed"),
        (with_fewer_items, "incomplete"),
        (with_more_items, "incomplete"),
        (with_fewer_item_rows, "item_rows_missing"),
        (with_an_item_that_is_neither, "clean_miscounted"),
        (with_another_count_of_contaminated, "clean_miscounted"),
        (with_a_contaminated_item_taken_for_clean, "wrongly_clean_or_not"),
        (with_the_wrong_item_left_out, "wrongly_clean_or_not"),
        (without_version, "provenance_missing"),
        (without_definition, "provenance_missing"),
        (without_data, "provenance_missing"),
        (without_harness, "provenance_missing"),
        (on_other_data, "other_data"),
        (without_any_score, "tasks_scored"),
    ],
)
def test_damaged_results_are_stopped(lake, inputs, good, damage, column):
    scored = copy.deepcopy(good)
    damage(scored)
    receipt = judged(STAGE, lake, put_evaluation(lake, inputs, scored, damage.__name__), CATALOG)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_corpora_searched_for_other_items_are_stopped(lake, benchmarks, corpora, good):
    who = Identity("decontaminated_corpus", "docs_fi", {"other": 1}, "test", (benchmarks["heldout_en"].ref,))
    with lake.write(who) as out:
        pq.write_table(matches_schema().empty_table(), out.stage("matches.parquet"))
    corpora["docs_fi"] = lake.find(who.asset, who.partition, who.version)
    made = put_evaluation(lake, [*benchmarks.values(), *corpora.values()], good, "other")
    receipt = judged(STAGE, lake, made, CATALOG)
    assert failed_columns(receipt) == {"contamination_unknown", "wrongly_clean_or_not"}


def test_both_scores_are_shown_with_the_number_of_contaminated_items(lake, inputs, good):
    rows = STAGE.show(lake, put_evaluation(lake, inputs, good))["scores"].rows
    found = {(r["task"], r["metric"]): (r["score"], r["clean score"], r["items"], r["contaminated"]) for r in rows}
    assert found["heldout_fi", "bits_per_character"] == (2.0, 2.5, 5, 1)
    assert found["heldout_en", "bits_per_character"] == (2.0, 2.0, 3, 0)
    assert found["heldout_fi", "unigram_bits_per_character"] == (4.0, "\N{EN DASH}", 5, 1)


def test_item_results_that_are_not_there_are_stopped(lake, inputs, good):
    del good["rows"]["heldout_fi"]
    receipt = judged(STAGE, lake, put_evaluation(lake, inputs, good), CATALOG)
    assert not receipt.passed and "FileNotFoundError" in receipt.error


@pytest.mark.parametrize(("missing_data", "severity"), [("fail", "critical"), ("warn", "warning")])
def test_a_task_without_data_is_named_and_stops_unless_the_recipe_only_warns(
    lake, inputs, good, missing_data, severity
):
    not_scored(good, "heldout_en", "missing", "the data was not at hand")
    made = put_evaluation(lake, inputs, good)
    receipt = judged(STAGE, lake, made, catalog_with(missing_data=missing_data))
    assert receipt.passed == (missing_data == "warn")
    assert [(e.column, e.severity, e.observed) for e in receipt.failed] == [("missing", severity, "heldout_en")]
    (row,) = STAGE.show(lake, made)["not scored"].rows
    assert row == {"task": "heldout_en", "status": "missing", "reason": "the data was not at hand"}


def curve(score, tolerance=0.1, lower=True, step=4):
    return {"scores": {step: score}, "tolerance": tolerance, "lower_is_better": lower}


def with_reference(lake, inputs, good, found, reference):
    good["results"]["tasks"]["heldout_fi"]["metrics"]["bits_per_character"] = found
    catalog = catalog_with({"heldout_fi": {"bits_per_character": reference}})
    receipt = judged(STAGE, lake, put_evaluation(lake, inputs, good), catalog)
    assert receipt.error is None
    return receipt


@pytest.mark.parametrize(
    ("found", "reference"),
    [(2.21, curve(2.0)), (0.44, curve(0.5, lower=False)), (2.1, curve(2.0, tolerance=0))],
)
def test_a_score_worse_than_its_reference_by_more_than_the_tolerance_is_stopped(lake, inputs, good, found, reference):
    receipt = with_reference(lake, inputs, good, found, reference)
    assert not receipt.passed
    assert failed_columns(receipt) == {"heldout_fi_bits_per_character"}
    (outcome,) = receipt.failed
    assert outcome.observed == f"{found:g}"
    assert outcome.meaning == (
        f"no regression: heldout_fi bits_per_character at step 4 is no worse than the reference {reference['scores'][4]:g} by "
        f"more than {reference['tolerance']:.0%}"
    )


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
    lake, inputs, good, found, reference
):
    receipt = with_reference(lake, inputs, good, found, reference)
    assert receipt.passed and not receipt.failed


@pytest.mark.parametrize("status", ["missing", "failed"])
def test_a_reference_that_could_not_be_compared_has_not_held(lake, inputs, good, status):
    not_scored(good, "heldout_en", status, "no score")
    catalog = catalog_with({"heldout_en": {"bits_per_character": curve(2.0)}})
    receipt = judged(STAGE, lake, put_evaluation(lake, inputs, good), catalog)
    assert not receipt.passed and receipt.error is None
    outcome = next(e for e in receipt.failed if e.column == "heldout_en_bits_per_character")
    assert outcome.observed == "missing"


def test_results_that_are_not_whole_json_are_stopped(lake, inputs, good):
    who = Identity("evaluation", KEY, {}, "test", tuple(made.ref for made in inputs))
    with lake.write(who) as out:
        out.stage("results.json").write_text(json.dumps(good["results"])[:-20], "utf-8")
    receipt = judged(STAGE, lake, lake.find("evaluation", KEY, who.version), CATALOG)
    assert not receipt.passed and "could not judge" in receipt.error
