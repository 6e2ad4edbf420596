"""Which documents of a source's files are kept for validation."""

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.mixture.blend import MixtureError
from assets.mixture.files import _cuts, read_index


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


def test_more_documents_than_megatron_numbers_are_refused(tmp_path):
    path = tmp_path / "part-00000.idx"
    path.write_bytes(b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 2**31, 2**31 + 1))
    with pytest.raises(MixtureError, match=r"2,147,483,648 documents; Megatron-Core numbers 2,147,483,647 per file"):
        read_index(path)
    path.write_bytes(b"MMIDIDX")
    with pytest.raises(MixtureError, match="is no index of a shard"):
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
