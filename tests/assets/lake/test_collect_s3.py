"""Collecting, and the history of promoted models, on a real S3 server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from assets.lake import Identity, Lake, Manifest
from assets.lake.collect import plan, remove
from assets.promotion.history import Entry, _create, append, history, names
from tests.servers import s3_server

pytestmark = pytest.mark.s3


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield Lake.open("s3://lake/prefix")


def version(lake: Lake, asset: str, content: str, *inputs: Manifest) -> Manifest:
    identity = Identity(asset, "p", {"content": content}, "code", tuple(m.ref for m in inputs))
    with lake.write(identity) as out:
        out.stage("a.txt").write_text(content)
    made = lake.find(asset, "p", identity.version)
    assert made is not None
    return made


def test_what_nobody_needs_goes_and_the_rest_is_whole(lake: Lake) -> None:
    raw, old = version(lake, "raw_corpus", "1"), version(lake, "raw_corpus", "0")
    clean = version(lake, "clean_corpus", "1", raw)
    lake.fs.pipe_file(f"{lake.root}/.results/abc/result.json", b"{}")
    later = datetime.now(UTC) + timedelta(days=40)
    found = plan(lake, {clean.name: "root"}, 0, timedelta(days=30), later)
    assert [v.name for v in found.removed] == [old.name]
    assert [left.path.rsplit("/", 2)[1:] for left in found.leftovers] == [[".results", "abc"]]
    assert len(list(remove(lake, found, lambda name: False))) == 2
    lake.fs.invalidate_cache()
    assert {m.name for m in lake.manifests()} == {raw.name, clean.name}
    # The server goes on to know the names of empty folders.
    for folder in (lake.folder(old), f"{lake.root}/.results"):
        assert [path for path in lake.fs.find(folder) if path != folder] == []
    assert [fault for m in lake.manifests() for fault in lake.verify(m)] == []


def test_a_history_has_one_entry_for_each_number(lake: Lake) -> None:
    made = version(lake, "promoted_model", "1")
    entry = Entry(
        number=0, name="p", action="promote", version=made.ref, recipe="r", step=1, who="w", why="y", time="t", risks={}
    )  # fmt: skip
    assert [append(lake, entry).number for _ in range(3)] == [1, 2, 3]
    assert names(lake) == ["p"] and [e.number for e in history(lake, "p")] == [1, 2, 3]
    assert not _create(lake, f"{lake.root}/.promoted/p/000003.json", b"{}", "another's token")
