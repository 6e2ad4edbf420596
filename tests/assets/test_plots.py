"""Plots are PNG bytes, and the same plot has the same bytes."""

import struct

import pytest

from assets.plots import Curve, Panel, bars, donut, donuts, grid, lines, panels, short_number

PLOTS = {
    "bars": lambda: bars({"fi": 1.9, "en": 1.4}, "tokens per word", "Fertility"),
    "no bars": lambda: bars({}, "tokens per word", "Fertility"),
    "panels": lambda: panels(
        {"fi:\nFlores": {"Poro 34B": 1.38, "ours": 1.9}, "sv": {"ours": 2}}, ["ours"], "tokens per word", "Fertility"
    ),
    "no panels": lambda: panels({}, [], "tokens per word", "Fertility"),
    "lines": lambda: lines({"a": ([1, 2], [3.0, 2.0]), "b": ([1], [1.0])}, "x", "y", "Loss", {"level": 2.5}),
    "no lines": lambda: lines({}, "x", "y", "Loss"),
    "donut": lambda: donut({"web": 0.7, "news": 0.3}, "Sampled tokens"),
    "more slices than colours": lambda: donut({f"source {n}": n + 1 for n in range(12)}, "Sampled tokens"),
    "two donuts": lambda: donuts({"Original": {"web": 0.7, "news": 0.3}, "Sampled": {"web": 0.5, "news": 0.5}}),
    "300 sources": lambda: donuts({name: {f"s{n}": n + 1 for n in range(300)} for name in ("Original", "Sampled")}),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_png_and_the_same_bytes_when_drawn_again(name):
    first = PLOTS[name]()
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert first == PLOTS[name]()


def test_other_values_are_another_picture():
    assert lines({"a": ([1, 2], [3.0, 2.0])}, "x", "y", "Loss") != lines({"a": ([1, 2], [3.0, 1.0])}, "x", "y", "Loss")


def test_a_png_does_not_name_the_software_that_drew_it():
    assert b"atplotlib" not in PLOTS["bars"]()


def test_a_grid_has_a_place_for_every_panel_and_the_same_bytes_each_time():
    def picture(count):
        curve = Curve([0, 10, 20], [1.0, 2.0, 3.0], [0.1, None, 0.2])
        faint = Curve([0, 10], [1.0, 1.5], colour=0, faint=True)
        panels = [Panel(f"task {n}", {"all": curve, "clean": faint}, {"Poro 34B": 2.5 + n}) for n in range(count)]
        return grid(panels, "tokens", "%", "Scores over tokens")

    assert picture(4) == picture(4)
    widths, heights = zip(*(struct.unpack(">II", picture(count)[16:24]) for count in (1, 3, 7)), strict=True)
    assert widths[0] < widths[1] == widths[2] and heights[0] == heights[1] < heights[2]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (250_000, "250 k"), (1.5e6, "1.5 M"), (3e11, "300 B"), (1e12, "1 T"), (0.5, "0.5")]
)
def test_counts_on_an_axis_are_short(value, shown):
    assert short_number(value) == shown


def test_curves_beyond_the_last_colour_have_another_marker():
    drawn = {n: grid([Panel("a", {"x": Curve([0, 1], [1, 2], [], n)})], "x", "y", "t") for n in (0, 10, 20, 40)}
    assert drawn[0] == drawn[40] and len({drawn[0], drawn[10], drawn[20]}) == 3
