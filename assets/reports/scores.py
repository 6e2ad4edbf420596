"""The scores of a recipe's checkpoints as rows, and as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from assets.lake import Lake, Manifest
from assets.recipe.catalog import split
from assets.recipe.evaluation import Average

BASELINE = "unigram_bits_per_character"
CLEAN = (
    "The clean score is the last checkpoint's without the contaminated items: those that stood in part in a training corpus "
    "before it was decontaminated."
)
Row = dict[str, Any]
SCORES = ("metric", "score", "stderr", "clean", "clean_stderr")


def score_rows(
    lake: Lake, evaluations: Mapping[str, Manifest], averages: Mapping[str, Average] | None = None
) -> list[Row]:
    """One row per checkpoint, task and metric, and one per checkpoint and average; a task that was not scored, or an average
    that lacks a task, has one row without a score and its reason.

    ``score`` is on all items, ``clean`` without the ``contaminated`` ones, both with their standard errors; None where there
    is no such number. ``average`` tells averages from tasks.
    """
    rows: list[Row] = []
    for key, manifest in sorted(evaluations.items()):
        recipe, _ = split(key)
        tasks = lake.read_json(manifest, "results.json")["tasks"]
        place = {"recipe": recipe, "step": int(manifest.counts["step"]), "tokens": int(manifest.counts["tokens"])}
        for name, task in sorted(tasks.items()):
            rows += [place | row for row in _rows_of_task(name, task)]
        rows += [place | _row_of_average(name, average, tasks) for name, average in sorted((averages or {}).items())]
    return rows


def _rows_of_task(name: str, task: Mapping[str, Any]) -> Iterator[Row]:
    base = {"task": name, "language": task["language"], "status": task["status"], "average": False}
    if task["status"] != "scored":
        yield {**base, **dict.fromkeys(SCORES), "items": 0, "contaminated": 0, "reason": task["reason"]}
        return
    clean = task["clean"]
    for metric, value in task["metrics"].items():
        yield {
            **base,
            "metric": metric,
            "score": value,
            "stderr": task.get("stderr", {}).get(metric),
            "clean": clean["metrics"].get(metric),
            "clean_stderr": clean.get("stderr", {}).get(metric),
            "items": task["items"],
            "contaminated": task["contaminated"],
            "reason": None,
        }


def _row_of_average(name: str, average: Average, tasks: Mapping[str, Mapping[str, Any]]) -> Row:
    """The mean over tasks; its standard error takes the tasks as independent: sqrt(sum of squares) / number of tasks."""
    metrics = {task: result["metrics"] for task, result in tasks.items()}
    clean = {task: result.get("clean", {}).get("metrics", {}) for task, result in tasks.items()}
    score = average.of(metrics)
    missing = [task for task in average.tasks if average.metric_of(task) not in metrics.get(task, {})]
    return {
        "task": name,
        "language": None,
        "status": "missing" if score is None else "scored",
        "average": True,
        "metric": None if score is None else average.metric,
        "score": score,
        "stderr": _stderr(average, {task: result.get("stderr", {}) for task, result in tasks.items()}),
        "clean": average.of(clean),
        "clean_stderr": _stderr(average, {t: r.get("clean", {}).get("stderr", {}) for t, r in tasks.items()}),
        "items": sum(tasks[task]["items"] for task in average.tasks if task in tasks),
        "contaminated": sum(tasks[task].get("contaminated", 0) for task in average.tasks if task in tasks),
        "reason": f"the average needs {', '.join(missing)}" if missing else None,
    }


def _stderr(average: Average, errors: Mapping[str, Mapping[str, float]]) -> float | None:
    found = [errors.get(task, {}).get(average.metric_of(task)) for task in average.tasks]
    known = [error for error in found if error is not None]
    return sum(error**2 for error in known) ** 0.5 / len(found) if len(known) == len(found) else None


def compact(rows: list[Row]) -> list[Row]:
    """The score table for people: one row per task and metric, one column per checkpoint, in order of the steps.

    ``±`` is the standard error of the last checkpoint's score; ``clean`` its score without the items that are ``contaminated``.
    Averages come first.
    """
    steps = sorted({row["step"] for row in rows})
    table: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: not row["average"]):
        entry = table.setdefault(
            (row["task"], row["metric"] or row["status"]),
            {
                "task": row["task"],
                "metric": row["metric"] or row["status"],
                **{f"step {s}": None for s in steps},
                "±": None,
                "clean": None,
                "items": row["items"],
                "contaminated": row["contaminated"],
            },
        )
        entry[f"step {row['step']}"] = _rounded(row["score"])
        if row["step"] == steps[-1]:
            entry["±"] = None if row["stderr"] is None else float(f"{row['stderr']:.2g}")
            entry["clean"] = _rounded(row["clean"])
    return list(table.values())


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def learned(rows: list[Row]) -> list[Row]:
    """Bits per character of the first checkpoint, the unigram baseline and the last checkpoint, per held-out set.

    None where a checkpoint was not scored.
    """
    steps = sorted({row["step"] for row in rows})
    by_task: dict[str, dict[tuple[int, str], float]] = {}
    for row in rows:
        if row["metric"] in ("bits_per_character", BASELINE):
            by_task.setdefault(row["task"], {})[row["step"], row["metric"]] = row["score"]
    table = []
    for task, scores in sorted(by_task.items()):
        table.append(
            {
                "held-out set": task,
                f"step {steps[0]}": scores.get((steps[0], "bits_per_character")),
                "unigram baseline": scores.get((steps[-1], BASELINE)),
                f"step {steps[-1]}": scores.get((steps[-1], "bits_per_character")),
            }
        )
    return table
