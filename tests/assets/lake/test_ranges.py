"""Ranges of files that lie here or elsewhere. On a real S3 server: ``tests/training_jobs/test_stream.py``."""

import os
import pickle
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.lake import ranges
from assets.lake.ranges import POINTER, Pointer, RangedFile, RangeError, fetch, write_pointer

CONTENT = bytes(range(256)) * 1_500


@pytest.fixture(scope="module")
def pointed(tmp_path_factory):
    """A path where only a pointer lies, to a file of another folder."""
    there, here = tmp_path_factory.mktemp("there") / "a.bin", tmp_path_factory.mktemp("here") / "a.bin"
    there.write_bytes(CONTENT)
    write_pointer(here, Pointer(uri=there.as_uri(), size=len(CONTENT), sha256="0" * 64))
    return here


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT))), min_size=1, max_size=20))
def test_ranges_are_the_files_bytes_in_whatever_order_they_are_asked_for(pointed, places):
    ranges._blocks.reset()
    file = RangedFile(pointed)
    for a, b in places:
        assert file.read(min(a, b), max(a, b)) == CONTENT[min(a, b) : max(a, b)]


def test_a_file_that_lies_here_is_read_here(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    monkeypatch.setattr(ranges, "fetch", None)
    monkeypatch.setattr(ranges, "CHUNK_BYTES", 1_000)
    file = RangedFile(tmp_path / "a.bin")
    assert file.size == len(CONTENT) and file.read(5, 1_005) == CONTENT[5:1_005]
    assert [len(chunk) for chunk in file.chunks(2_500)] == [1_000, 1_000, 500]
    assert b"".join(file.chunks()) == CONTENT


def test_missing_blocks_that_lie_together_are_one_request(pointed, monkeypatch):
    asked = []
    monkeypatch.setattr(
        ranges, "fetch", lambda uri, start, stop: (asked.append((start, stop)), fetch(uri, start, stop))[1]
    )
    ranges._blocks.reset()
    block = ranges.BLOCK_BYTES
    file = RangedFile(pointed)
    file.read(2 * block, 2 * block + 1)
    assert file.read(0, 5 * block) == CONTENT[: 5 * block]
    assert asked == [(2 * block, 3 * block), (0, 2 * block), (3 * block, 5 * block)]


def test_a_range_outside_the_file_is_refused(pointed):
    with pytest.raises(RangeError, match=r"a\.bin has 384,000 bytes; the range 1 to 384,001 is not in it"):
        RangedFile(pointed).read(1, len(CONTENT) + 1)


def test_a_file_of_another_size_than_its_manifest_names_is_refused(tmp_path):
    (tmp_path / "there.bin").write_bytes(b"short")
    write_pointer(tmp_path / "a.bin", Pointer(uri=(tmp_path / "there.bin").as_uri(), size=10, sha256="0" * 64))
    with pytest.raises(RangeError, match=r"there\.bin has 5 bytes; its manifest names 10"):
        RangedFile(tmp_path / "a.bin").read(0, 3)
    with pytest.raises(RangeError, match="gave 2 bytes where the 4 from offset 3 were asked for"):
        fetch((tmp_path / "there.bin").as_uri(), 3, 7)


def test_neither_file_nor_pointer_and_a_pointer_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither .*a\.bin nor a\.bin\.pointer\.json"):
        RangedFile(tmp_path / "a.bin")
    (tmp_path / f"a.bin{POINTER}").write_text('{"uri": 3}')
    with pytest.raises(RangeError, match="is not a pointer"):
        RangedFile(tmp_path / "a.bin")


def test_it_can_be_pickled(pointed):
    assert pickle.loads(pickle.dumps(RangedFile(pointed))).read(3, 9) == CONTENT[3:9]


def test_a_forked_process_does_not_wait_for_a_lock_that_another_thread_held(pointed):
    held, release = threading.Event(), threading.Event()

    def hold():
        with ranges._blocks.lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0 if RangedFile(pointed).read(0, 10) == CONTENT[:10] else 1)
    release.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
