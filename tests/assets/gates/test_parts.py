"""Which parts of a corpus are read whole: all of a small one, some of a large one, and the versions take turns."""

import pyarrow as pa
import pytest

from assets.gates.parts import Part, parts_of, read_part, read_whole, share_read
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
    assert read_part(lake, version, found[0], ["text"])["text"].to_pylist() == list(FINNISH)


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
