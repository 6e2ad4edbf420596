"""From what a stage shows to what Dagster's UI renders."""

import base64
from typing import Any

import dagster as dg

from assets.lake import Lake, Manifest, Receipt
from assets.lake.receipt import Expectation
from assets.stage import Plot, Shown, Stage, Table

MAX_CELL = 300


def _table(rows: list[dict[str, Any]]) -> dg.MetadataValue:
    records = [dg.TableRecord({k: _cell(v) for k, v in row.items()}) for row in rows]
    if not records:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(records)


def _upright(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A single wide row as a row per column, which a page has room for."""
    return [{"measure": name, "value": value} for name, value in rows[0].items()] if len(rows) == 1 else rows


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _value(value: Shown) -> dg.MetadataValue:
    if isinstance(value, Table):
        return _table([dict(row) for row in value.rows])
    if isinstance(value, Plot):
        return dg.MetadataValue.md(f"![{value.title}](data:image/png;base64,{base64.b64encode(value.png).decode()})")
    if isinstance(value, bool | str):
        return dg.MetadataValue.text(str(value))
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(value)


def materialization_metadata(stage: Stage, lake: Lake, manifest: Manifest, reused: bool) -> dict[str, dg.MetadataValue]:
    """Metadata of a materialization: which version it is, its counts, and what the stage shows of it."""
    folder = lake.folder(manifest)
    shown = stage.show(lake, manifest)
    metadata: dict[str, dg.MetadataValue] = {
        **{name: _value(value) for name, value in shown.items()},
        "version": dg.MetadataValue.text(manifest.version),
        "digest": dg.MetadataValue.text(manifest.digest),
        "folder": dg.MetadataValue.path(folder) if lake.is_local else dg.MetadataValue.text(folder),
        "reused": dg.MetadataValue.bool(reused),
        "seconds": dg.MetadataValue.float(manifest.seconds),
        # What a stage shows under the name of a count, such as the table of the scores, stays.
        **{name: _value(count) for name, count in manifest.counts.items() if name not in shown},
        **{f"cost/{name}": dg.MetadataValue.float(value) for name, value in manifest.cost.items()},
    }
    if manifest.accepted_risks:
        rows = [{"input": name, "reason": reason} for name, reason in manifest.accepted_risks.items()]
        metadata["accepted risks"] = _table(rows)
    return metadata


def check_metadata(
    stage: Stage, lake: Lake, manifest: Manifest, receipt: Receipt, path: str
) -> dict[str, dg.MetadataValue]:
    """Metadata of a gate's check: the table of its expectations and its few numbers.

    Where an expectation failed, also a table of those that did, and what the stage shows of the version: its plots and samples.
    The UI sorts by name, so the names put what failed above the long table of all.
    """
    metadata: dict[str, dg.MetadataValue] = {}
    if receipt.failed:
        metadata["bounds not kept"] = _table([_expectation(e) for e in receipt.failed])
        metadata |= _evidence(stage, lake, manifest)
    if receipt.error:
        metadata["error"] = dg.MetadataValue.text(receipt.error)
    return metadata | {
        "expectations": _table(
            [{"passed": "yes" if e.passed else "NO", **_expectation(e)} for e in receipt.expectations]
        ),
        "profile": _table(_upright(receipt.profile)),
        "receipt": dg.MetadataValue.path(path) if lake.is_local else dg.MetadataValue.text(path),
        **{name: dg.MetadataValue.float(value) for name, value in receipt.numbers.items()},
    }


def _expectation(e: Expectation) -> dict[str, Any]:
    return {
        "what": e.meaning,
        "observed": e.observed,
        "allowed": e.allowed,
        "column": e.column,
        "severity": e.severity,
    }


def _evidence(stage: Stage, lake: Lake, manifest: Manifest) -> dict[str, dg.MetadataValue]:
    """The plots and tables of a version whose gate failed."""
    try:
        shown = stage.show(lake, manifest)
    except Exception as error:  # what a gate found is told also where the files are not what the manifest says
        return {"evidence": dg.MetadataValue.text(f"There is none: {type(error).__name__}: {error}")}
    return {
        f"chart/{value.title}" if isinstance(value, Plot) else f"evidence/{name}": _value(value)
        for name, value in shown.items()
        if isinstance(value, Plot | Table)
    }
