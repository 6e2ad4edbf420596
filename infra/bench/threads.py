"""How the threads that encode a source spend their time, by the kernel's accounts.

A clock says little on a machine on which others compute too. The kernel knows of each thread how long it computed and how long
it waited for a core (``/proc/PID/task/TID/schedstat``); the rest of its time it was blocked: by Python's lock, or by memory.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.lake import Lake, Manifest

ROUNDS = 3
"""Over all parts; the last one counts, in which no piece is new."""


@dataclass
class Spent:
    """Seconds of one thread."""

    computed: float = 0.0
    waited_for_a_core: float = 0.0
    blocked: float = 0.0


def encoding(lake: "Lake", corpus: "Manifest", tokenizer: str, engine: str) -> list[dict[str, float]]:
    """How the threads that encode ``corpus`` with ``engine`` spent their time, on the cores that this process may use.

    ``tokenizer`` is the content of a ``tokenizer.json``.
    """
    from assets.engine import map_parts
    from assets.lake.documents import read_parts
    from assets.shards.encode import COLUMNS, SLICE_BYTES, Rendering, encode_slice, encoded_schema

    encode = partial(encode_slice, engine=engine, tokenizer=tokenizer, rendering=Rendering(("document",)))
    parts = list(read_parts(lake, corpus, COLUMNS))
    spent: dict[int, Spent] = {}
    for _ in range(ROUNDS):
        spent.clear()
        for _rows, _made in map_parts(parts, accounted(encode, spent), encoded_schema(), SLICE_BYTES):
            pass
    return [asdict(one) for one in spent.values()]


def accounted(function: "Callable[[pa.Table], pa.Table]", spent: dict[int, Spent]) -> "Callable[[pa.Table], pa.Table]":
    """``function``, whose time in each thread is added up in ``spent``."""

    def called(rows: "pa.Table") -> "pa.Table":
        of_thread = spent.setdefault(threading.get_ident(), Spent())
        begun, (computed, waited) = time.monotonic(), _accounts()
        made = function(rows)
        took, (computed_after, waited_after) = time.monotonic() - begun, _accounts()
        of_thread.computed += computed_after - computed
        of_thread.waited_for_a_core += waited_after - waited
        of_thread.blocked += max(0.0, took - (computed_after - computed) - (waited_after - waited))
        return made

    return called


def _accounts() -> tuple[float, float]:
    """Seconds that this thread computed, and that it waited for a core."""
    computed, waited, _ = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    return int(computed) / 1e9, int(waited) / 1e9


def scaling(one: list[dict[str, float]], many: list[dict[str, float]]) -> float:
    """How many times faster ``many`` threads are than ``one``, were a core free for each.

    That is at least so: a thread also counts as blocked while the one that holds what it needs waits for a core.
    """

    def needed(threads: list[dict[str, float]]) -> float:
        return sum(thread["computed"] + thread["blocked"] for thread in threads) / len(threads)

    return round(needed(one) / needed(many), 2)
