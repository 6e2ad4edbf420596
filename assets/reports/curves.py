"""Scores over tokens as plots: a panel per task, with the paper's models as dashed levels where they were measured on it."""

from collections.abc import Sequence
from typing import Any

from assets.plots import Curve, Panel, grid
from assets.reports.paper import levels, places, read_paper
from assets.reports.scores import BASELINE
from assets.stage import Plot

Row = dict[str, Any]
INTERVAL = 1.96
"""Standard errors on either side of a score: 95 %."""
PANELS = 12
"""Panels of one plot."""


def curves(rows: Sequence[Row]) -> list[Plot]:
    """One plot for each of the paper's tables that has scores, and one for every metric of the other tasks.

    Bars are 95 % intervals. The dotted curve is without the contaminated items, where there are any. Scores that the paper has
    stand on its scale.
    """
    scored = [row for row in rows if row["metric"] not in (None, BASELINE) and "/" not in row["metric"]]
    groups: dict[tuple[str, str], dict[tuple[str, str], list[Row]]] = {}
    for row in sorted(scored, key=lambda r: (not r.get("average"), r["task"], r["metric"])):
        panels = groups.setdefault(_group(row), {})
        panels.setdefault((row["task"], row["metric"]), []).append(row)
    plots = []
    recipes = sorted({row["recipe"] for row in scored if "recipe" in row})
    baselines = {(r["task"], r["recipe"]): r["score"] for r in sorted(rows, key=_tokens) if r["metric"] == BASELINE}
    for (title, unit), panels in sorted(groups.items()):
        drawn = [_panel(task, metric, of, recipes, baselines, unit) for (task, metric), of in panels.items()]
        parts = [drawn[i : i + PANELS] for i in range(0, len(drawn), PANELS)]
        for number, part in enumerate(parts, start=1):
            whole = f"{title} over tokens" + (f", {number} of {len(parts)}" if len(parts) > 1 else "")
            plots.append(Plot(grid(part, "tokens", unit, whole), whole))
    return plots


def _group(row: Row) -> tuple[str, str]:
    """The plot that a row belongs to, and the unit of its axis."""
    place = places().get((row["task"], "" if row.get("average") else row["metric"]))
    if place is None:
        name = row["metric"].replace("_", " ")
        return name[:1].upper() + name[1:], name
    return read_paper().tables[place.table].title, "%" if place.scale == 100 else row["metric"].replace("_", " ")


def _panel(
    task: str, metric: str, rows: list[Row], recipes: list[str], baselines: dict[tuple[str, str], float], unit: str
) -> Panel:
    scale = 100 if unit == "%" else 1
    drawn: dict[str, Curve] = {}
    contaminated = any(row["contaminated"] for row in rows)
    for number, recipe in enumerate(recipes):
        own = sorted((row for row in rows if row["recipe"] == recipe), key=_tokens)
        if own:
            drawn[recipe] = _curve(own, "score", "stderr", scale, number)
        clean = [row for row in own if row["clean"] is not None]
        if clean and contaminated:
            drawn[f"{recipe}, clean items"] = _curve(clean, "clean", "clean_stderr", scale, number, faint=True)
    average = bool(rows[0].get("average"))
    compared = {name: level * scale for name, level in levels(task, "" if average else metric).items()}
    if metric == "bits_per_character":
        for recipe in recipes:
            if (task, recipe) in baselines:
                compared["unigram" if len(recipes) == 1 else f"{recipe}, unigram"] = baselines[task, recipe]
    label = f"average: {task}" if average else task
    return Panel(label, drawn, compared)


def _curve(rows: list[Row], score: str, stderr: str, scale: float, colour: int, faint: bool = False) -> Curve:
    errors = [None if row.get(stderr) is None else INTERVAL * scale * row[stderr] for row in rows]
    return Curve([r["tokens"] for r in rows], [scale * r[score] for r in rows], errors, colour, faint)


def _tokens(row: Row) -> int:
    tokens: int = row["tokens"]
    return tokens
