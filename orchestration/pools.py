"""Places in Dagster's pools: how a step waits for one, and what is said meanwhile."""

import time

import dagster as dg
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

LONGEST = 1.0
"""Seconds that a step sleeps at a time; signals are heard in between."""


def sleep_while_waiting() -> None:
    """Let steps of this process sleep while they wait for a place in a pool.

    Dagster's executor means to, and takes the least of 0 and the seconds until it asks again (1.13,
    ``InstanceConcurrencyContext``), so that a step that waits keeps a core busy, and the one that it waits for is slower.
    """
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _interval  # type: ignore[method-assign, assignment]


def _interval(context: InstanceConcurrencyContext) -> float:
    left = min(context._pending_timeouts.values(), default=0.0) - time.time()
    return min(max(left, 0.0), LONGEST)


def waited_for(event: dg.DagsterEvent | None) -> str | None:
    """The pool for a place in which a step waits, if that is what an event says; it says so every five minutes."""
    if event is None or event.event_type != dg.DagsterEventType.ENGINE_EVENT:
        return None
    pool = event.engine_event_data.metadata.get("pool")
    return None if pool is None else str(pool.value)
