"""A study as a grid of recipes: what they share, and running them through Dagster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.graph import targets, upstream
from assets.lake import InputRef
from assets.recipe.catalog import Catalog
from assets.recipe.study import Derived
from assets.recipe.yaml_files import RecipeError
from assets.stage import Input
from orchestration.backfill import Backfill, close_dead_backfills
from orchestration.groups import GateFailure, JobFailure, StepDone
from orchestration.instance import close_dead_runs
from orchestration.plan import Due, Plan, make_plan
from orchestration.profile import Profile
from orchestration.run import RECIPE, Listener, Outcome, Runner

STUDY = "tokka/study"
"""Tag of a study's backfill and of all its runs."""


@dataclass(frozen=True)
class Shared:
    """A partition that several recipes of a study need: the same inputs, configuration and code, so the same version.

    ``version`` and ``digest`` are those of the lake, ``seconds`` what making it took; None where it is not made yet.
    """

    asset: str
    partition: str
    recipes: tuple[str, ...]
    version: str | None
    digest: str | None
    seconds: float | None


@dataclass(frozen=True)
class Sharing:
    """The partitions that a study's recipes need: ``apart`` if each made its own, ``together`` as they are."""

    apart: int
    together: int
    finished: int
    shared: tuple[Shared, ...]
    apart_seconds: float
    together_seconds: float
    not_here: dict[str, str]
    """Why it cannot be known of a recipe what of it is finished: its corpora are not on this machine."""

    @property
    def saved_partitions(self) -> int:
        return self.apart - self.together

    @property
    def saved_seconds(self) -> float:
        """Seconds of the versions that are there, for every recipe after the first that uses them."""
        return self.apart_seconds - self.together_seconds


def sharing(catalog: Catalog, profile: Profile, instance: dg.DagsterInstance, recipes: Sequence[str]) -> Sharing:
    """What the recipes share, by the versions that they ask for now."""
    users: dict[Input, list[str]] = {}
    for recipe in recipes:
        for stage, key in upstream(catalog, targets(catalog, recipe)):
            users.setdefault((stage.asset, key), []).append(recipe)
    finished: dict[Input, InputRef] = {}
    not_here: dict[str, str] = {}
    for recipe in recipes:
        try:
            finished |= make_plan(catalog, profile, instance, targets(catalog, recipe)).finished
        except RecipeError as error:
            not_here[recipe] = str(error)
    seconds = {place: profile.lake.manifest(ref).seconds for place, ref in finished.items() if place in users}
    shared = tuple(
        Shared(
            *place,
            tuple(names),
            finished[place].version if place in finished else None,
            finished[place].digest if place in finished else None,
            seconds.get(place),
        )
        for place, names in users.items()
        if len(names) > 1
    )
    return Sharing(
        apart=sum(len(names) for names in users.values()),
        together=len(users),
        finished=len(finished),
        shared=shared,
        apart_seconds=sum(each * len(users[place]) for place, each in seconds.items()),
        together_seconds=sum(seconds.values()),
        not_here=not_here,
    )


def in_order(derived: Sequence[Derived]) -> list[str]:
    """The recipes seed by seed, so that an interrupted study has whole comparisons; what starts from another comes after it."""
    seeds = list(dict.fromkeys(each.seed for each in derived))
    by_seed = sorted(derived, key=lambda each: (seeds.index(each.seed), each.recipe.model.start_from is not None))
    return list(dict.fromkeys(each.recipe.name for each in by_seed))


@dataclass
class StudyOutcome:
    """What became of each recipe. ``blocked`` are those that were not tried, with the failed partition that they need;
    ``backfill`` is Dagster's id, None where there was nothing to do."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    blocked: dict[str, Input] = field(default_factory=dict)
    backfill: str | None = None

    @property
    def failed(self) -> dict[str, Outcome]:
        """The recipes that a gate or a job stopped."""
        return {name: each for name, each in self.outcomes.items() if each.gate_failures or each.job_failures}


class StudyCancelledError(Exception):
    """The study's backfill was cancelled in Dagster's UI."""


def run_study(
    catalog: Catalog,
    profile: Profile,
    instance: dg.DagsterInstance,
    study: str,
    recipes: Sequence[str],
    *,
    listener: Listener,
    on_recipe: Callable[[int, str, Plan], None],
) -> StudyOutcome:
    """Materialize the partitions of all recipes as one backfill, one recipe after the other; what is there is not made again.

    Steps take places in the instance's pools as those of any run do, so that studies and runs side by side train no more models
    at a time than the pool ``gpu`` has places. A recipe whose gate or job fails does not stop the others, only those that
    need the very partition that failed. Raises StudyCancelledError.
    """
    close_dead_runs(instance)
    close_dead_backfills(instance)
    outcome = StudyOutcome()
    everything = make_plan(catalog, profile, instance, [t for recipe in recipes for t in targets(catalog, recipe)])
    if not everything.due:
        return outcome
    said = f"{len(recipes)} recipes of the study {study}, by `tokka study run {study}`."
    failed: set[Input] = set()
    due = [(d.stage.asset, d.key) for d in everything.due]
    with (
        Backfill(instance, due, f"study {study}"[:100], said, {STUDY: study}) as backfill,
        Runner(catalog, profile, instance) as runner,
    ):
        outcome.backfill = backfill.id

        def told(event: StepDone | GateFailure | JobFailure | Due) -> None:
            if backfill.cancelled:
                raise StudyCancelledError
            if isinstance(event, StepDone):
                backfill.made((event.asset, event.partition))
            elif isinstance(event, GateFailure | JobFailure):
                failed.add((event.asset, event.partition))
                backfill.failed((event.asset, event.partition))
            listener(event)

        for number, recipe in enumerate(recipes, start=1):
            plan = make_plan(catalog, profile, instance, targets(catalog, recipe))
            on_recipe(number, recipe, plan)
            in_the_way = next((d for d in plan.due if (d.stage.asset, d.key) in failed), None)
            if in_the_way is not None:
                outcome.blocked[recipe] = (in_the_way.stage.asset, in_the_way.key)
                continue
            one = outcome.outcomes[recipe] = Outcome(planned=len(plan.due), finished=len(plan.finished))
            runner.carry_out(plan, {RECIPE: recipe, **backfill.tags}, one, told)
    return outcome


def as_rows(found: Sharing) -> list[dict[str, Any]]:
    """The sharing by asset: partitions apart and together, and the seconds that are known."""
    rows: dict[str, dict[str, Any]] = {}
    for each in found.shared:
        row = rows.setdefault(
            each.asset, {"asset": each.asset, "shared partitions": 0, "made anew without": 0, "seconds saved": 0.0}
        )
        row["shared partitions"] += 1
        row["made anew without"] += len(each.recipes)
        row["seconds saved"] += (each.seconds or 0.0) * (len(each.recipes) - 1)
    return list(rows.values())
