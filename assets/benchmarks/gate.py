"""The gate of a benchmark: its items are there, different, and not empty. Missing data warns and is scored by nobody."""

from typing import TYPE_CHECKING, Any

from assets.gates.expectations import none, true
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import read_table

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation


def profile(version: Profiled) -> list[Row]:
    """One row over all items."""
    import pyarrow.compute as pc

    items = read_table(version.lake, version.manifest, "items.parquet", ["id", "text"])
    about = version.lake.read_json(version.manifest, "benchmark.json")
    return [
        {
            "available": int(about["available"] and not about["reason"]),
            "items": items.num_rows,
            "miscounted": abs(items.num_rows - about["items"]),
            "available_but_empty": int(about["available"] and not items.num_rows),
            "duplicate_ids": items.num_rows - pc.count_distinct(items["id"]).as_py(),
            "empty_texts": pc.sum(pc.equal(pc.utf8_length(items["text"]), 0)).as_py() or 0,
        }
    ]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("miscounted", "the items are as many as the benchmark says"),
        none("available_but_empty", "a benchmark whose data is at hand has items"),
        none("duplicate_ids", "no two items have the same id"),
        none("empty_texts", "no item is empty"),
        true("available", "all of the data is at hand", "warning"),
    ]


GATE = Gate(
    code=("assets.benchmarks.gate", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    numbers=("items",),
)
