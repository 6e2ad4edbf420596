"""The data engine: Daft, on its native runner or on its Ray runner.

Work on documents is a function of a few rows at a time, and the rows come back in their order, so that the result is the
same on either runner and for any number of workers.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

ENGINES = ("native", "ray")
ROW = "_row"
SLICE_BYTES = 2_000_000
"""Bytes of a table that a worker takes at a time."""
PROCESS_BYTES = 16_000_000
"""From this size on worker processes are worth their start (about a second)."""


_chosen = "native"


def choose(engine: str) -> None:
    """Work on documents runs on ``engine`` from now on; it starts with the first work.

    Raises ValueError for a name that is none of ``ENGINES``, and ImportError when Ray is not installed.
    """
    global _chosen  # noqa: PLW0603 - Daft has one runner in a process
    if engine not in ENGINES:
        raise ValueError(f"There is no data engine {engine!r}; the data engines are: {', '.join(ENGINES)}.")
    if engine == "ray" and find_spec("ray") is None:
        raise ImportError(
            "The data engine 'ray' needs Ray, which is not installed: pip install 'tokka[ray]', or take 'native'."
        )
    _chosen = engine


@cache
def _start(engine: str) -> None:
    """Set Daft's runner. ``ray`` joins the cluster of ``RAY_ADDRESS``, or starts one on this machine's loopback."""
    import daft

    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    if engine == "native":
        daft.set_runner_native()
        return
    import ray

    address = os.environ.get("RAY_ADDRESS")
    if not ray.is_initialized():
        where = {"address": address} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(log_to_driver=False, **where)
    daft.set_runner_ray(noop_if_initialized=True)


def map_rows(
    table: "pa.Table", function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema", threads: bool = False
) -> "pa.Table":
    """What ``function`` makes of a table, slice by slice: one row for each row, in the same order.

    ``function`` is given a table with the columns of ``table`` and returns one with ``schema``; it is pickled to worker
    processes, so it is a function of a module or a ``functools.partial`` of one. ``threads`` says that it works in numpy
    or Arrow, which let other threads run, so that worker processes gain nothing.
    """
    import pyarrow as pa
    from daft import col
    from daft.functions import to_struct

    if not table.num_rows:
        return schema.empty_table()
    # Ray's workers are processes already.
    use_process = _chosen == "native" and not threads and table.nbytes >= PROCESS_BYTES
    called = function if use_process or _chosen == "ray" else _Here(function)
    mapped = _mapper(called, schema, use_process)(to_struct(*(col(name) for name in table.column_names)))
    rows = rows_of(frame_of(table).select(ROW, mapped.alias("_result")))
    result = rows["_result"].combine_chunks()
    flat = result.flatten() if isinstance(result, pa.StructArray) else result.chunk(0).flatten()
    return pa.Table.from_arrays([a.cast(f.type) for a, f in zip(flat, schema, strict=True)], schema=schema)


class _Here:
    """A function that is called in this process: Daft pickles every function, and what goes with it would be copied."""

    def __init__(self, function: "Callable[[pa.Table], pa.Table]") -> None:
        self.function = function
        _here[id(self)] = self

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        return self.function(rows)

    def __reduce__(self) -> Any:
        return _found_here, (id(self),)


_here: "WeakValueDictionary[int, _Here]" = WeakValueDictionary()


def _found_here(key: int) -> _Here:
    return _here[key]


def _mapper(function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema", use_process: bool) -> Any:
    """The Daft function that makes a struct of ``schema`` of a struct of the columns of a table."""
    import daft
    import pyarrow as pa
    from daft import DataType

    fields = {field.name: DataType.from_arrow_type(field.type) for field in schema}

    @daft.func.batch(return_dtype=DataType.struct(fields), use_process=use_process)
    def mapped(rows: daft.Series) -> pa.Array:
        given = rows.to_arrow()
        names = [given.type.field(place).name for place in range(given.type.num_fields)]
        made = function(pa.Table.from_arrays(given.flatten(), names=names)).combine_chunks()
        if made.num_rows != len(given):
            raise ValueError(f"{function} made {made.num_rows} rows of {len(given)}; it must make one of each.")
        return made.to_struct_array().combine_chunks()

    return mapped


def frame_of(table: "pa.Table") -> "daft.DataFrame":
    """A table as a Daft frame with a column ``ROW``, in slices that workers share."""
    import daft
    import pyarrow as pa

    _start(_chosen)
    numbered = table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))
    rows = max(1, min(table.num_rows, SLICE_BYTES * table.num_rows // max(table.nbytes, 1)))
    frame = daft.from_arrow(numbered)
    if _chosen == "ray":
        frame = frame.into_partitions(min(64, -(-table.num_rows // rows)))
    return frame.into_batches(rows)


def rows_of(frame: "daft.DataFrame") -> "pa.Table":
    """The rows of a frame of ``frame_of`` in the order of the table, without ``ROW``."""
    return frame.to_arrow().sort_by(ROW).drop_columns([ROW]).combine_chunks()
