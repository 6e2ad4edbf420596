"""The gate of an evaluation: every task ran on every item it should, provenance is recorded, no regression."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from assets.evaluation.contamination import contaminated_items
from assets.gates.expectations import at_least, at_most, empty, none
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import Catalog, split, step_number

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

PROVENANCE = ("version", "definition", "data")


def bounds(catalog: Catalog, key: str) -> dict[str, Any]:
    """What the recipe wants scored, what follows where data is missing, and its reference scores at this step."""
    name, step = split(key)
    recipe = catalog.recipe(name)
    return {
        "tasks": list(recipe.scored_tasks),
        "missing": "warning" if recipe.evaluation.missing_data == "warn" else "critical",
        "references": {
            f"{task}_{metric}": {
                "what": f"{task} {metric} at step {step_number(step)}",
                "score": curve.scores[step_number(step)],
                "tolerance": curve.tolerance,
                "lower": curve.lower_is_better,
            }
            for task, metrics in recipe.reference.items()
            for metric, curve in metrics.items()
            if step_number(step) in curve.scores
        },
    }


def profile(version: Profiled) -> list[Row]:
    """One row: counts over the tasks, and the scores that have a reference."""
    manifest = version.manifest
    results = version.lake.read_json(manifest, "results.json")
    tasks = results["tasks"]
    wanted = bounds(version.catalog, manifest.partition)
    benchmarks = {i.partition: version.lake.manifest(i) for i in manifest.inputs if i.asset == "benchmark"}
    scored = {name: task for name, task in tasks.items() if task["status"] == "scored"}
    corpora = [version.lake.manifest(i) for i in manifest.inputs if i.asset == "decontaminated_corpus"]
    contaminated = {name: set(items) for name, items in contaminated_items(version.lake, corpora, scored).items()}
    flagged = {name: _flags(version, name) for name in scored}
    row: Row = {
        "tasks": len(wanted["tasks"]),
        "tasks_scored": len(scored),
        "without_result": _names(set(wanted["tasks"]) - set(tasks)),
        "failed": _names(
            f"{name} ({task.get('reason', '')[:200]})" for name, task in tasks.items() if task["status"] == "failed"
        ),
        "missing": _names(name for name, task in tasks.items() if task["status"] == "missing"),
        "incomplete": _names(
            f"{name} ({task['items']} of {benchmarks[name].counts['items']})"
            for name, task in scored.items()
            if task["items"] != int(benchmarks[name].counts["items"])
        ),
        "tasks_failed": sum(task["status"] == "failed" for task in tasks.values()),
        "tasks_missing": sum(task["status"] == "missing" for task in tasks.values()),
        "item_rows_missing": sum(abs(task["items"] - len(flagged[name])) for name, task in scored.items()),
        "clean_miscounted": sum(
            abs(task["items"] - task["contaminated"] - task["clean"]["items"])
            + abs(task["contaminated"] - sum(flag for _, flag in flagged[name]))
            for name, task in scored.items()
        ),
        "wrongly_clean_or_not": sum(
            flag != (item in contaminated[name]) for name, flags in flagged.items() for item, flag in flags
        ),
        "contamination_unknown": sum(
            benchmarks[name].ref not in corpus.inputs for name in scored for corpus in corpora
        ),
        "provenance_missing": sum(not task.get(key) for task in scored.values() for key in PROVENANCE)
        + int(not results.get("harness", {}).get("lm_eval")),
        "other_data": sum(task["data"] != benchmarks[name].digest for name, task in scored.items()),
    }
    found = {f"{t}_{metric}": score for t, task in tasks.items() for metric, score in task["metrics"].items()}
    for name, reference in wanted["references"].items():
        # A score that is not there stays missing, which fails: what could not be compared has not held.
        row[name] = found.get(name)
        row[f"{name}_reference"] = reference["score"]
    return [row]


def _names(tasks: Iterable[str]) -> str:
    return ", ".join(sorted(tasks))


def _flags(version: Profiled, task: str) -> list[tuple[str, bool]]:
    """The id of each item in the item-level results, and whether it counted as contaminated."""
    lines = version.lake.fs.cat_file(version.lake.path(version.manifest, f"items/{task}.jsonl")).splitlines()
    return [(item["id"], item["contaminated"]) for item in map(json.loads, lines)]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    suite = [
        at_least("tasks_scored", 1, "something was scored"),
        empty("without_result", "every task of the recipe is accounted for"),
        empty("failed", "no task broke; results.json has the reason"),
        empty("missing", "the data of every task is at hand", bounds["missing"]),
        empty("incomplete", "every scored task ran on every item of its benchmark"),
        none("item_rows_missing", "the item-level results are whole"),
        none("clean_miscounted", "items = contaminated + clean"),
        none("wrongly_clean_or_not", "the contaminated items are those that the matches of the training corpora name"),
        none("contamination_unknown", "the training corpora were searched for the very items that were scored"),
        none("provenance_missing", "versions and hashes stand with every score"),
        none("other_data", "the items scored are those of the benchmark in the lineage"),
    ]
    for name, reference in bounds["references"].items():
        worst = reference["score"] * (1 + reference["tolerance"] if reference["lower"] else 1 - reference["tolerance"])
        meaning = (
            f"no regression: {reference['what']} is no worse than the reference {reference['score']:g} by more than "
            f"{reference['tolerance']:.0%}"
        )
        suite.append(at_most(name, worst, meaning) if reference["lower"] else at_least(name, worst, meaning))
    return suite


GATE = Gate(
    code=("assets.evaluation.gate", "assets.evaluation.contamination"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("tasks_scored", "tasks_missing"),
)
