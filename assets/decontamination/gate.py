"""The gate of decontaminated_corpus: nothing of a benchmark is left, and nothing else is missing.

Whether an n-gram is left is found anew from the benchmarks and the written documents (``assets.decontamination.left``); none
of the code that cut them takes part. Phrases that identify no item are no exception: they are cut, too.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from assets.ahead import ahead
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import aligned, parts_of, read_table, read_whole, same_values, share_read, slices
from assets.lake import InputRef, Lake
from assets.lake.documents import count_distinct, document_schema
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

    from assets.decontamination.left import Known

READERS = 4
"""Benchmarks that are read at a time."""


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    return {
        "contaminated": catalog.sources[source].bounds.contaminated,
        "tasks": sorted(catalog.tasks),
        **catalog.decontamination(source).model_dump(mode="json", include={"ngram", "min_words"}),
    }


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files of this version, of the corpus before it and of the benchmarks: which documents are
    there, and in what order, over all of them; what is in them in the parts that are read whole (``assets.gates.parts``).
    """
    import pyarrow as pa

    from assets.decontamination.left import confirmed, left_in

    manifest, lake, counts = version.manifest, version.lake, version.manifest.counts
    before = version.input("deduplicated_corpus")
    parts, parts_before = parts_of(lake, manifest), parts_of(lake, before)
    if len(parts_before) != len(parts):
        raise ValueError("the parts of the corpus are not as many as those of the corpus that it was made from")
    config = version.catalog.decontamination(manifest.partition)
    benchmarks = tuple(ref for ref in manifest.inputs if ref.asset == "benchmark")
    known = _known(lake, benchmarks, config.ngram, config.min_words)
    dropped, cut = _changed(lake, manifest.ref)
    row: Row = dict.fromkeys(("documents_in", "documents", "lost_or_changed", "schema_differs", "contaminated"), 0)
    row["documents_in"] = sum(part.rows for part in parts_before)
    row["schema_differs"] = sum(not part.schema.equals(document_schema()) for part in parts)
    ids: list[pa.ChunkedArray] = []
    whole = read_whole(parts, manifest)

    def compared() -> "Iterator[pa.Table]":
        """Compare all parts with those before; the slices whose texts are judged."""
        for number, (old, new) in enumerate(zip(parts_before, parts, strict=True)):
            columns = None if number in whole else ["id"]
            missing = differing = 0
            files = slices(lake, before, old.entry.path, columns), slices(lake, manifest, new.entry.path, columns)
            for expected, found in ahead(aligned(*files, dropped)):
                row["documents"] += found.num_rows
                ids.append(found["id"])
                missing += expected.num_rows - found.num_rows
                differing += 0 if missing else _differing(expected, found, cut)
                if number in whole:
                    yield found
            row["lost_or_changed"] += abs(missing) or differing

    if left := list(left_in(compared(), known)):
        texts = chain.from_iterable(_texts(lake, benchmarks))
        row["contaminated"] = len(confirmed(pa.concat_tables(left), texts, config.ngram, config.min_words))
    row["dropped"] = len(dropped)
    row["cut"] = len(cut)
    row["unaccounted"] = abs(row["documents_in"] - row["documents"] - row["dropped"])
    row["miscounted"] = abs(row["documents_in"] - before.counts["documents"]) + sum(
        abs(row[name] - counts[name]) for name in ("documents_in", "documents", "dropped", "cut")
    )
    row["duplicate_ids"] = row["documents"] - count_distinct(ids)
    row["dropped_share"] = row["dropped"] / max(row["documents_in"], 1)
    row["words_cut"] = counts["words_cut"]
    row["benchmarks_unread"] = len(set(version.catalog.tasks) - {ref.partition for ref in benchmarks})
    missing = sorted(ref.partition for ref in benchmarks if lake.read_json(ref, "benchmark.json")["reason"])
    row["benchmarks_missing"] = len(missing)
    row["missing"] = ", ".join(missing)
    row["texts_read"] = share_read(parts, whole)
    return [row]


@lru_cache(maxsize=1)
def _known(lake: Lake, benchmarks: tuple[InputRef, ...], ngram: int, min_words: int) -> "Known":
    """The n-grams of all benchmarks; the sources of a run share them, one after the other."""
    from assets.decontamination.left import known_ngrams

    return known_ngrams(_texts(lake, benchmarks), ngram, min_words)


def _texts(lake: Lake, benchmarks: tuple[InputRef, ...]) -> Iterator[list[str]]:
    """The texts of the items of each benchmark, none where its data is not at hand."""
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(partial(_texts_of, lake), benchmarks)


def _texts_of(lake: Lake, benchmark: InputRef) -> list[str]:
    if not lake.read_json(benchmark, "benchmark.json")["available"]:
        return []
    texts: list[str] = read_table(lake, benchmark, "items.parquet", ["text"])["text"].to_pylist()
    return texts


def _changed(lake: Lake, version: InputRef) -> "tuple[pa.Array, pa.Array]":
    """The documents that were dropped, and those that were cut, by the matches."""
    import pyarrow.compute as pc

    matches = read_table(lake, version, "matches.parquet", ["document", "dropped"])
    dropped = pc.unique(matches.filter(matches["dropped"])["document"])
    return dropped, pc.unique(matches.filter(pc.invert(matches["dropped"]))["document"])


def _differing(expected: "pa.Table", found: "pa.Table", cut: "pa.Array") -> int:
    """Documents of two tables of the same length that are not as they should be: the same in all but the text of cut ones."""
    import pyarrow.compute as pc

    may_change = pc.is_in(expected["id"], cut)
    differs = 0
    for name in expected.column_names:
        same = same_values(expected[name], found[name])
        # A cut document has another text than before, any other the same one.
        wrong = pc.equal(same, may_change) if name == "text" else pc.invert(same)
        differs = max(differs, pc.sum(wrong).as_py() or 0)
    return differs


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("contaminated", f"no {bounds['ngram']}-word n-gram of a benchmark is left in any document"),
        none("benchmarks_unread", "every benchmark that a recipe names was searched for"),
        none("benchmarks_missing", "the data of every benchmark is at hand", severity="warning"),
        none("unaccounted", "documents read = kept + dropped"),
        none("miscounted", "the counts are those of the files, and what was read is all of the corpus before"),
        none("lost_or_changed", "what is not cut or dropped is kept, in order and as it was"),
        none("schema_differs", "the columns are those of a document"),
        none("duplicate_ids", "no two documents have the same id"),
        at_least("documents", 1, "something is left"),
        at_most("dropped_share", bounds["contaminated"], "documents dropped for what they hold of benchmarks"),
    ]


GATE = Gate(
    code=("assets.decontamination.gate", "assets.decontamination.left", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "dropped", "cut", "words_cut", "dropped_share"),
)
