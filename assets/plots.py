"""Plots as PNG bytes, in one style; matplotlib is imported when one is drawn."""

import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

INK, ACCENT, MUTED, GRID = "#1f2933", "#2f6f8f", "#b8c4ce", "#d9e0e6"
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


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def bars(values: Mapping[str, float], unit: str, title: str) -> bytes:
    """Horizontal bars, one per name, with their values."""
    figure, axes = _axes(title, height=max(1.6, 0.34 * len(values) + 0.9))
    names = list(values)[::-1]
    drawn = axes.barh(names, [values[name] for name in names], color=ACCENT)
    axes.bar_label(drawn, [_number(values[name]) for name in names], padding=3, fontsize=8, color=INK)
    axes.set_xlabel(unit, fontsize=8, color=INK)
    axes.margins(x=0.14)
    return _png(figure)


def panels(values: Mapping[str, Mapping[str, float]], highlighted: Collection[str], unit: str, title: str) -> bytes:
    """Horizontal bars in panels beside each other, on one scale; in each the smallest value first.

    Titles of panels may have several lines. ``highlighted`` names are in colour.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max((len(shown) for shown in values.values()), default=1)
    count = max(len(values), 1)
    figure = Figure(figsize=(3.3 * count + 0.4, 0.3 * longest + 1.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
    for axes, (panel, shown) in zip(
        figure.subplots(1, count, sharex=True, squeeze=False)[0], values.items(), strict=False
    ):
        names = sorted(shown, key=lambda name: (shown[name], name))
        colours = [ACCENT if name in highlighted else MUTED for name in names]
        drawn = axes.barh(names, [shown[name] for name in names], color=colours, height=0.68)
        axes.bar_label(drawn, [f"{shown[name]:.2f}" for name in names], padding=3, fontsize=8, color=INK)
        # As many places in every panel, so that bars are as thick in a panel of few.
        axes.set_ylim(longest - 0.4, -0.6)
        axes.set_title(panel, loc="left", color=INK, fontsize=9)
        axes.set_xlabel(unit, fontsize=8, color=INK)
        axes.margins(x=0.18)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        for label in axes.get_yticklabels():
            label.set_fontweight("bold" if label.get_text() in highlighted else "normal")
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


@dataclass(frozen=True)
class Curve:
    """Points (x, y) of one name; ``errors`` are half the height of a bar at each, None where there is none. A ``faint`` curve is
    another reading of the one with the same ``colour``, a number.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    errors: Sequence[float | None] = ()
    colour: int = 0
    faint: bool = False


@dataclass(frozen=True)
class Panel:
    """One small plot: its curves by name, and dashed levels to compare with."""

    title: str
    curves: Mapping[str, Curve]
    levels: Mapping[str, float] = field(default_factory=dict)


MARKERS = ("o", "^", "D", "v")
"""Curves beyond the last colour have the first one again, with another marker."""
LEVELS = ("#1f2933", "#b8902a", "#7b5ea7", "#a03f52", "#3f7fbf", "#93621f")
"""Colours of dashed levels, which are no colours of the first curves."""


def grid(panels: Sequence[Panel], x_label: str, y_label: str, title: str, columns: int = 3) -> bytes:
    """Small plots beside each other, each on its own scale, with one legend for all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    columns = max(1, min(columns, len(panels)))
    count = math.ceil(len(panels) / columns)
    names = list(dict.fromkeys(name for panel in panels for name in [*panel.curves, *panel.levels]))
    rows_of_legend = math.ceil(len(names) / 6)
    figure = Figure(
        figsize=(max(6.4, 3.2 * columns), 2.3 * count + 0.5 + 0.25 * rows_of_legend), dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
    order = list(dict.fromkeys(name for panel in panels for name in panel.levels))
    handles: dict[str, Any] = {}
    places = figure.subplots(count, columns, squeeze=False)
    for number, axes in enumerate(places.flat):
        if number >= len(panels):
            axes.set_visible(False)
            continue
        panel = panels[number]
        for name, curve in panel.curves.items():
            handles[name] = _draw(axes, name, curve)
        for name, level in panel.levels.items():
            colour = LEVELS[order.index(name) % len(LEVELS)]
            handles[name] = axes.axhline(level, linestyle="--", linewidth=1.1, color=colour, label=name, zorder=1)
        axes.set_title(panel.title, loc="left", color=INK, fontsize=9)
        axes.grid(color=GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=7.5)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if number + columns >= len(panels):
            axes.set_xlabel(x_label, fontsize=8, color=INK)
        if number % columns == 0:
            axes.set_ylabel(y_label, fontsize=8, color=INK)
    if len(names) > 1:
        shown = [handles[name] for name in names]
        figure.legend(shown, names, loc="outside lower left", fontsize=7.5, frameon=False, ncols=min(6, len(names)))
    return _png(figure)


def _draw(axes: Any, name: str, curve: Curve) -> Any:
    """A curve with its error bars; returns what the legend shows."""
    colour = COLOURS[curve.colour % len(COLOURS)]
    marker = MARKERS[curve.colour // len(COLOURS) % len(MARKERS)]
    style: dict[str, Any] = {"color": colour, "linewidth": 1.6, "marker": marker, "markersize": 3.5}
    if curve.faint:
        style |= {"linestyle": ":", "linewidth": 1.2, "marker": "s", "markersize": 3, "markerfacecolor": "white"}
    (handle,) = axes.plot(curve.xs, curve.ys, label=name, zorder=3, **style)
    bars = [(x, y, e) for x, y, e in zip(curve.xs, curve.ys, curve.errors, strict=False) if e is not None]
    if bars:
        xs, ys, errors = zip(*bars, strict=True)
        axes.errorbar(xs, ys, errors, fmt="none", ecolor=colour, elinewidth=0.9, capsize=2, alpha=0.7, zorder=2)
    return handle


def short_number(value: float) -> str:
    """A count on an axis: ``0``, ``250 k``, ``1.5 M``, ``300 B``."""
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def donut(values: Mapping[str, float], title: str) -> bytes:
    """Shares of a whole, the largest first."""
    return donuts({title: values})


SLICES = 10
"""Slices with a name of their own; what is smaller is one slice of "others"."""


def donuts(columns: Mapping[str, Mapping[str, float]]) -> bytes:
    """Shares of one or more wholes side by side, by title; a name has the same colour in each. The largest come first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * len(columns) + 3.2, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    wholes = {
        title: {name: value / (sum(values.values()) or 1) for name, value in values.items()}
        for title, values in columns.items()
    }
    largest = {name: -max(column[name] for column in wholes.values()) for name in next(iter(wholes.values()))}
    names = sorted(largest, key=lambda name: (largest[name], name))
    named = names if len(names) <= SLICES else names[: SLICES - 1]
    others = names[len(named) :]
    percents: list[list[str]] = [[] for _ in range(len(named) + bool(others))]
    wedges: Any = []
    for axes, (title, column) in zip(figure.subplots(1, len(columns), squeeze=False)[0], wholes.items(), strict=True):
        slices = [column[name] for name in named] + ([sum(column[name] for name in others)] if others else [])
        axes.set_title(title, color=INK, fontsize=10)
        wedges, _ = axes.pie(
            slices,
            colors=COLOURS[: len(slices)],
            startangle=90,
            counterclock=False,
            wedgeprops={"width": 0.38, "edgecolor": "white"},
        )
        for of_slice, share in zip(percents, slices, strict=True):
            of_slice.append(f"{100 * share:.1f} %")
    titles = [*named, *([f"{len(others)} others"] if others else [])]
    labels = [f"{title}  {' → '.join(of_slice)}" for title, of_slice in zip(titles, percents, strict=True)]
    figure.legend(wedges, labels, loc="outside right center", fontsize=8, frameon=False)
    return _png(figure)
