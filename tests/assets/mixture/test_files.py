"""Which documents of a source's files are kept for validation."""

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.mixture import files
from assets.mixture.blend import MixtureError
from assets.mixture.files import _cuts, read_index
from assets.shards.indexed import ShardWriter


def files_of(documents, renderings, sizes):
    """Ids of documents, each with so many renderings, divided over files of these sizes (and what is left)."""
    ids = [f"d{number}" for number in range(documents) for _ in range(renderings)]
    files, start = [], 0
    for size in [*sizes, len(ids)]:
        files.append(pa.chunked_array([pa.array(ids[start : start + size], pa.large_string())]))
        start += size
    return [file for file in files if len(file)]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 2), st.lists(st.integers(1, 20), max_size=5), st.floats(0.01, 0.49))
def test_no_document_is_both_trained_and_validated_on(documents, renderings, sizes, share):
    files = files_of(documents, renderings, sizes)
    trained, held = set(), set()
    for ids, (cut, end) in zip(files, _cuts(files, share), strict=True):
        assert 0 <= cut <= end <= len(ids)
        assert len(ids) - cut <= round(share * len(ids)) + renderings - 1
        trained |= set(ids[:cut].to_pylist())
        held |= set(ids[cut:end].to_pylist())
    assert not trained & held


def test_a_pair_is_not_cut_in_two():
    (file,) = files_of(10, 2, [])
    assert _cuts([file], 0.25) == [(14, 20)]


def test_a_pair_that_two_files_share_is_trained_on_in_the_second_and_validated_on_in_none():
    first, second = files_of(10, 2, [9])
    assert first[-1].as_py() == second[0].as_py() == "d4"
    assert _cuts([first, second], 0.2) == [(6, 8), (9, 11)]


def test_more_documents_than_megatron_numbers_are_refused(tmp_path, monkeypatch):
    writer = ShardWriter(tmp_path / "part-00000", 300)
    writer.append(np.array([5, 2, 6, 2, 7, 2]), np.array([2, 2, 2]))
    writer.close()
    assert len(read_index(tmp_path / "part-00000.idx").lengths) == 3
    monkeypatch.setattr(files, "MAX_DOCUMENTS", 2)
    with pytest.raises(
        MixtureError, match=r"part-00000\.idx, offset 18: 3 documents; Megatron-Core numbers 2 per file"
    ):
        read_index(tmp_path / "part-00000.idx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MMIDIDX", r"part-00000\.idx, offset 0: found b'MMIDIDX'"),
        (
            b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 3, 4),
            r"part-00000\.idx, offset 34: has 34 bytes; its header",
        ),
    ],
)
def test_what_is_no_whole_index_is_refused(tmp_path, content, message):
    path = tmp_path / "part-00000.idx"
    path.write_bytes(content)
    with pytest.raises(MixtureError, match=rf"{message}.*`tokka lake verify"):
        read_index(path)


@pytest.mark.parametrize("lengths", [[], [3, 2]])
def test_an_index_is_read_as_it_was_written(tmp_path, lengths):
    path = tmp_path / "part-00000.idx"
    header = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 4, len(lengths), len(lengths) + 1)
    offsets = np.cumsum([0, *lengths])[: len(lengths)] * 4
    boundaries = np.arange(len(lengths) + 1, dtype="<i8")
    path.write_bytes(
        header + np.array(lengths, "<i4").tobytes() + offsets.astype("<i8").tobytes() + boundaries.tobytes()
    )
    index = read_index(path)
    assert index.dtype == np.int32
    assert index.lengths.tolist() == lengths and index.offsets.tolist() == offsets.tolist()
