"""The plots of a study: the arms beside each other with their intervals, and curves over tokens."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from assets.plots import COLOURS, GRID, INK, Curve, Panel, grid
from assets.stage import Plot

Row = Mapping[str, Any]
ARMS = "Bits per character of each arm"


def plots_of_scores(report: Mapping[str, Any]) -> list[Plot]:
    """Bits per character, a panel for each held-out set: an arm's mean over the seeds, its 95 % interval, and every seed."""
    arms = [row["arm"] for row in report["arms"]]
    rows = [row for row in report["scores"] if row["metric"] == "bits_per_character"]
    return [Plot(_intervals(rows, arms), ARMS)] if rows else []


def _intervals(rows: Sequence[Row], arms: Sequence[str]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = Figure(figsize=(2.7 * len(tasks) + 1.6, 0.34 * len(arms) + 1.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(ARMS, x=0.01, ha="left", color=INK, fontsize=11)
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        for row in (row for row in rows if row["task"] == task):
            place = arms.index(row["arm"])
            colour = COLOURS[place % len(COLOURS)]
            if row["high"] is not None:
                axes.errorbar(row["mean"], place, xerr=row["high"] - row["mean"], fmt="none", ecolor=colour, capsize=3)
            axes.plot(list(row["values"].values()), [place] * len(row["values"]), "|", color=colour, markersize=9)
            axes.plot(row["mean"], place, "o", color=colour, markersize=5)
        axes.set_title(task, loc="left", color=INK, fontsize=9)
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlabel("bits per character", fontsize=8, color=INK)
        axes.grid(axis="x", color=GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
    stream = io.BytesIO()
    # Without the software's name and version the same plot has the same bytes on every machine with the same fonts.
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def plots_of_curves(report: Mapping[str, Any]) -> list[Plot]:
    """The training loss, and every metric that was taken at several checkpoints, over tokens."""
    arms = [row["arm"] for row in report["arms"]]
    plots = _over_tokens({"training loss": curves_of(report["losses"], arms)}, "loss", "Training loss over tokens")
    for metric in dict.fromkeys(row["metric"] for row in report["curves"]):
        rows = [row for row in report["curves"] if row["metric"] == metric]
        if not several_steps(rows):
            continue
        tasks = sorted({row["task"] for row in rows})
        panels = {task: curves_of([row for row in rows if row["task"] == task], arms) for task in tasks}
        name = metric.replace("_", " ")
        plots += _over_tokens(panels, name, f"{name[:1].upper()}{name[1:]} over tokens")
    return plots


def several_steps(rows: Sequence[Row]) -> bool:
    """Whether any arm was scored at more than one step."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        place = (row["task"], row["metric"], row["arm"])
        counts[place] = counts.get(place, 0) + 1
    return max(counts.values(), default=0) > 1


def curves_of(rows: Sequence[Row], arms: Sequence[str]) -> dict[str, Curve]:
    """A curve for each arm that has points, with its intervals."""
    curves = {}
    for number, arm in enumerate(arms):
        points = [row for row in rows if row["arm"] == arm]
        if points:
            errors = [None if row["high"] is None else row["high"] - row["mean"] for row in points]
            curves[arm] = Curve([row["tokens"] for row in points], [row["mean"] for row in points], errors, number)
    return curves


def _over_tokens(panels: Mapping[str, Mapping[str, Curve]], y_label: str, title: str) -> list[Plot]:
    if not any(panels.values()):
        return []
    return [Plot(grid([Panel(task, curves) for task, curves in panels.items()], "tokens", y_label, title), title)]
