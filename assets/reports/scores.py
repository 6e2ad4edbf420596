"""The scores of a recipe's checkpoints as rows, and as curves over tokens."""

from collections.abc import Mapping
from typing import Any

from assets.lake import Lake, Manifest
from assets.plots import lines
from assets.recipe.catalog import split
from assets.stage import Plot

BASELINE = "unigram_bits_per_character"
CLEAN = (
    "The clean score is the last checkpoint's without the contaminated items: those that stood in part in a training corpus "
    "before it was decontaminated."
)
Row = dict[str, Any]


def score_rows(lake: Lake, evaluations: Mapping[str, Manifest]) -> list[Row]:
    """One row per checkpoint, task and metric; a task that was not scored has one row without a score and its reason.

    ``score`` is on all items, ``clean`` without the ``contaminated`` ones; None where there is no such score.
    """
    rows: list[Row] = []
    for key, manifest in sorted(evaluations.items()):
        recipe, _ = split(key)
        for name, task in sorted(lake.read_json(manifest, "results.json")["tasks"].items()):
            base = {
                "recipe": recipe,
                "step": int(manifest.counts["step"]),
                "tokens": int(manifest.counts["tokens"]),
                "task": name,
                "language": task["language"],
                "status": task["status"],
            }
            if task["status"] != "scored":
                nothing = dict.fromkeys(("metric", "score", "stderr", "clean"))
                rows.append({**base, **nothing, "items": 0, "contaminated": 0, "reason": task["reason"]})
                continue
            for metric, value in task["metrics"].items():
                rows.append(
                    {
                        **base,
                        "metric": metric,
                        "score": value,
                        "stderr": task.get("stderr", {}).get(metric),
                        "clean": task["clean"]["metrics"].get(metric),
                        "items": task["items"],
                        "contaminated": task["contaminated"],
                        "reason": None,
                    }
                )
    return rows


def compact(rows: list[Row]) -> list[Row]:
    """The score table for people: one row per task and metric, one column per checkpoint, in order of the steps.

    ``clean`` is the score of the last checkpoint without the items that are ``contaminated``.
    """
    steps = sorted({row["step"] for row in rows})
    table: dict[tuple[str, str], Row] = {}
    for row in rows:
        entry = table.setdefault(
            (row["task"], row["metric"] or row["status"]),
            {
                "task": row["task"],
                "metric": row["metric"] or row["status"],
                **{f"step {s}": None for s in steps},
                "clean": None,
                "items": row["items"],
                "contaminated": row["contaminated"],
            },
        )
        entry[f"step {row['step']}"] = _rounded(row["score"])
        if row["step"] == steps[-1]:
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


def curves(rows: list[Row]) -> list[Plot]:
    """Scores over tokens, one plot per metric, with the unigram baseline as a dashed line."""
    plots = []
    metrics = sorted({r["metric"] for r in rows if r["metric"] not in (None, BASELINE)})
    for metric in metrics:
        series: dict[str, tuple[list[float], list[float]]] = {}
        for row in sorted((r for r in rows if r["metric"] == metric), key=lambda r: (r["task"], r["tokens"])):
            xs, ys = series.setdefault(row["task"], ([], []))
            xs.append(row["tokens"])
            ys.append(row["score"])
        levels = {}
        if metric == "bits_per_character":
            levels = {f"{r['task']}, unigram": r["score"] for r in rows if r["metric"] == BASELINE}
        title = f"{metric.replace('_', ' ')} over tokens".capitalize()
        plots.append(Plot(lines(series, "tokens", metric.replace("_", " "), title, levels), title))
    return plots
