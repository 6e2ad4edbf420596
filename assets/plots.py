"""Plots as PNG bytes, in one style; matplotlib is imported when one is drawn."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

INK, ACCENT, GRID = "#1f2933", "#2f6f8f", "#d9e0e6"
COLOURS = ("#2f6f8f", "#c9622f", "#5b8c3a", "#7b5ea7", "#b8902a", "#3f7fbf", "#a03f52", "#4f8f83", "#6b7280", "#93621f")


def _axes(title: str, width: float = 7.0, height: float = 3.4) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    return figure, axes


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    # Without the software's name and version the same plot has the same bytes on every machine with the same fonts.
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def bars(values: Mapping[str, float], unit: str, title: str) -> bytes:
    """Horizontal bars, one per name, with their values."""
    figure, axes = _axes(title, height=max(1.6, 0.34 * len(values) + 0.9))
    names = list(values)[::-1]
    drawn = axes.barh(names, [values[name] for name in names], color=ACCENT)
    axes.bar_label(drawn, fmt="{:,.4g}", padding=3, fontsize=8, color=INK)
    axes.set_xlabel(unit, fontsize=8, color=INK)
    axes.margins(x=0.14)
    return _png(figure)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    title: str,
    levels: Mapping[str, float] | None = None,
) -> bytes:
    """Lines through (x, y) points by name; ``levels`` are dashed horizontal lines to compare with."""
    figure, axes = _axes(title)
    for number, (name, (xs, ys)) in enumerate(series.items()):
        marker = "o" if len(xs) < 12 else ""
        axes.plot(xs, ys, label=name, color=COLOURS[number % len(COLOURS)], linewidth=1.6, marker=marker, markersize=4)
    for number, (name, level) in enumerate((levels or {}).items()):
        axes.axhline(level, linestyle="--", linewidth=1, color=COLOURS[number % len(COLOURS)], alpha=0.7, label=name)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_xlabel(x_label, fontsize=8, color=INK)
    axes.set_ylabel(y_label, fontsize=8, color=INK)
    if len(series) + len(levels or {}) > 1:
        axes.legend(fontsize=7, frameon=False)
    return _png(figure)


def donut(values: Mapping[str, float], title: str) -> bytes:
    """Shares of a whole, the largest first."""
    figure, axes = _axes(title, width=6.0, height=3.4)
    ordered = dict(sorted(values.items(), key=lambda item: -item[1]))
    total = sum(ordered.values()) or 1
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(ordered))]
    wedges, _ = axes.pie(
        list(ordered.values()),
        colors=colours,
        startangle=90,
        counterclock=False,
        wedgeprops={"width": 0.38, "edgecolor": "white"},
    )
    labels = [f"{name}  {100 * value / total:.1f} %" for name, value in ordered.items()]
    axes.legend(wedges, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    return _png(figure)
