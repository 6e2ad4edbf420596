"""Groups in several lanes: each once, after what it is made from, and none of a later stage behind a failure."""

import threading
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.graph import STAGES
from orchestration.groups import Ended
from orchestration.plan import Due
from orchestration.side_by_side import Group, Waiting, side_by_side

SPACES = list({stage.space: stage for stage in reversed(STAGES)}.values())
"""A stage of each space of partitions."""


@dataclass
class Worker:
    """A lane in this process. ``gone_after`` groups it cannot work any more."""

    gone_after: int = 1_000
    made: list[Group] = field(default_factory=list)
    interrupted: bool = False

    def ready(self) -> bool:
        return len(self.made) < self.gone_after

    def run_group(self, group: Group, tags: dict[str, str]) -> list[Ended]:
        time.sleep(0.0005)
        self.made.append(group)
        return []

    def interrupt(self) -> None:
        self.interrupted = True


@st.composite
def plans(draw: st.DrawFn) -> list[Group]:
    """Groups in an order in which each stands after what it is made from."""
    groups: list[Group] = []
    for number in range(draw(st.integers(1, 25))):
        stage = SPACES[min(len(SPACES) - 1, number // 4)]
        before = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        inputs = tuple((groups[n][0].stage.asset, groups[n][0].key) for n in sorted(before))
        groups.append([Due(stage, f"k{number}", "new", (*inputs, ("elsewhere", "there already")))])
    return groups


@given(groups=plans(), helpers=st.integers(0, 3), failing=st.sets(st.integers(0, 24), max_size=2))
@settings(max_examples=60, deadline=None)
def test_each_once_after_its_inputs_and_none_of_a_later_stage_behind_a_failure(
    groups: list[Group], helpers: int, failing: set[int]
) -> None:
    lock, begun, ended = threading.Lock(), [], []
    fails = {groups[n][0].key for n in failing if n < len(groups)}

    order = [group[0].key for group in groups]
    space = {group[0].key: group[0].stage.space for group in groups}

    def make(lane: Worker, group: Group) -> bool:
        key, made = group[0].key, set(ended)
        with lock:
            begun.append(key)
            assert {before for _, before in group[0].inputs} - {"there already"} <= made - fails
            # With helpers a failure may have ended a moment after this group was taken.
            for failed in fails & made if not helpers else ():
                assert order.index(key) < order.index(failed) or space[key] == space[failed]
        lane.run_group(group, {})
        with lock:
            ended.append(key)
        return key not in fails

    side_by_side(groups, make, Worker(), [Worker() for _ in range(helpers)])
    assert len(begun) == len(set(begun)) and set(begun) == set(ended)
    if not fails & set(begun):
        assert set(begun) == set(order)


def of_one_stage(count: int) -> list[Group]:
    return [[Due(SPACES[0], str(number), "new", ())] for number in range(count)]


def test_two_lanes_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)

    def make(lane: Worker, group: Group) -> bool:
        both.wait()
        return True

    side_by_side(of_one_stage(2), make, Worker(), [Worker()])


def test_what_a_helper_leaves_the_others_make() -> None:
    here, gone = Worker(), Worker(gone_after=1)
    side_by_side(of_one_stage(20), lambda lane, group: lane.run_group(group, {}) == [], here, [gone, Worker(0)])
    assert len(here.made) + len(gone.made) == 20 and len(gone.made) <= 1


def test_an_error_here_interrupts_the_helpers_and_one_of_a_helper_is_raised() -> None:
    here, helper = Worker(), Worker()

    def make(lane: Worker, group: Group) -> bool:
        if lane is here:
            raise KeyboardInterrupt
        time.sleep(0.01)
        return True

    with pytest.raises(KeyboardInterrupt):
        side_by_side(of_one_stage(1_000), make, here, [helper])
    assert helper.interrupted

    def other(lane: Worker, group: Group) -> bool:
        if lane is helper:
            raise LookupError("in the helper")
        time.sleep(0.01)
        return True

    with pytest.raises(LookupError, match="in the helper"):
        side_by_side(of_one_stage(1_000), other, here, [helper])


def test_an_order_that_is_not_the_graphs_is_a_fault() -> None:
    first, second = of_one_stage(2)
    wrong = [[Due(SPACES[0], "0", "new", ((SPACES[0].asset, "1"),))], second]
    with pytest.raises(AssertionError, match="graph's order"):
        Waiting(wrong)
    assert Waiting([first, second]).take() == 0


def test_the_longest_way_is_gone_first_and_otherwise_the_order_stays() -> None:
    short, other, long, behind = of_one_stage(4)
    behind = [Due(SPACES[1], "behind", "new", ((SPACES[0].asset, "2"),))]
    waiting = Waiting([short, other, long, behind])
    taken = [waiting.take()]
    waiting.ended(2, well=True)
    taken += [waiting.take(), waiting.take(), waiting.take()]
    assert taken == [2, 0, 1, 3]
