"""The sensor that tells people: failed gates, failed jobs, stale data, spent budgets.

What could not be delivered waits in the cursor and is tried again at the next tick, so a server that is away costs no alert
and fails no tick.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from assets.recipe.catalog import Catalog
from orchestration.automation.budget import period_start, spent
from orchestration.automation.channels import Alert, Channel, NotDeliveredError, channels, redacted
from orchestration.profile import Profile

AT_ONCE = 50
"""Failed runs that one tick looks at; the others wait for the next."""
MOST_WAITING = 100
LONGEST_DAYS = 3
"""How many alerts wait for a server that is away, and how long; then they are dropped, which is said."""
LONGEST_LINE = 300


@dataclass
class State:
    """The sensor's cursor: up to which event failures were told, what else was told, and what waits for whom."""

    after: str | None = None
    told: list[str] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> "State":
        try:
            return cls(**json.loads(cursor or "{}"))
        except (ValueError, TypeError):
            return cls()


def build_alerts(catalog: Catalog, profile: Profile, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor ``alerts``."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=profile.operations.every_seconds,
        default_status=status,
        description="Tells by webhook and e-mail of failed gates and jobs, stale data, and spent budgets.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return tell(context.instance, catalog, profile, context.cursor, datetime.now(UTC))

    return alerts


def tell(
    instance: dg.DagsterInstance, catalog: Catalog, profile: Profile, cursor: str | None, now: datetime
) -> dg.SensorResult:
    """One tick: find what is new, tell it and what waited, and say how that went."""
    ways = channels(profile.operations.alerts)
    if not ways:
        return dg.SensorResult(
            skip_reason="Nobody is told: the profile has neither operations.alerts.webhook nor operations.alerts.email."
        )
    state = State.read(cursor)
    new = list(_failures(instance, profile, state))
    standing = dict([*_stale(instance, profile, now), *_budgets(catalog, profile, now)])
    new += [alert for name, alert in standing.items() if name not in state.told]
    state.told = list(standing)
    state.waiting += [{"alert": asdict(a), "to": list(ways), "since": now.timestamp()} for a in new]
    told, faults, dropped = _deliver(state, ways, now)
    said = [f"{len(new)} new alerts, {told} messages delivered, {len(state.waiting)} alerts wait"]
    said += [*faults, *([f"{dropped} alerts were dropped, nobody could be told of them"] if dropped else [])]
    return dg.SensorResult(skip_reason="; ".join(said) + ".", cursor=json.dumps(asdict(state), ensure_ascii=False))


def _deliver(state: State, ways: dict[str, Channel], now: datetime) -> tuple[int, list[str], int]:
    """Tell what waits, the oldest first. A way that fails is not tried again in this tick."""
    told, faults = 0, dict[str, str]()
    for entry in state.waiting:
        alert = Alert(**{**entry["alert"], "lines": tuple(entry["alert"]["lines"])})
        for name in [n for n in entry["to"] if n in ways and n not in faults]:
            try:
                ways[name](alert)
            except NotDeliveredError as error:
                faults[name] = str(error)
                continue
            entry["to"].remove(name)
            told += 1
    oldest = now.timestamp() - LONGEST_DAYS * 86_400
    left = [entry for entry in state.waiting if set(entry["to"]) & set(ways)]
    state.waiting = [entry for entry in left if entry["since"] >= oldest][-MOST_WAITING:]
    return told, list(faults.values()), len(left) - len(state.waiting)


def _failures(instance: dg.DagsterInstance, profile: Profile, state: State) -> Iterator[Alert]:
    """Runs that have failed since the last tick; none at the first, which only notes where the event log is."""
    if state.after is None:
        latest = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
        state.after = str(latest[0].storage_id if latest else 0)
        return
    records = instance.fetch_run_status_changes(
        dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=int(state.after)),
        limit=AT_ONCE,
        ascending=True,
    ).records
    for record in records:
        state.after = str(record.storage_id)
        run = instance.get_run_by_id(record.event_log_entry.run_id)
        # A run that Dagster starts again by itself is told when that has failed too.
        if run is not None and run.tags.get("dagster/will_retry") != "true":
            yield failure_of(instance, profile, run, record.event_log_entry)


def failure_of(instance: dg.DagsterInstance, profile: Profile, run: dg.DagsterRun, event: dg.EventLogEntry) -> Alert:
    """The alert of a failed run: of the gates in it that failed, else of its first error.

    Of a gate, numbers are told and not what was found in texts; of an error its first line.
    """
    ui = (profile.operations.alerts.ui or "").rstrip("/")
    link = f"{ui}/runs/{run.run_id}" if ui else ""
    partition = run.tags.get("dagster/partition", "")
    types = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
    log = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=types) if entry.dagster_event]
    gates = [e.asset_check_evaluation_data for e in log if e.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    failed = [g for g in gates if not g.passed and g.severity == dg.AssetCheckSeverity.ERROR]
    if failed:
        names = ", ".join(gate.asset_key.to_user_string() for gate in failed)
        lines = [line for gate in failed for line in _expectations(gate)]
        return Alert("gate", _line(f"A gate failed: {names}, partition {partition}"), tuple(lines[:20]), link)
    errors = [e for e in log if e.event_type == dg.DagsterEventType.STEP_FAILURE]
    where = errors[0].step_key if errors else run.job_name
    said = errors[0].step_failure_data.error if errors else None
    while said is not None and said.cause is not None:
        said = said.cause
    message = said.message if said is not None else event.user_message
    title = f"A job failed: {where}" + (f", partition {partition}" if partition else "")
    first = message.strip().splitlines()[:1]
    return Alert("job", _line(title), (*map(_line, first), f"run {run.run_id}"), link)


def _expectations(gate: Any) -> Iterator[str]:
    """What a gate expected and did not find, as lines."""
    table = gate.metadata.get("expectations")
    for record in getattr(table, "records", []):
        row = record.data
        if row.get("passed") == "NO" and row.get("severity") == "critical":
            observed = str(row.get("observed", ""))
            found = observed if _is_number(observed) else "see the receipt"
            yield _line(f"{row.get('what')}: {row.get('column')} = {found}, allowed {row.get('allowed')}")
    if gate.metadata.get("error") is not None:
        yield "The gate could not judge; its receipt says why."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line(text: str) -> str:
    """One line, without secrets and not too long."""
    line = redacted(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _stale(instance: dg.DagsterInstance, profile: Profile, now: datetime) -> Iterator[tuple[str, Alert]]:
    """Assets whose last materialization is older than their freshness policy allows; told once for each."""
    for asset, fresh in profile.operations.freshness.items():
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        days = (now.timestamp() - event.timestamp) / 86_400 if event is not None else 0.0
        if event is not None and days > fresh.fail_days:
            title = f"Stale: {asset} was last made {days:.1f} days ago"
            yield f"stale/{asset}/{event.timestamp:.0f}", Alert("stale", title, (f"allowed: {fresh.fail_days:g} days",))


def _budgets(catalog: Catalog, profile: Profile, now: datetime) -> Iterator[tuple[str, Alert]]:
    """Recipes that have spent most of their budget, or more; told once for each in a period."""
    share = profile.operations.alerts.budget_share
    for name, recipe in catalog.recipes.items():
        retraining = recipe.automation.retrain
        if retraining is None:
            continue
        budget, cost = retraining.budget, spent(profile.lake, name, retraining, now)
        used = cost.gpu_hours / budget.gpu_hours
        if budget.co2_kg is not None and cost.co2_kg is not None:
            used = max(used, cost.co2_kg / budget.co2_kg)
        if used >= share:
            since = period_start(budget, now.astimezone(ZoneInfo(retraining.timezone)))
            limits = f"{budget.gpu_hours:g} GPU-hours" + (f", {budget.co2_kg:g} kg CO2" if budget.co2_kg else "")
            title = f"Budget of {name}: {used:.0%} spent this {budget.period}"
            level = "over" if used >= 1 else "near"
            yield f"budget/{name}/{since:%Y-%m-%d}/{level}", Alert("budget", title, (f"spent {cost}, of {limits}",))
