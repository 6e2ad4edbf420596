"""Which parts of a corpus are read whole - all of a small one, some of a large one, versions take turns - and how."""

from itertools import accumulate, pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.gates.parts import Part, aligned, parts_of, read_whole, share_read, slices
from assets.lake.manifest import FileEntry
from tests.conftest import FINNISH, put_documents


def parts(count, size):
    return [Part(FileEntry(path=f"{n}", size=1, sha256=""), 10, size, pa.schema([])) for n in range(count)]


@pytest.fixture
def version(lake):
    return put_documents(lake, "clean_corpus", "docs_fi", FINNISH)


def test_a_small_corpus_is_read_whole(lake, version):
    found = parts_of(lake, version)
    assert sum(part.rows for part in found) == len(FINNISH)
    assert read_whole(found, version) == {0} and share_read(found, {0}) == 1
    assert [row["text"] for rows in slices(lake, version, found[0].entry.path) for row in rows.to_pylist()] == list(
        FINNISH
    )


def test_texts_are_read_a_few_at_a_time_and_ids_all_at_once(lake, monkeypatch):
    monkeypatch.setattr("assets.gates.parts.SLICE_ROWS", 4)
    version = put_documents(lake, "clean_corpus", "docs_fi", [str(number) for number in range(10)])
    (part,) = parts_of(lake, version)
    assert [rows.num_rows for rows in slices(lake, version, part.entry.path)] == [4, 4, 2]
    assert [rows.num_rows for rows in slices(lake, version, part.entry.path, ["text"])] == [4, 4, 2]
    (ids,) = slices(lake, version, part.entry.path, ["id"])
    assert ids.column_names == ["id"] and ids.num_rows == 10


@given(
    st.lists(st.integers(1, 4), max_size=5),
    st.lists(st.integers(1, 4), max_size=5),
    st.sets(st.integers(0, 20)),
)
def test_slices_stand_beside_the_rows_that_were_made_from_them(sizes, sizes_after, gone):
    def tables(sizes):
        """Numbers from 0 on, so many in each table."""
        ends = list(accumulate(sizes, initial=0))
        return [pa.table({"id": pa.array(range(*pair), pa.int64())}) for pair in pairwise(ends)]

    before, after = tables(sizes), tables(sizes_after)
    pairs = list(aligned(iter(before), iter(after), pa.array(sorted(gone), pa.int64())))
    expected = [number for stays, _ in pairs for number in stays["id"].to_pylist()]
    assert expected == [number for number in range(sum(sizes)) if number not in gone]
    assert [number for _, found in pairs for number in found["id"].to_pylist()] == list(range(sum(sizes_after)))
    # Row by row, as far as both go; where rows are missing or too many, the other side ends first.
    within = [(stays.num_rows, found.num_rows) for stays, found in pairs if stays.num_rows]
    if len(expected) <= sum(sizes_after):
        assert all(stays == found for stays, found in within)
    else:
        assert all(stays >= found for stays, found in within)


@pytest.mark.parametrize(("count", "budget", "expected"), [(20, 300, 3), (20, 1, 1), (3, 299, 2), (4, 400, 4)])
def test_of_a_large_corpus_so_many_parts_as_the_budget_holds(version, count, budget, expected):
    whole = read_whole(parts(count, 100), version, budget)
    assert len(whole) == expected and whole <= set(range(count))
    assert share_read(parts(count, 100), whole) == expected / count
    others = {
        frozenset(read_whole(parts(count, 100), version.model_copy(update={"digest": f"{n:064x}"[::-1]}), budget))
        for n in range(16)
    }
    assert len(others) > 1 or expected == count
