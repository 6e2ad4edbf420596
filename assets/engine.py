"""The data engine: Daft, on its native runner or on its Ray runner.

Work on documents is a function of a few rows at a time, and the rows come back in their order, so that the result is the
same on either runner and for any number of workers.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

ENGINES = ("native", "ray")
ROW = "_row"
SLICE_BYTES = 2_000_000
"""Bytes of a table that a worker takes at a time."""
PROCESS_BYTES = 16_000_000
"""From this size on worker processes are worth their start (about a second)."""


@lru_cache(maxsize=1)
def use(engine: str) -> None:
    """Run on ``engine`` from now on. ``ray`` joins the cluster of ``RAY_ADDRESS``, or starts one on this machine.

    Daft sets its runner once in a process. Raises ValueError for a name that is none of ``ENGINES``, and ImportError
    when Ray is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"There is no data engine {engine!r}; the data engines are: {', '.join(ENGINES)}.")
    import daft

    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    if engine == "native":
        daft.set_runner_native()
        return
    try:
        import ray
    except ImportError:
        raise ImportError(
            "The data engine 'ray' needs Ray, which is not installed: pip install 'tokka[ray]', or use the data engine "
            "'native'."
        ) from None
    address = os.environ.get("RAY_ADDRESS")
    if not ray.is_initialized():
        where = {"address": address} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(log_to_driver=False, **where)
    daft.set_runner_ray(noop_if_initialized=True)


def map_rows(table: "pa.Table", function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema") -> "pa.Table":
    """What ``function`` makes of a table, slice by slice: one row for each row, in the same order.

    ``function`` is given a table with the columns of ``table`` and returns one with ``schema``; it is pickled to worker
    processes, so it is a function of a module or a ``functools.partial`` of one.
    """
    import pyarrow as pa
    from daft import col
    from daft.functions import to_struct

    if not table.num_rows:
        return schema.empty_table()
    mapped = _mapper(function, schema, table.nbytes)(to_struct(*(col(name) for name in table.column_names)))
    rows = rows_of(frame_of(table).select(ROW, mapped.alias("_result")))
    result = rows["_result"].combine_chunks()
    flat = result.flatten() if isinstance(result, pa.StructArray) else result.chunk(0).flatten()
    return pa.Table.from_arrays([a.cast(f.type) for a, f in zip(flat, schema, strict=True)], schema=schema)


def _mapper(function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema", size: int) -> Any:
    """The Daft function that makes a struct of ``schema`` of a struct of the columns of a table."""
    import daft
    import pyarrow as pa
    from daft import DataType

    fields = {field.name: DataType.from_arrow_type(field.type) for field in schema}

    # Ray's workers are processes already.
    use_process = size >= PROCESS_BYTES and daft.get_or_create_runner().name == "native"

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

    numbered = table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))
    rows = max(1, min(table.num_rows, SLICE_BYTES * table.num_rows // max(table.nbytes, 1)))
    frame = daft.from_arrow(numbered)
    if daft.get_or_create_runner().name == "ray":
        frame = frame.into_partitions(min(64, -(-table.num_rows // rows)))
    return frame.into_batches(rows)


def rows_of(frame: "daft.DataFrame") -> "pa.Table":
    """The rows of a frame of ``frame_of`` in the order of the table, without ``ROW``."""
    return frame.to_arrow().sort_by(ROW).drop_columns([ROW]).combine_chunks()
