"""Retention: which versions nobody needs any more, what was left over by killed processes, and how both are removed.

A version is kept when it is a root, or in the lineage of a version that is kept. So whatever is kept can be walked back and
made again from what is there.
"""

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from assets.lake.files import is_alive, patiently
from assets.lake.names import NAME
from assets.lake.store import MANIFEST, WRITING, Lake, LakeError

AGED = (".results", ".aside")
"""Folders of the lake whose entries can be made again, and go when they are old: kept results, versions set aside."""
STATES, STAGING = ".states", ".staging"


@dataclass(frozen=True)
class Found:
    """A visible version: its name, what it was made from, when it was begun, its size in bytes."""

    name: str
    inputs: tuple[str, ...]
    started: datetime
    size: int

    @property
    def partition(self) -> str:
        """``asset/partition``."""
        return self.name.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Leftover:
    """A folder without a use, by its path in the lake's file system, its size in bytes, and why it goes."""

    path: str
    size: int
    why: str


@dataclass
class Collection:
    """``kept`` by name with the reason; ``removed`` versions and ``leftovers``; ``warnings`` for people."""

    kept: dict[str, str] = field(default_factory=dict)
    removed: list[Found] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan(
    lake: Lake, roots: Mapping[str, str], keep: int, older_than: timedelta, now: datetime | None = None
) -> Collection:
    """What would go. Roots, beside the given ones (by name, with the reason): the newest ``keep`` versions of each partition,
    those begun within ``older_than``, and what is being read by whoever is writing. Reads every manifest, changes nothing.
    """
    now = now or datetime.now(UTC)
    lake.fs.invalidate_cache()
    result = Collection()
    claims = dict(_claims(lake))
    found, unreadable = _versions(lake, result.warnings)
    why: dict[str, str] = dict(roots)
    why |= dict.fromkeys(unreadable, "its manifest cannot be read")
    for claimed, marker in claims.items():
        why |= dict.fromkeys(marker.get("inputs", ()), f"{claimed} is being made from it")
        if _is_live(marker) and "inputs" not in marker:
            raise LakeError(
                f"{claimed} is being written by an older version of Tokka, which does not say what it reads. Run this again "
                "when it is done."
            )
    partitions: dict[str, list[Found]] = {}
    for version in found.values():
        partitions.setdefault(version.partition, []).append(version)
        if now - version.started < older_than:
            why.setdefault(version.name, "it is young")
    for versions in partitions.values():
        newest = sorted(versions, key=lambda v: (v.started, v.name), reverse=True)
        for version in newest[:keep]:
            why.setdefault(version.name, f"one of the newest {keep}")
    result.kept = _with_lineage(found, why, result.warnings)
    result.removed = [found[name] for name in sorted(found) if name not in result.kept]
    result.leftovers = list(_leftovers(lake, found, claims, older_than, now))
    return result


def _versions(lake: Lake, warnings: list[str]) -> tuple[dict[str, Found], list[str]]:
    """The visible versions by name, and the names of those whose manifest cannot be read."""
    found, unreadable = {}, []
    for path in sorted(patiently(lambda: lake.fs.glob(f"{lake.root}/*/*/*/{MANIFEST}"))):
        asset, partition, version = path.split("/")[-4:-1]
        if not all(NAME.fullmatch(part) for part in (asset, partition, version)):
            continue
        name = f"{asset}/{partition}/{version}"
        try:
            manifest = lake.find(asset, partition, version)
        except LakeError as error:
            warnings.append(str(error))
            unreadable.append(name)
            continue
        if manifest is not None:
            size = sum(f.size for f in manifest.files)
            inputs = tuple(ref.name for ref in manifest.inputs)
            found[name] = Found(name, inputs, datetime.fromisoformat(manifest.started), size)
    return found, unreadable


def _with_lineage(found: Mapping[str, Found], roots: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """The roots that are there, and everything that they were made from, with the reasons."""
    kept: dict[str, str] = {}
    todo = [(name, why) for name, why in sorted(roots.items())]
    missing: set[str] = set()
    while todo:
        name, why = todo.pop()
        if name in kept:
            continue
        if name in found:
            kept[name] = why
            todo.extend((ref, f"{name} was made from it") for ref in found[name].inputs)
        elif name in roots:
            kept[name] = why
        elif name not in missing:
            missing.add(name)
            warnings.append(
                f"{name} is not in the lake any more, and {why.removesuffix(' was made from it')} was made from it."
            )
    return kept


def _claims(lake: Lake) -> Iterator[tuple[str, dict[str, Any]]]:
    """The versions that are being written, by name, with what their marker says."""
    for path in sorted(patiently(lambda: lake.fs.glob(f"{lake.root}/*/*/*/{WRITING}"))):
        with contextlib.suppress(FileNotFoundError, ValueError):
            marker = json.loads(patiently(partial(lake.fs.cat_file, path)))
            yield "/".join(path.split("/")[-4:-1]), marker


def _is_live(marker: Mapping[str, Any]) -> bool:
    """Whether the process of a marker works, as far as this machine can tell: one of another machine may."""
    return marker.get("host") != socket.gethostname() or is_alive(int(marker.get("pid", 0)))


def _leftovers(
    lake: Lake, found: Mapping[str, Found], claims: Mapping[str, dict[str, Any]], older_than: timedelta, now: datetime
) -> Iterator[Leftover]:
    """What killed processes have left: folders without a manifest, staging, states of runs that are done; and what is old."""
    limit = now - older_than
    days = f"for {older_than.days} days"
    for path in _folders(lake, "*/*/*"):
        name = "/".join(path.split("/")[-3:])
        # A file of a version may lie as deep as another version's folder; only names of the lake count.
        if name in found or path.split("/")[-3].startswith(".") or lake.fs.exists(f"{path}/{MANIFEST}"):
            continue
        live = name in claims and claims[name].get("host") == socket.gethostname() and _is_live(claims[name])
        size, newest = _size_and_newest(lake, path)
        if not live and newest < limit:
            yield Leftover(path, size, f"nobody has written to this unfinished version {days}")
    for path in _folders(lake, f"{STATES}/*"):
        recipe, _, version = path.rsplit("/", 1)[1].rpartition("-")
        name = f"pretraining_run/{recipe}/{version}"
        size, newest = _size_and_newest(lake, path)
        if name in found:
            yield Leftover(path, size, f"{name} is whole")
        elif newest < limit and not (name in claims and _is_live(claims[name])):
            yield Leftover(path, size, f"no state was saved {days}")
    for path in _folders(lake, f"{STAGING}/*"):
        host, pid, _ = ([*path.rsplit("/", 1)[1].rsplit("-", 2), "", ""])[:3]
        size, newest = _size_and_newest(lake, path)
        dead = host == socket.gethostname() and pid.isdigit() and not is_alive(int(pid))
        if dead or (host != socket.gethostname() and newest < limit):
            yield Leftover(path, size, "its process is gone" if dead else f"nobody has written to it {days}")
    for folder in AGED:
        for path in _folders(lake, f"{folder}/*/*/*" if folder == ".aside" else f"{folder}/*"):
            size, newest = _size_and_newest(lake, path)
            if newest < limit:
                yield Leftover(path, size, f"it was not touched {days}, and can be made again")


def _folders(lake: Lake, pattern: str) -> list[str]:
    listed = patiently(lambda: lake.fs.glob(f"{lake.root}/{pattern}", detail=True))
    return sorted(path.rstrip("/") for path, info in listed.items() if info["type"] == "directory")


def _size_and_newest(lake: Lake, path: str) -> tuple[int, datetime]:
    """Bytes below a folder, and when the last of them were written; of an empty folder, when it was."""
    files = patiently(lambda: lake.fs.find(path, detail=True)).values()
    times = [info.get("LastModified") or info.get("mtime") for info in files]
    if not times:
        with contextlib.suppress(FileNotFoundError):
            times = [lake.fs.info(path).get("mtime")]
    moments = [t if isinstance(t, datetime) else datetime.fromtimestamp(t, UTC) for t in times if t is not None]
    return sum(info["size"] for info in files), max(moments, default=datetime.now(UTC))


def remove(lake: Lake, collection: Collection, is_needed: Callable[[str], bool]) -> Iterator[Found | Leftover]:
    """Remove what a plan names, one after the other, and yield what is gone.

    ``is_needed`` is asked again before each version. A version is claimed first, as a writer would, so that nobody makes it
    anew meanwhile; then its manifest goes, and with it the version, and then its files.
    """
    for version in collection.removed:
        if _remove_version(lake, version, is_needed):
            yield version
    for leftover in collection.leftovers:
        name = leftover.path.removeprefix(f"{lake.root}/")
        if not name.startswith("."):  # an unfinished version, which somebody may have gone on with
            claimed = dict(_claims(lake)).get(name)
            ours = claimed is not None and claimed.get("host") == socket.gethostname()
            if lake.fs.exists(f"{leftover.path}/{MANIFEST}") or (claimed and ours and _is_live(claimed)):
                continue
        with contextlib.suppress(FileNotFoundError):
            lake.fs.rm(leftover.path, recursive=True)
            yield leftover


def _remove_version(lake: Lake, version: Found, is_needed: Callable[[str], bool]) -> bool:
    folder = f"{lake.root}/{version.name}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    marker = {"host": socket.gethostname(), "pid": os.getpid(), "since": now, "token": uuid.uuid4().hex, "inputs": []}
    try:
        patiently(lambda: lake.fs.pipe_file(f"{folder}/{WRITING}", json.dumps(marker).encode(), mode="create"))
    except OSError:  # whoever made it is about to end, or somebody else removes it
        return False
    lake.fs.invalidate_cache()
    claimed = [name for other, said in _claims(lake) if other != version.name for name in said.get("inputs", ())]
    if version.name in claimed or is_needed(version.name):
        lake.fs.rm_file(f"{folder}/{WRITING}")
        return False
    with contextlib.suppress(FileNotFoundError):
        patiently(lambda: lake.fs.rm_file(f"{folder}/{MANIFEST}"))
    files = [path for path in lake.fs.find(folder) if path != f"{folder}/{WRITING}"]
    if files:
        patiently(lambda: lake.fs.rm(files))
    lake.fs.rm(folder, recursive=True)
    if lake.is_local:
        for empty in (Path(folder).parent, Path(folder).parent.parent):
            with contextlib.suppress(OSError):  # other versions lie in it
                empty.rmdir()
    return True


def total(items: Iterable[Found | Leftover]) -> int:
    """Bytes of all of them."""
    return sum(item.size for item in items)
