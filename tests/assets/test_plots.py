"""Plots are PNG bytes, and the same plot has the same bytes."""

import pytest

from assets.plots import bars, donut, lines

PLOTS = {
    "bars": lambda: bars({"fi": 1.9, "en": 1.4}, "tokens per word", "Fertility"),
    "no bars": lambda: bars({}, "tokens per word", "Fertility"),
    "lines": lambda: lines({"a": ([1, 2], [3.0, 2.0]), "b": ([1], [1.0])}, "x", "y", "Loss", {"level": 2.5}),
    "no lines": lambda: lines({}, "x", "y", "Loss"),
    "donut": lambda: donut({"web": 0.7, "news": 0.3}, "Sampled tokens"),
    "more slices than colours": lambda: donut({f"source {n}": n + 1 for n in range(12)}, "Sampled tokens"),
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
