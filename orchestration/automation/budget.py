"""What training has cost in the current period, and what the next run will cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from assets.lake import Lake, Manifest
from assets.lake.fingerprint import canonical
from assets.recipe.automation import Budget, Retraining
from assets.recipe.model import Recipe


@dataclass(frozen=True)
class Cost:
    """Hours of GPUs (of ranks, on CPU) and kg of CO2; None where CO2 is not known."""

    gpu_hours: float
    co2_kg: float | None

    def __add__(self, other: "Cost") -> "Cost":
        known = self.co2_kg is not None and other.co2_kg is not None
        return Cost(self.gpu_hours + other.gpu_hours, (self.co2_kg or 0) + (other.co2_kg or 0) if known else None)

    def __str__(self) -> str:
        co2 = "CO2 not known" if self.co2_kg is None else f"{self.co2_kg:,.4g} kg CO2"
        return f"{self.gpu_hours:,.4g} GPU-hours and {co2}"


def period_start(budget: Budget, now: datetime) -> datetime:
    """The first moment of the calendar's week (from Monday), month or year that ``now`` lies in, in its time zone."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if budget.period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if budget.period == "month" else day.replace(month=1, day=1)


def cost_of(run: Manifest) -> Cost:
    """What a pretraining run cost, as its manifest says."""
    return Cost(run.cost.get("rank_hours", 0.0), run.cost.get("co2_kg"))


def spent(lake: Lake, recipe: str, retraining: Retraining, now: datetime) -> Cost:
    """What the recipe's pretraining runs have cost whose versions were begun in the current period.

    Runs that never became a version, since they were killed and not resumed, are not counted.
    """
    since = period_start(retraining.budget, now.astimezone(ZoneInfo(retraining.timezone)))
    total = Cost(0.0, 0.0)
    for run in lake.manifests("pretraining_run", recipe):
        if datetime.fromisoformat(run.started) >= since:
            total += cost_of(run)
    return total


def estimate(recipe: Recipe, retraining: Retraining, last: Manifest | None) -> tuple[Cost, str] | None:
    """What the next run will cost, and what that rests on; None where nothing says it.

    The last run's cost, by tokens; without a run, or where the model is another one since, what the recipe says.
    """
    model = canonical(recipe.model.model_dump(mode="json", exclude={"start_from": {"folder"}}))
    if last is not None and last.config.get("model") == model:
        share = recipe.training.tokens / last.counts["tokens"] if last.counts.get("tokens") else 1.0
        cost = cost_of(last)
        scaled = Cost(cost.gpu_hours * share, None if cost.co2_kg is None else cost.co2_kg * share)
        return scaled, f"the run of {last.started[:10]}" + ("" if share == 1 else f", by tokens x {share:.3g}")
    if retraining.estimate is not None:
        return Cost(retraining.estimate.gpu_hours, retraining.estimate.co2_kg), "the recipe's estimate"
    return None


def over_budget(budget: Budget, spent_so_far: Cost, next_run: Cost) -> str | None:
    """Why the next run does not fit into the budget, with numbers; None where it does."""
    total = spent_so_far + next_run
    said = f"{spent_so_far} spent this {budget.period}, about {next_run} for the next run"
    if total.gpu_hours > budget.gpu_hours:
        return f"the budget is {budget.gpu_hours:,.4g} GPU-hours per {budget.period}: {said}"
    if budget.co2_kg is not None and total.co2_kg is None:
        return (
            f"the budget is {budget.co2_kg:,.4g} kg CO2 per {budget.period}, and what training emits is not known; set "
            f"cost.grid_kg_per_kwh and cost.power_watts in the profile, or retrain.estimate.co2_kg: {said}"
        )
    if budget.co2_kg is not None and total.co2_kg is not None and total.co2_kg > budget.co2_kg:
        return f"the budget is {budget.co2_kg:,.4g} kg CO2 per {budget.period}: {said}"
    return None
