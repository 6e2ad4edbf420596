"""What goes from a lake and what stays: small lakes by hand, and random ones."""

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.lake import Identity, Lake, LakeError, Manifest
from assets.lake.collect import Collection, plan, remove

YEARS = timedelta(days=3650)
NOW = datetime.now(UTC)


def version(lake: Lake, asset: str, partition: str, content: str, *inputs: Manifest) -> Manifest:
    identity = Identity(asset, partition, {"content": content}, "code", tuple(m.ref for m in inputs))
    with lake.write(identity) as out:
        out.stage("a.txt").write_text(content)
    made = lake.find(asset, partition, identity.version)
    assert made is not None
    return made


def collect(lake: Lake, roots: list[Manifest], keep: int = 0, older_than: timedelta = timedelta(0)) -> Collection:
    """Plan and remove, at a moment at which everything there is old."""
    found = plan(lake, {m.name: "root" for m in roots}, keep, older_than, NOW + timedelta(days=40))
    list(remove(lake, found, lambda name: False))
    return found


def names(lake: Lake) -> set[str]:
    return {m.name for m in lake.manifests()}


def test_what_no_root_was_made_from_goes_and_the_lineage_of_roots_stays(lake: Lake) -> None:
    raw = version(lake, "raw_corpus", "s", "1")
    run = version(lake, "pretraining_run", "r", "1", raw)
    checkpoint = version(lake, "checkpoint", "r--step-0000001", "1", run)
    # The edge that Dagster's graph does not have: a run that starts from another run's checkpoint.
    second = version(lake, "pretraining_run", "r2", "1", checkpoint)
    score = version(lake, "evaluation", "r2--step-0000001", "1", second)
    old = version(lake, "raw_corpus", "s", "0")
    found = collect(lake, [score])
    assert [v.name for v in found.removed] == [old.name]
    assert names(lake) == {m.name for m in (raw, run, checkpoint, second, score)}
    assert not Path(lake.folder(old)).exists()


def test_the_newest_and_the_young_stay(lake: Lake) -> None:
    versions = [version(lake, "raw_corpus", "s", str(n)) for n in range(3)]
    assert not plan(lake, {}, 0, timedelta(days=30)).removed
    assert len(plan(lake, {}, 1, timedelta(0), NOW + timedelta(days=1)).removed) == 2
    assert names(lake) == {m.name for m in versions}


def test_a_dry_run_changes_nothing(lake: Lake) -> None:
    version(lake, "raw_corpus", "s", "1")
    before = {p: p.stat().st_mtime_ns for p in Path(lake.root).rglob("*")}
    assert len(plan(lake, {}, 0, timedelta(0), NOW + timedelta(days=1)).removed) == 1
    assert {p: p.stat().st_mtime_ns for p in Path(lake.root).rglob("*")} == before


def test_what_a_writer_reads_and_writes_stays(lake: Lake) -> None:
    raw = version(lake, "raw_corpus", "s", "1")
    with lake.write(Identity("clean_corpus", "s", {}, "code", (raw.ref,))) as out:
        out.stage("a.txt").write_text("half")
        out.add("a.txt")
        found = collect(lake, [])
        assert not found.removed and not found.leftovers
        assert found.kept[raw.name].endswith("is being made from it")
    assert len(names(lake)) == 2 and not [f for m in lake.manifests() for f in lake.verify(m)]


def test_a_version_that_has_become_current_meanwhile_stays(lake: Lake) -> None:
    made = version(lake, "raw_corpus", "s", "1")
    found = plan(lake, {}, 0, timedelta(0), NOW + timedelta(days=1))
    assert list(remove(lake, found, lambda name: name == made.name)) == []
    assert names(lake) == {made.name} and not list(Path(lake.root).rglob("writing.json"))


def test_a_version_that_is_claimed_meanwhile_stays(lake: Lake) -> None:
    made = version(lake, "raw_corpus", "s", "1")
    found = plan(lake, {}, 0, timedelta(0), NOW + timedelta(days=1))
    with lake.write(Identity("clean_corpus", "s", {}, "code", (made.ref,))):
        assert list(remove(lake, found, lambda name: False)) == []
    assert made.name in names(lake)


def test_a_writer_does_not_take_a_folder_that_is_being_removed(lake: Lake) -> None:
    made = version(lake, "raw_corpus", "s", "1")
    found = plan(lake, {}, 0, timedelta(0), NOW + timedelta(days=1))

    def write_meanwhile(name: str) -> bool:
        Path(lake.folder(made), "manifest.json").unlink()
        with pytest.raises(LakeError, match="is being written by process"):
            version(lake, "raw_corpus", "s", "1")
        return False

    assert len(list(remove(lake, found, write_meanwhile))) == 1
    assert version(lake, "raw_corpus", "s", "1").digest == made.digest


def test_a_manifest_that_cannot_be_read_is_named_and_stays(lake: Lake) -> None:
    made = version(lake, "raw_corpus", "s", "1")
    path = Path(lake.folder(made), "manifest.json")
    path.write_text(path.read_text().replace('"code"', '"cod"'))
    found = collect(lake, [])
    assert not found.removed and "raw_corpus/s" in found.warnings[0] and path.exists()


def test_a_lineage_that_was_broken_before_is_said(lake: Lake) -> None:
    raw = version(lake, "raw_corpus", "s", "1")
    clean = version(lake, "clean_corpus", "s", "1", raw)
    shutil.rmtree(lake.folder(raw))
    found = collect(lake, [clean])
    assert found.warnings == [f"{raw.name} is not in the lake any more, and {clean.name} was made from it."]


def leave(lake: Lake, path: str, text: str = "x", age: timedelta = timedelta(0)) -> Path:
    file = Path(lake.root) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    moment = (NOW - age).timestamp()
    os.utime(file, (moment, moment))
    return file


def test_leftovers_go_when_they_are_nobodys(lake: Lake) -> None:
    run = version(lake, "pretraining_run", "r-one", "1")
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "inputs": []}
    gone = {
        leave(lake, f".states/r-one-{run.version}/state.json"),
        leave(lake, ".states/other-0123456789abcdef/state.json", age=timedelta(days=50)),
        leave(lake, f".staging/{socket.gethostname()}-{2**22 + 1}-abc/a.parquet"),
        leave(lake, ".staging/elsewhere-1-abc/a.parquet", age=timedelta(days=50)),
        leave(lake, ".results/abc/result.json", age=timedelta(days=50)),
        leave(lake, ".aside/evaluation/r/v-1/manifest.json", age=timedelta(days=50)),
        leave(lake, "raw_corpus/s/0123456789abcdef/writing.json", json.dumps(dead), timedelta(days=50)),
    }
    stays = {
        leave(lake, ".states/other-fedcba9876543210/state.json"),
        leave(lake, f".staging/{socket.gethostname()}-{os.getpid()}-abc/a.parquet"),
        leave(lake, ".staging/elsewhere-2-abc/a.parquet"),
        leave(lake, ".results/def/result.json"),
        leave(lake, ".promoted/model/000001.json", age=timedelta(days=500)),
        leave(lake, "raw_corpus/s/fedcba9876543210/writing.json", json.dumps(dead)),
        leave(lake, "raw_corpus/s/fedcba9876543211/writing.json", json.dumps(dead | {"pid": os.getpid()}), timedelta(days=50)),
    }  # fmt: skip
    found = plan(lake, {run.name: "root"}, 0, timedelta(days=30))
    list(remove(lake, found, lambda name: False))
    assert not [path for path in gone if path.exists()]
    assert [path for path in stays if not path.exists()] == []
    assert len(found.leftovers) == len(gone) and names(lake) == {run.name}


def test_a_live_writer_of_an_older_version_stops_the_collection(lake: Lake) -> None:
    leave(
        lake,
        "raw_corpus/s/0123456789abcdef/writing.json",
        json.dumps({"host": socket.gethostname(), "pid": os.getpid()}),
    )
    with pytest.raises(LakeError, match="does not say what it reads"):
        plan(lake, {}, 0, timedelta(0))


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, str, list[int]]]:
    """Versions as (asset, partition, places of the versions it was made from)."""
    size = draw(st.integers(1, 9))
    assets, partitions = st.sampled_from(["a", "b", "c"]), st.sampled_from(["p", "q"])
    return [
        (draw(assets), draw(partitions), sorted(draw(st.sets(st.integers(0, n - 1), max_size=3))) if n else [])
        for n in range(size)
    ]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_the_inputs_of_every_kept_version_are_whole(
    graph: list[tuple[str, str, list[int]]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(f"{folder}/lake")
        made: list[Manifest] = []
        for number, (asset, partition, inputs) in enumerate(graph):
            made.append(version(lake, asset, partition, str(number), *(made[i] for i in inputs)))
        roots = data.draw(st.lists(st.sampled_from(made), max_size=3))
        keep = data.draw(st.integers(0, 2))
        found = collect(lake, roots, keep)
        there = names(lake)
        assert there == found.kept.keys() and {r.name for r in roots} <= there
        assert there.isdisjoint(v.name for v in found.removed)
        assert {m.name for m in made} == there | {v.name for v in found.removed}
        for manifest in lake.manifests():
            assert lake.verify(manifest) == []
            for ref in manifest.inputs:
                assert lake.verify(lake.manifest(ref)) == []
        # Nothing that stays is without a reason: a root, one of the newest, or in the lineage of one.
        newest: dict[str, list[Manifest]] = {}
        for manifest in made:
            newest.setdefault(f"{manifest.asset}/{manifest.partition}", []).append(manifest)
        wanted = {r.name for r in roots}
        for versions in newest.values():
            ordered = sorted(versions, key=lambda m: (m.started, m.name), reverse=True)
            wanted |= {m.name for m in ordered[:keep]}
        for manifest in reversed(made):
            if manifest.name in wanted:
                wanted |= {ref.name for ref in manifest.inputs}
        assert there == wanted


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    yield Lake.open(str(tmp_path / ".home" / "lake"))  # a dot in the path must not matter
