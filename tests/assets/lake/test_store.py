import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.lake import GateNotPassedError, Identity, Lake, LakeError, Receipt
from assets.lake.names import check_name, check_relative_path


def identity(**changes):
    fields = {"asset": "raw_corpus", "partition": "fi", "config": {"n": 1}, "code": "c", "inputs": ()}
    return Identity(**(fields | changes))


@pytest.fixture
def lake(tmp_path):
    return Lake.open(str(tmp_path / "lake"))


def write(lake, who=None, text="terve"):
    who = who or identity()
    with lake.write(who) as out:
        out.stage("documents/a.txt").write_text(text)
        out.counts["documents"] = 1
    return lake.find(who.asset, who.partition, who.version)


def receipt(manifest, **changes):
    fields = {
        "asset": manifest.asset, "partition": manifest.partition, "version": manifest.version,
        "manifest_digest": manifest.digest, "suite_digest": "s", "passed": True, "expectations": [],
        "profile": [], "numbers": {}, "time": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Receipt(**(fields | changes))


def test_a_version_lies_where_people_look_for_it_and_says_what_it_holds(lake, tmp_path):
    manifest = write(lake)
    folder = tmp_path / "lake" / "raw_corpus" / "fi" / manifest.version
    assert (folder / "documents/a.txt").read_text() == "terve"
    assert json.loads((folder / "manifest.json").read_text())["digest"] == manifest.digest
    assert manifest.file("documents/a.txt").size == 5
    assert manifest.counts == {"documents": 1}
    assert not list((tmp_path / "lake" / ".staging").iterdir())


def test_the_digest_covers_what_was_made_and_from_what_and_not_when_or_where(tmp_path):
    one = write(Lake.open(str(tmp_path / "one")))
    two = write(Lake.open(str(tmp_path / "two")))
    other = write(Lake.open(str(tmp_path / "three")), text="toinen")
    assert one.digest == two.digest != other.digest
    assert one.version == other.version


@pytest.mark.parametrize("change", [{"config": {"n": 2}}, {"code": "d"}, {"partition": "en"}])
def test_another_identity_is_another_version(change):
    assert identity(**change).version != identity().version


def test_the_version_follows_the_inputs_and_not_their_order(lake):
    a, b = write(lake).ref, write(lake, identity(partition="en")).ref
    assert identity(inputs=(a, b)).version == identity(inputs=(b, a)).version != identity(inputs=(a,)).version


def test_a_writer_that_raises_leaves_nothing_to_see(lake, tmp_path):
    with pytest.raises(RuntimeError, match="broke"), lake.write(identity()) as out:
        out.stage("documents/a.txt").write_text("half")
        out.add("documents/a.txt")
        raise RuntimeError("broke")
    assert lake.find("raw_corpus", "fi", identity().version) is None
    assert not list(lake.manifests())
    assert not list((tmp_path / "lake" / "raw_corpus" / "fi").iterdir())


def test_a_killed_writer_leaves_nothing_to_see_and_the_next_one_goes_on(lake):
    code = textwrap.dedent(f"""
        import time
        from assets.lake import Identity, Lake
        with Lake.open({lake.uri!r}).write(Identity("raw_corpus", "fi", {{"n": 1}}, "c")) as out:
            out.stage("documents/half.txt").write_text("half")
            out.add("documents/half.txt")
            print("ready", flush=True)
            time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(LakeError, match=f"process {process.pid} on"):
        write(lake)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(lake.manifests())
    manifest = write(lake)
    assert [f.path for f in manifest.files] == ["documents/a.txt"]
    assert lake.verify(manifest) == []


def test_a_version_is_not_written_twice(lake):
    write(lake)
    with pytest.raises(LakeError, match="already"):
        write(lake)


def test_a_flipped_byte_and_a_missing_file_are_found(lake):
    manifest = write(lake)
    path = lake.path(manifest, "documents/a.txt")
    with open(path, "r+b") as stream:
        stream.write(b"T")
    assert "documents/a.txt has sha256" in lake.verify(manifest)[0]
    os.remove(path)
    assert "is missing" in lake.verify(manifest)[0]


def test_a_timed_file_is_named_and_verified_but_its_bytes_are_not_in_the_digest(tmp_path):
    def run(lake, seconds, loss):
        with lake.write(identity()) as out:
            out.timed.add("summary.json")
            out.stage("summary.json").write_text(seconds)
            out.stage("weights").write_text(loss)
        return next(lake.manifests())

    first, second, other = (
        run(Lake.open(str(tmp_path / name)), seconds, loss)
        for name, seconds, loss in (("a", "1.5", "w"), ("b", "2.5", "w"), ("c", "1.5", "v"))
    )
    assert first.digest == second.digest != other.digest
    assert [entry.path for entry in first.files if entry.timed] == ["summary.json"]
    lake = Lake.open(str(tmp_path / "a"))
    (tmp_path / "a" / first.name / "summary.json").write_text("1.4")
    assert len(lake.verify(first)) == 1


def test_a_folder_that_is_staged_stays_for_the_next_writer(lake, tmp_path):
    (tmp_path / "output" / "inner").mkdir(parents=True)
    (tmp_path / "output" / "inner" / "a.txt").write_text("a")
    with pytest.raises(KeyboardInterrupt), lake.write(identity()) as out:
        out.stage_folder(tmp_path / "output", "index/")
        raise KeyboardInterrupt
    with lake.write(identity()) as out:
        out.stage_folder(tmp_path / "output", "index/")
    (manifest,) = lake.manifests()
    assert [entry.path for entry in manifest.files] == ["index/inner/a.txt"]
    assert (tmp_path / "output" / "inner" / "a.txt").read_text() == "a"


def test_a_manifest_that_was_changed_is_refused(lake):
    manifest = write(lake)
    path = lake.path(manifest, "manifest.json")
    changed = open(path).read().replace('"size": 5', '"size": 6')
    open(path, "w").write(changed)
    with pytest.raises(LakeError, match="was changed after it was written"):
        lake.find("raw_corpus", "fi", manifest.version)


def test_a_torn_manifest_is_named(lake):
    manifest = write(lake)
    path = lake.path(manifest, "manifest.json")
    open(path, "w").write(open(path).read()[:50])
    with pytest.raises(LakeError, match="is not a manifest"):
        lake.find("raw_corpus", "fi", manifest.version)


def test_only_a_passing_receipt_of_exactly_this_digest_opens_the_gate(lake):
    manifest = write(lake)
    with pytest.raises(GateNotPassedError, match="its gate has not run"):
        lake.require_receipt(manifest.ref)
    lake.write_receipt(receipt(manifest, passed=False, error="too many duplicates"))
    with pytest.raises(GateNotPassedError, match="too many duplicates"):
        lake.require_receipt(manifest.ref)
    lake.write_receipt(receipt(manifest, manifest_digest="f" * 64))
    with pytest.raises(GateNotPassedError, match="speaks of the digest ffffffffffff"):
        lake.require_receipt(manifest.ref)
    lake.write_receipt(receipt(manifest))
    assert lake.require_receipt(manifest.ref).passed


def test_a_reference_to_another_digest_is_refused(lake):
    manifest = write(lake)
    with pytest.raises(LakeError, match="made anew since"):
        lake.manifest(manifest.ref.model_copy(update={"digest": "0" * 64}))


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "Ä", "a b", "a\0", ".hidden", "-x", "a..b"])
def test_names_that_could_leave_the_lake_are_refused(name, lake):
    with pytest.raises(ValueError, match="is not allowed"):
        check_name(name)
    with pytest.raises(ValueError, match="is not allowed"):
        lake.find("raw_corpus", name, "0")


@given(st.text(max_size=40))
def test_an_allowed_relative_path_stays_below_its_folder(path):
    try:
        check_relative_path(path)
    except ValueError:
        return
    assert os.path.normpath("/lake/" + path) == "/lake/" + path


def test_a_version_that_is_set_aside_can_be_made_anew(lake):
    first = write(lake, text="broken")
    aside = lake.set_aside(first)
    assert list(lake.manifests()) == []
    assert open(f"{aside}/documents/a.txt").read() == "broken"
    second = write(lake, text="whole")
    assert second.version == first.version and second.digest != first.digest
    assert [m.digest for m in lake.manifests()] == [second.digest]
    # The same version broken in the same way a second time takes the place of the first.
    lake.set_aside(second)
    assert lake.set_aside(write(lake, text="broken")) == aside
