"""``tokka run``: carry out a plan through Dagster, in this process and its helpers, with the events that the UI shows."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Self

import dagster as dg

from assets.graph import targets
from assets.recipe.catalog import Catalog
from orchestration.build import build_definitions
from orchestration.database import keep_connections
from orchestration.execute import ACCEPT_RISK
from orchestration.groups import Ended, GateFailure, JobFailure, StepDone, run_group
from orchestration.helper import Helper
from orchestration.instance import close_dead_runs, closing_dead_runs, process_tags
from orchestration.interrupts import interrupts
from orchestration.plan import Due, Plan, in_groups, make_plan
from orchestration.profile import Profile
from orchestration.side_by_side import Lane, side_by_side

RECIPE = "tokka/recipe"
"""Tag of a run: the recipe that it is carried out for."""


@dataclass
class Outcome:
    """What a run did. ``planned`` partitions were due; empty lists of failures mean that all of them are done."""

    planned: int
    finished: int
    done: list[StepDone] = field(default_factory=list)
    gate_failures: list[GateFailure] = field(default_factory=list)
    job_failures: list[JobFailure] = field(default_factory=list)


Listener = Callable[[StepDone | GateFailure | JobFailure | Due], None]


def run_recipe(
    catalog: Catalog,
    profile: Profile,
    instance: dg.DagsterInstance,
    recipe: str,
    *,
    to: str | None = None,
    accept_risk: str | None = None,
    listener: Listener = lambda event: None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
) -> Outcome:
    """Materialize what ``recipe`` needs up to the asset ``to``. Stops at the end of the first stage that fails."""
    close_dead_runs(instance)
    wanted = targets(catalog, recipe, to)
    plan = make_plan(catalog, profile, instance, wanted)
    on_plan(plan)
    outcome = Outcome(planned=len(plan.due), finished=len(plan.finished))
    if not plan.due:
        return outcome
    risk = {ACCEPT_RISK: accept_risk} if accept_risk else {}
    run_tags = {RECIPE: recipe, **process_tags(), **risk}
    with Runner(catalog, profile, instance) as runner:
        runner.carry_out(plan, run_tags, outcome, listener)
    return outcome


class Runner:
    """Carries out plans, in this process and in helpers beside it, as many as the profile says; open in a ``with`` block."""

    def __init__(self, catalog: Catalog, profile: Profile, instance: dg.DagsterInstance) -> None:
        self._catalog, self._profile, self._instance = catalog, profile, instance
        self._definitions = build_definitions(catalog, profile)
        self._helpers: list[Helper] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        keep_connections(self._instance)
        self._open.enter_context(closing_dead_runs(self._instance))
        return self

    def __exit__(self, *error: object) -> None:
        for helper in self._helpers:
            helper.close()
        self._open.close()

    def carry_out(self, plan: Plan, tags: dict[str, str], outcome: Outcome, listener: Listener) -> None:
        """Run what is due, in Dagster runs with ``tags``, up to the end of the first stage that fails; says it in ``outcome``."""
        accept_risk = ACCEPT_RISK in tags
        # A taken risk starts behind a failed gate, which blocks within a run; so each asset runs on its own then.
        groups = [[item] for item in plan.due] if accept_risk else in_groups(plan.due)
        turn = threading.Lock()

        def made(lane: Lane, group: list[Due]) -> bool:
            with turn:
                listener(group[0])
            ended = lane.run_group(group, tags)
            with turn:
                for event in ended:
                    listener(_noted(outcome, event))
            failures = JobFailure if accept_risk else (JobFailure, GateFailure)
            return not any(isinstance(event, failures) for event in ended)

        with interrupts() as told_to_end:
            here = _Here(self._definitions, self._profile, self._instance, told_to_end)
            side_by_side(groups, made, here, [] if accept_risk else self._with_helpers(len(groups)))

    def _with_helpers(self, groups: int) -> list[Helper]:
        """The helpers that so many groups are worth; none where other processes cannot open Dagster's instance."""
        wanted = min(self._profile.processes, groups) - 1 if self._instance.is_persistent else 0
        while len(self._helpers) < wanted:
            self._helpers.append(Helper(self._catalog, self._profile, self._instance))
        return self._helpers[: max(0, wanted)]


@dataclass(frozen=True)
class _Here:
    """This process, as one of those that carry out a plan."""

    definitions: dg.Definitions
    profile: Profile
    instance: dg.DagsterInstance
    told_to_end: Callable[[], bool]

    def ready(self) -> bool:
        return True

    def run_group(self, group: list[Due], tags: dict[str, str]) -> list[Ended]:
        ended = run_group(self.definitions, self.profile, self.instance, group, tags)
        if self.told_to_end():
            raise dg.DagsterExecutionInterruptedError
        return ended

    def interrupt(self) -> None:
        """Signals come to this process anyway."""


def _noted(outcome: Outcome, event: Ended) -> Ended:
    """Add what became of a partition to ``outcome``; return it, a finished one with its number."""
    if isinstance(event, StepDone):
        number = outcome.finished + len(outcome.done) + 1
        event = replace(event, number=number, of=outcome.finished + outcome.planned)
        outcome.done.append(event)
    elif isinstance(event, GateFailure):
        outcome.gate_failures.append(event)
    else:
        outcome.job_failures.append(event)
    return event
