"""The sensor that makes new files at a source a new version of ``raw_corpus``.

A tick lists the files of every source and looks at names, sizes and times (of a remote file at its ETag), and reads none of
them. What it has seen is kept in the cursor. Where the list differs, and is the same at the next tick too, so that nobody is
still writing, a run of that source is requested; the run reads the files, and finds out whether they are new versions of them.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import dagster as dg
import fsspec

from assets.lake import LakeError
from assets.recipe.catalog import Catalog
from assets.recipe.load import RecipeError, expand
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile

RAW_CORPUS = "raw_corpus"
NAMED = 5
"""Names of files, or of sources, that a message gives."""
MOST_REQUESTS = 50
"""Runs that one tick requests; the other sources come at the next tick."""


@dataclass(frozen=True)
class Listing:
    """The files of a source: their names, and a fingerprint of names, sizes and times (16 hex characters)."""

    names: tuple[str, ...]
    fingerprint: str


def list_files(patterns: Iterable[str]) -> Listing:
    """What lies at a source. Raises RecipeError or OSError with a sentence where it cannot be listed, or nothing is there."""
    found: dict[str, tuple[Any, ...]] = {}
    for pattern in patterns:
        try:
            fs, path = fsspec.core.url_to_fs(expand(pattern))
        except (ValueError, ImportError) as error:
            raise RecipeError(str(error)) from error
        fs.invalidate_cache()  # this process lives for months; what was listed at an earlier tick is not asked for
        if any(c in path for c in "*?["):
            listed = fs.glob(path, detail=True).values()
        else:
            try:
                listed = [fs.info(path)]
            except FileNotFoundError:
                listed = []
        files = [info for info in listed if info["type"] == "file"]
        if not files:
            raise RecipeError(f"no file matches {pattern!r}")
        for info in files:
            token = info.get("ETag") or info.get("mtime") or info.get("LastModified") or info.get("created")
            found[info["name"]] = (info["name"], info["size"], str(token))
    rows = [found[name] for name in sorted(found)]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
    return Listing(tuple(sorted({PurePosixPath(name).name for name in found})), digest)


def read_cursor(cursor: str | None) -> dict[str, Any]:
    """``seen``: the fingerprint for which a run was requested, by source; ``changing``: those seen once. Empty at first."""
    try:
        value = json.loads(cursor or "{}")
    except ValueError:
        value = {}
    parts = value if isinstance(value, dict) else {}
    return {name: dict(part) if isinstance(part := parts.get(name), dict) else {} for name in ("seen", "changing")}


def build_new_files(catalog: Catalog, profile: Profile, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor ``new_files``."""

    @dg.sensor(
        name="new_files",
        target=dg.AssetSelection.assets(RAW_CORPUS),
        minimum_interval_seconds=profile.operations.every_seconds,
        default_status=status,
        description="Files that are new, changed or gone at a source become a new version of its raw_corpus. Reads no file.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return look(context.instance, catalog, profile, context.cursor)

    return new_files


def look(instance: dg.DagsterInstance, catalog: Catalog, profile: Profile, cursor: str | None) -> dg.SensorResult:
    """One tick: what lies at every source, and what follows from it."""
    started = time.monotonic()
    state = read_cursor(cursor)
    seen, changing = state["seen"], state["changing"]
    requests: list[dg.RunRequest] = []
    observations: list[dg.AssetObservation] = []
    unchanged, waiting = 0, []
    away: dict[str, list[str]] = {}
    for name, source in catalog.sources.items():
        try:
            listing = list_files(source.files)
        except (RecipeError, OSError) as error:
            changing.pop(name, None)
            missing = re.search(r"the environment variable (\w+), which is not set", str(error))
            reason = f"{missing[1]} is not set" if missing else str(error).rstrip(".")
            away.setdefault(reason, []).append(name)
            continue
        if seen.get(name) == listing.fingerprint:
            changing.pop(name, None)
            unchanged += 1
        elif changing.get(name) != listing.fingerprint or len(requests) == MOST_REQUESTS:
            changing[name] = listing.fingerprint
            waiting.append(name)
        else:
            changing.pop(name)
            seen[name] = listing.fingerprint
            why = _why(instance, profile, name, listing)
            requests.append(_request(name, listing, why))
            observations.append(
                dg.AssetObservation(RAW_CORPUS, partition=name, metadata={"why": why, "files": len(listing.names)})
            )
    gone = sorted(set(seen) - set(catalog.sources))
    for name in gone:
        del seen[name]
    said = [f"{unchanged} of {len(catalog.sources)} sources are as they were"]
    if waiting:
        said.append(f"changed, and looked at again at the next tick to see that nobody is writing: {_some(waiting)}")
    if away:
        reasons = [f"{_some(names)} ({reason})" for reason, names in away.items()]
        said.append(f"cannot be listed: {_some(reasons)}")
    sentence = f"{'; '.join(said)} ({time.monotonic() - started:.1f} s)."
    new_cursor = json.dumps({"seen": seen, "changing": changing}, sort_keys=True)
    if requests:
        return dg.SensorResult(run_requests=requests, asset_events=observations, cursor=new_cursor)
    return dg.SensorResult(skip_reason=sentence, cursor=new_cursor)


def _request(source: str, listing: Listing, why: str) -> dg.RunRequest:
    return dg.RunRequest(
        # No run key: the same files may come back, after others were there in between.
        partition_key=source,
        asset_selection=[dg.AssetKey(RAW_CORPUS)],
        tags={"tokka/why": why, "tokka/by": "new_files"},
    )


def _why(instance: dg.DagsterInstance, profile: Profile, source: str, listing: Listing) -> str:
    """What differs from the version that is there, as far as names tell."""
    ref = materialized_ref(instance, RAW_CORPUS, source)
    try:
        before = set(profile.lake.manifest(ref).config["files"]) if ref else None
    except LakeError:
        before = None
    if before is None or ref is None:
        return f"{len(listing.names)} files, and no version of them yet: {_some(listing.names)}."
    new, gone = sorted(set(listing.names) - before), sorted(before - set(listing.names))
    parts = [f"{len(names)} {what}: {_some(names)}" for names, what in ((new, "new"), (gone, "gone")) if names]
    if not parts:
        parts = [f"the same {len(before)} names with other sizes or times, or seen for the first time"]
    return f"{'; '.join(parts)}; compared with the version {ref.version}."


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
