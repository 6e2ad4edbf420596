"""Work on documents comes back in order, whoever does it."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from assets import engine
from assets.engine import frame_of, map_parts, map_rows, rows_of


def table(rows: int) -> Any:
    import pyarrow as pa

    return pa.table({"id": [f"{n}" for n in range(rows)], "text": [f"sana {n} " * 20 for n in range(rows)]})


def schema() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.large_string()), ("length", pa.int64()), ("words", pa.list_(pa.large_string()))])


def measured(rows: Any, least: int) -> Any:
    import pyarrow as pa

    texts = rows["text"].to_pylist()
    words = [text.split()[:2] for text in texts]
    lengths = [max(least, len(text)) for text in texts]
    return pa.table({"id": rows["id"], "length": lengths, "words": words}).cast(schema())


def worker(rows: Any) -> Any:
    import pyarrow as pa

    return pa.table({"pid": pa.array([os.getpid()] * rows.num_rows, pa.int64())})


def one_less(rows: Any) -> Any:
    return measured(rows.slice(1), 0)


def sized(monkeypatch: pytest.MonkeyPatch, size: int, process: int) -> None:
    monkeypatch.setattr(engine, "SLICE_BYTES", size)
    monkeypatch.setattr(engine, "PROCESS_BYTES", process)


@pytest.mark.parametrize(("size", "process"), [(10**9, 10**9), (5_000, 10**9), (5_000, 0)])
def test_slices_and_workers_do_not_change_the_rows(monkeypatch: pytest.MonkeyPatch, size: int, process: int) -> None:
    sized(monkeypatch, size, process)
    given = table(500)
    done = map_rows(given, partial(measured, least=200), schema())
    assert done.schema == schema()
    assert done.equals(measured(given, 200))


def test_large_tables_are_worked_on_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    pid = pa.schema([("pid", pa.int64())])
    sized(monkeypatch, 1_000, 0)
    assert os.getpid() not in map_rows(table(300), worker, pid)["pid"].to_pylist()
    sized(monkeypatch, 1_000, 10**9)
    assert set(map_rows(table(300), worker, pid)["pid"].to_pylist()) == {os.getpid()}


def test_no_rows_are_no_rows() -> None:
    assert map_rows(table(0), partial(measured, least=1), schema()).num_rows == 0


def test_a_function_that_loses_a_row_is_found_out() -> None:
    with pytest.raises(Exception, match="49 rows of 50"):
        map_rows(table(50), one_less, schema())


@pytest.mark.parametrize("cores", [1, 4])
def test_slices_of_parts_come_in_order_each_with_its_rows(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    import pyarrow as pa

    monkeypatch.setattr(engine, "cores", lambda: cores)
    given = table(500)
    parts = [given.slice(0, 100), given.slice(100, 0), given.slice(100, 1), given.slice(101)]
    pairs = list(map_parts(parts, partial(measured, least=200), schema(), 2_000))
    assert len(pairs) > 20
    assert all(rows["id"].to_pylist() == made["id"].to_pylist() for rows, made in pairs)
    assert pa.concat_tables([made for _, made in pairs]).equals(measured(given, 200))


def test_parts_are_worked_on_at_once_and_few_slices_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "cores", lambda: 2)
    two = threading.Barrier(2, timeout=60)
    taken: list[int] = []

    def parts() -> Iterator[Any]:
        for number in range(40):
            taken.append(number)
            yield table(1)

    def meet(rows: Any) -> Any:
        two.wait()  # breaks unless two threads work at once
        return measured(rows, 0)

    found = map_parts(parts(), meet, schema(), 10**9)
    next(found)
    assert len(taken) < 10
    assert len(list(found)) == 39


def test_frames_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 500, 10**9)
    given = table(200)
    assert rows_of(frame_of(given))["id"].to_pylist() == given["id"].to_pylist()


@pytest.mark.parametrize(("name", "message"), [("spark", "native, ray"), ("Ray", "native, ray")])
def test_an_unknown_engine_names_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.choose(name)


def test_ray_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Callable[[str], None] = lambda name: None  # noqa: E731 - importlib's answer for what is not there
    monkeypatch.setattr(engine, "find_spec", missing)
    with pytest.raises(ImportError, match=r"pip install 'tokka\[ray\]'"):
        engine.choose("ray")
