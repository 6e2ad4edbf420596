"""The lake on a real S3 server works as in a folder."""

import json
import shutil
import threading
import time

import pytest

from assets.lake import GateNotPassedError, Identity, Lake, LakeError
from assets.lake.files import MULTIPART_BYTES
from tests.conftest import passing_receipt
from tests.servers import s3_server
from tests.workplace import small_workplace

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def lake(server, monkeypatch, tmp_path, request):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKKA_CACHE", str(tmp_path / "cache"))
    return Lake.open(f"s3://lake/{request.node.name.lower()[:40]}")


WHO = Identity("raw_corpus", "fi", {"n": 1}, "c")


def write(lake, who=WHO, size=10):
    with lake.write(who) as out:
        out.stage("documents/a.bin").write_bytes(b"x" * size)
        out.counts["documents"] = 1
    return lake.find(who.asset, who.partition, who.version)


def test_a_version_is_written_found_listed_verified_and_mirrored(lake):
    manifest = write(lake, size=12_000_000)
    assert [m.digest for m in lake.manifests("raw_corpus")] == [manifest.digest]
    assert lake.verify(manifest) == []
    assert (lake.local(manifest) / "documents/a.bin").stat().st_size == 12_000_000
    assert lake.read_json(manifest, "manifest.json")["counts"] == {"documents": 1}


def test_the_digest_is_the_one_of_the_same_version_in_a_folder(lake, tmp_path):
    assert write(lake).digest == write(Lake.open(str(tmp_path / "folder"))).digest


def test_a_writer_that_raises_leaves_nothing_to_see(lake):
    with pytest.raises(RuntimeError), lake.write(WHO) as out:
        out.stage("documents/a.bin").write_bytes(b"half")
        out.add("documents/a.bin")
        raise RuntimeError
    assert list(lake.manifests()) == []
    assert write(lake).counts == {"documents": 1}


def test_a_version_that_another_process_writes_is_not_written_too(lake):
    marker = f"{lake.folder(WHO)}/writing.json"
    lake.fs.pipe_file(marker, json.dumps({"host": "another", "pid": 1, "since": "now"}).encode())
    with pytest.raises(LakeError, match="process 1 on another"):
        write(lake)


def test_receipts_open_the_gate(lake):
    manifest = write(lake)
    with pytest.raises(GateNotPassedError):
        lake.require_receipt(manifest.ref)
    passing_receipt(lake, manifest)
    assert lake.require_receipt(manifest.ref).passed


def test_what_was_written_is_there_after_the_server_was_killed(server, lake):
    manifest = write(lake)
    server.kill()
    server.start()
    assert lake.verify(manifest) == []


def test_a_flipped_byte_is_found_where_a_file_is_read_or_copied_and_in_the_copy(lake):
    with lake.write(WHO) as out:
        out.stage("documents/a.bin").write_bytes(b"x" * 100)
        out.stage("about.json").write_bytes(b'{"n": 1}')
    manifest = lake.find(WHO.asset, WHO.partition, WHO.version)
    copied = lake.local(manifest) / "documents/a.bin"
    assert lake.read_json(manifest, "about.json") == lake.read_json(manifest.ref, "about.json") == {"n": 1}
    lake.fs.pipe_file(lake.path(manifest, "about.json"), b'{"n": 3}')
    lake.fs.pipe_file(lake.path(manifest, "documents/a.bin"), b"x" * 99 + b"y")
    for read in (
        lambda: lake.read_json(manifest, "about.json"), lambda: lake.read_json(manifest.ref, "about.json"),
        lambda: lake.open_file(manifest, "documents/a.bin"),
    ):  # fmt: skip
        with pytest.raises(LakeError, match="does not have the bytes that its manifest names"):
            read()
    assert lake.local(manifest) / "documents/a.bin" == copied
    copied.write_bytes(b"z" * 100)
    with pytest.raises(LakeError, match=r"documents/a.bin is not what was written.*Remove the folder"):
        lake.local(manifest)
    shutil.rmtree(copied.parents[1])
    with pytest.raises(LakeError, match="does not have the bytes that its manifest names"):
        lake.local(manifest)


def test_a_large_file_goes_up_in_parts(lake):
    manifest = write(lake, size=3 * MULTIPART_BYTES + 5)
    # S3 puts the number of parts at the end of the ETag.
    assert lake.fs.info(lake.path(manifest, "documents/a.bin"))["ETag"].strip('"').endswith("-4")
    assert lake.verify(manifest) == []


def test_a_writer_outlives_a_server_that_is_killed_and_started_again(server, lake):
    def restart():
        time.sleep(3)
        server.start()

    with lake.write(WHO) as out:
        for number in range(4):
            out.stage(f"documents/{number}.bin").write_bytes(bytes([number]) * 2_000_000)
            if number == 2:
                server.kill()
                thread = threading.Thread(target=restart)
                thread.start()
            out.add(f"documents/{number}.bin")
    thread.join()
    manifest = lake.find(WHO.asset, WHO.partition, WHO.version)
    assert len(manifest.files) == 4 and lake.verify(manifest) == []


def test_a_reader_outlives_a_server_that_is_killed_and_started_again(server, lake):
    manifest = write(lake, size=1_000)
    server.kill()
    thread = threading.Thread(target=lambda: (time.sleep(3), server.start()))
    thread.start()
    with lake.open_file(manifest, "documents/a.bin") as stream:
        assert stream.read() == b"x" * 1_000
    thread.join()


def test_a_run_on_s3_makes_the_same_digests_as_in_a_folder(server, tmp_path, finished):
    place = small_workplace(tmp_path / "s3")
    # A workplace's environment has secrets that belong to no server; a session token would go along with this one's key.
    environment = {**server.environment, "AWS_SESSION_TOKEN": "", "TOKKA_CACHE": str(tmp_path / "cache")}
    result = place.tokka("run", "small", "--to", "tokenizer", "--lake", "s3://lake/run", **environment)
    assert result.returncode == 0, result.stderr
    listed = place.tokka("lake", "ls", "--lake", "s3://lake/run", "--json", **environment)
    digests = {(r["asset"], r["partition"]): r["digest"] for r in json.loads(listed.stdout)}
    assert ("tokenizer", "small-bpe") in digests
    in_folder = {(m.asset, m.partition): m.digest[:12] for m in Lake.open(str(finished.place.lake)).manifests()}
    assert digests == {name: in_folder[name] for name in digests}


def test_a_version_that_is_set_aside_can_be_made_anew(lake):
    first = write(lake, size=10)
    aside = lake.set_aside(first)
    assert list(lake.manifests()) == []
    assert lake.fs.cat_file(f"{aside}/documents/a.bin") == b"x" * 10
    assert json.loads(lake.fs.cat_file(f"{aside}/manifest.json"))["digest"] == first.digest
    assert lake.set_aside(write(lake, size=10)) == aside
    assert write(lake, size=11).digest != first.digest
