"""The data engine: Daft, on its native runner or on its Ray runner.

Work on documents is a function of a few rows at a time, and the rows come back in their order, so that the result is the
same on either runner and for any number of workers.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from assets.lake.machine import cores

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
    table: "pa.Table",
    function: "Callable[[pa.Table], pa.Table]",
    schema: "pa.Schema",
    threads: bool = False,
    slice_bytes: int = SLICE_BYTES,
) -> "pa.Table":
    """What ``function`` makes of a table, slice by slice: one row for each row, in the same order.

    ``function`` is given a table with the columns of ``table`` and returns one with ``schema``; it is pickled to worker
    processes, so it is a function of a module or a ``functools.partial`` of one. ``threads`` says that it works in numpy
    or Arrow, which let other threads run: such work, and small work, stays in this process on the native engine, where a
    thread takes about ``slice_bytes`` at a time.
    """
    if not table.num_rows:
        return schema.empty_table()
    if _chosen == "native" and (threads or table.nbytes < PROCESS_BYTES):
        return _map_in_threads(table, function, schema, slice_bytes)
    import pyarrow as pa
    from daft import col
    from daft.functions import to_struct

    mapped = _mapper(function, schema, use_process=_chosen == "native")(
        to_struct(*(col(name) for name in table.column_names))
    )
    rows = rows_of(frame_of(table).select(ROW, mapped.alias("_result")))
    result = rows["_result"].combine_chunks()
    flat = result.flatten() if isinstance(result, pa.StructArray) else result.chunk(0).flatten()
    return pa.Table.from_arrays([a.cast(f.type) for a, f in zip(flat, schema, strict=True)], schema=schema)


def map_parts(
    parts: "Iterable[pa.Table]", function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema", slice_bytes: int
) -> "Iterator[tuple[pa.Table, pa.Table]]":
    """The slices of tables in order, each with what ``function`` makes of it: one row for each row.

    ``function`` works in numpy or Arrow, as with ``threads`` of ``map_rows``. One thread a core works on the native engine; a
    slice waits for no other but to be given back, so no thread is idle where a table ends. Memory is that of the tables that
    the slices in work belong to. On Ray a slice is a whole table.
    """
    if _chosen != "native":
        yield from ((part, map_rows(part, function, schema)) for part in parts)
        return
    workers = cores()
    coming: deque[tuple[pa.Table, Future[pa.Table]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for part in parts:
            for rows in _slices(part, slice_bytes):
                coming.append((rows, pool.submit(_one_for_one, function, rows)))
                if len(coming) > 2 * workers:
                    done, made = coming.popleft()
                    yield done, made.result()
        while coming:
            done, made = coming.popleft()
            yield done, made.result()


def _map_in_threads(
    table: "pa.Table", function: "Callable[[pa.Table], pa.Table]", schema: "pa.Schema", slice_bytes: int
) -> "pa.Table":
    """``map_rows`` without Daft, whose way there and back costs a quarter of the time of work that is vectors throughout."""
    import pyarrow as pa

    with ThreadPoolExecutor(cores()) as pool:
        made = list(pool.map(partial(_one_for_one, function), _slices(table, slice_bytes)))
    return pa.concat_tables(made).cast(schema)


def _one_for_one(function: "Callable[[pa.Table], pa.Table]", rows: "pa.Table") -> "pa.Table":
    made = function(rows)
    if made.num_rows != rows.num_rows:
        raise ValueError(f"{function} made {made.num_rows} rows of {rows.num_rows}; it must make one of each.")
    return made


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
        made = _one_for_one(function, pa.Table.from_arrays(given.flatten(), names=names))
        return made.combine_chunks().to_struct_array().combine_chunks()

    return mapped


def _slices(table: "pa.Table", slice_bytes: int) -> "Iterator[pa.Table]":
    rows = _slice_rows(table, slice_bytes)
    return (table.slice(start, rows) for start in range(0, table.num_rows, rows))


def _slice_rows(table: "pa.Table", slice_bytes: int = SLICE_BYTES) -> int:
    """Rows of a slice of about ``slice_bytes``."""
    return max(1, min(table.num_rows, slice_bytes * table.num_rows // max(table.nbytes, 1)))


def frame_of(table: "pa.Table") -> "daft.DataFrame":
    """A table as a Daft frame with a column ``ROW``, in slices that workers share."""
    import daft
    import pyarrow as pa

    _start(_chosen)
    numbered = table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))
    rows = _slice_rows(table)
    frame = daft.from_arrow(numbered)
    if _chosen == "ray":
        frame = frame.into_partitions(min(64, -(-table.num_rows // rows)))
    return frame.into_batches(rows)


def rows_of(frame: "daft.DataFrame") -> "pa.Table":
    """The rows of a frame of ``frame_of`` in the order of the table, without ``ROW``."""
    return frame.to_arrow().sort_by(ROW).drop_columns([ROW]).combine_chunks()
