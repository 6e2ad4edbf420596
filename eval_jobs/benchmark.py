"""Reads a benchmark version of the lake: ``benchmark.json`` and ``items.parquet`` (columns id, text, item)."""

import io
import json
from typing import Any

from assets.lake.manifest import InputRef
from assets.lake.store import Lake


def read_info(lake: Lake, benchmark: InputRef) -> dict[str, Any]:
    """``{"available": bool, "reason": str, "items": int, ...}``; without ``available`` there is nothing to score."""
    info: dict[str, Any] = lake.read_json(benchmark, "benchmark.json")
    return info


def read_rows(lake: Lake, benchmark: InputRef, keys: dict[str, type]) -> list[dict[str, Any]]:
    """The items in order, each with its ``id`` and the ``keys`` the task needs. Raises ValueError for a broken item."""
    import pyarrow.parquet as pq

    with lake.open_file(benchmark, "items.parquet") as stream:
        table = pq.read_table(io.BytesIO(stream.read()), columns=["id", "item"])
    return rows_of(table.to_pylist(), benchmark.name, keys)


def rows_of(records: list[dict[str, Any]], name: str, keys: dict[str, type]) -> list[dict[str, Any]]:
    """The items of records with ``id`` and ``item``, of a benchmark that is called ``name``; see ``read_rows``."""
    rows = []
    for record in records:
        try:
            item = json.loads(record["item"])
        except ValueError as error:
            raise ValueError(f"The item {record['id']!r} of {name} is not JSON: {error}.") from error
        for key, kind in keys.items():
            if not isinstance(item, dict) or not isinstance(item.get(key), kind):
                raise ValueError(f"The item {record['id']!r} of {name} lacks {key!r} as a {kind.__name__}.")
        rows.append({"id": record["id"], **{key: item[key] for key in keys}})
    if not rows:
        raise ValueError(f"{name} has no item.")
    return rows
