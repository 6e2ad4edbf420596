"""``tokka lake gc``."""

from dataclasses import asdict
from datetime import timedelta

import dagster as dg

from assets.graph import BY_ASSET
from assets.lake import Lake, LakeError
from assets.lake.collect import Collection, Found, Leftover, plan, remove, total
from assets.promotion.history import history, names
from orchestration.cli.context import open_profile
from orchestration.cli.output import Exit, err, fail, out, print_json, print_table
from orchestration.instance import dagster_home
from orchestration.lineage import materialized_ref


def gc_command(keep: int, older_than: float, delete: bool, uri: str | None, as_json: bool) -> None:
    """Print what nobody needs any more; with ``delete`` remove it."""
    lake = open_profile(uri).lake
    dagster_home()
    with dg.DagsterInstance.get() as instance:
        try:
            found = plan(lake, roots(lake, instance), keep, timedelta(days=older_than))
            gone: list[Found | Leftover] = []
            if delete:
                gone = list(remove(lake, found, lambda name: name in roots(lake, instance, name)))
        except LakeError as error:
            fail(str(error), Exit.GATE_FAILED)
    if as_json:
        print_json(_as_json(found, gone, delete))
    else:
        _print(lake, found, gone, delete)


def roots(lake: Lake, instance: dg.DagsterInstance, only: str | None = None) -> dict[str, str]:
    """The versions that are kept whatever their age, by name with the reason: those that Dagster's event log names as
    current, and every version that was ever promoted. ``only`` looks at the partition of one version.
    """
    found = {}
    for asset in BY_ASSET:
        if only is not None and asset != only.split("/")[0]:
            continue
        partitions = instance.get_materialized_partitions(dg.AssetKey(asset)) if only is None else [only.split("/")[1]]
        for partition in partitions:
            ref = materialized_ref(instance, asset, partition)
            if ref is not None:
                found[ref.name] = "it is current"
    for name in names(lake):
        for entry in history(lake, name):
            found[entry.version.name] = f"it was promoted as {name}"
    return found


def _as_json(found: Collection, gone: list[Found | Leftover], delete: bool) -> dict[str, object]:
    removed = {item.name if isinstance(item, Found) else item.path for item in gone}
    return {
        "deleted": delete,
        "kept": found.kept,
        "versions": [
            {"version": v.name, "made": v.started.isoformat(), "bytes": v.size, "removed": v.name in removed}
            for v in found.removed
        ],
        "leftovers": [asdict(left) | {"removed": left.path in removed} for left in found.leftovers],
        "bytes": total([*found.removed, *found.leftovers]),
        "warnings": found.warnings,
    }


def _print(lake: Lake, found: Collection, gone: list[Found | Leftover], delete: bool) -> None:
    for warning in found.warnings:
        err.print(f"warning: {warning}", markup=False)
    rows = [{"what": v.name, "MB": v.size / 1e6, "why": "nobody needs it"} for v in found.removed]
    rows += [{"what": x.path.removeprefix(f"{lake.root}/"), "MB": x.size / 1e6, "why": x.why} for x in found.leftovers]
    if rows:
        print_table(rows)
    size = total([*found.removed, *found.leftovers]) / 1e6
    everything = f"{len(found.removed)} versions and {len(found.leftovers)} leftovers, {size:,.1f} MB"
    if delete:
        out.print(f"removed {len(gone)} of {everything}; {len(found.kept)} versions stay.")
    else:
        out.print(f"{everything} can go, {len(found.kept)} versions stay. Nothing was removed; --delete removes them.")
