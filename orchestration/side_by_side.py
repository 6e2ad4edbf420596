"""Groups of a plan in several lanes side by side: each is taken once what it is made from is there."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from dagster._core.errors import raise_execution_interrupts

from orchestration.groups import Ended
from orchestration.plan import Due

Group = list[Due]


class Waiting:
    """The groups that wait for their turn; first come those with the longest way of groups behind them. Lanes take them from
    several threads.

    ``groups`` are in the order of the graph, so that what a group is made from stands before it.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        place = {(item.stage.asset, item.key): n for n, group in enumerate(groups) for item in group}
        self._needs = [
            {place[i] for item in group for i in item.inputs if i in place} - {n} for n, group in enumerate(groups)
        ]
        assert all(before < n for n, needs in enumerate(self._needs) for before in needs), (
            "groups are in the graph's order"
        )
        way = [0] * len(groups)
        for n in reversed(range(len(groups))):
            for before in self._needs[n]:
                way[before] = max(way[before], way[n] + 1)
        self._left = dict.fromkeys(sorted(range(len(groups)), key=lambda n: -way[n]))
        self._done: set[int] = set()
        self._taken = 0
        self._last = len(groups) - 1
        self._changed = threading.Condition()

    def take(self) -> int | None:
        """The number of the first group that can be made now; waits for one, and returns None when there will be none."""
        with self._changed, raise_execution_interrupts():
            while (number := self._ready()) is None:
                if not self._taken or self._last < 0:
                    return None
                self._changed.wait()
            del self._left[number]
            self._taken += 1
            return number

    def _ready(self) -> int | None:
        return next((n for n in self._left if n <= self._last and self._needs[n] <= self._done), None)

    def ended(self, number: int, *, well: bool) -> None:
        """Say that a group is made; or that it has failed, and then none is begun of a later stage."""
        with self._changed:
            self._taken -= 1
            if well:
                self._done.add(number)
            else:
                space = self._groups[number][0].stage.space
                behind = (n for n in range(number, len(self._groups)) if self._groups[n][0].stage.space != space)
                self._last = min(self._last, next(behind, len(self._groups)) - 1)
            self._changed.notify_all()

    def stop(self) -> None:
        """Let nobody take another group."""
        with self._changed:
            self._last = -1
            self._changed.notify_all()


class Lane(Protocol):
    """What carries out groups, one after the other."""

    def ready(self) -> bool:
        """Wait until it can work; False where it never will."""

    def run_group(self, group: Group, tags: dict[str, str]) -> list[Ended]:
        """Run a group, and say what became of its partitions."""

    def interrupt(self) -> None:
        """Have it end the group that it is at, as Ctrl-C does."""


def side_by_side(
    groups: Sequence[Group], make: Callable[[Lane, Group], bool], here: Lane, helpers: Sequence[Lane]
) -> None:
    """Let ``make`` work on the groups, ``here`` in this thread and each of ``helpers`` in one of its own.

    It says whether it went well. What it raises in one lane lets the others end the groups that they are at, but for this
    thread's, which interrupts them, and is raised then.
    """
    waiting = Waiting(groups)

    def work(lane: Lane) -> None:
        try:
            while lane.ready() and (number := waiting.take()) is not None:
                waiting.ended(number, well=make(lane, groups[number]))
        except BaseException:
            waiting.stop()
            raise

    with ThreadPoolExecutor(max(1, len(helpers))) as pool:
        others = [pool.submit(work, helper) for helper in helpers]
        try:
            work(here)
        except BaseException:
            for helper in helpers:
                helper.interrupt()
            raise
    for other in others:
        other.result()
