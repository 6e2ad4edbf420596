"""The gate of decontaminated_corpus: nothing of a benchmark is left, and nothing else is missing.

Whether an n-gram is left is found anew from the benchmarks and the written documents, by plain sets of words; none of
the code that cut them takes part.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.lake.documents import document_schema, read_parquet, read_parts
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

NGrams = dict[int, set[tuple[str, ...]]]


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    return {
        "contaminated": catalog.sources[source].bounds.contaminated,
        "tasks": sorted(catalog.tasks),
        **catalog.decontamination(source).model_dump(mode="json", include={"ngram", "min_words"}),
    }


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files of this version, of the corpus before it and of the benchmarks."""
    import pyarrow.compute as pc

    manifest, lake, counts = version.manifest, version.lake, version.manifest.counts
    before = version.input("deduplicated_corpus")
    if len(before.under("documents")) != len(manifest.under("documents")):
        raise ValueError("the parts of the corpus are not as many as those of the corpus that it was made from")
    matches = read_parquet(lake, manifest, "matches.parquet")
    dropped = pc.unique(matches.filter(matches["dropped"])["document"])
    cut = pc.unique(matches.filter(pc.invert(matches["dropped"]))["document"])
    ngrams, read, missing = _benchmarks(version)
    row: Row = dict.fromkeys(("documents_in", "documents", "lost_or_changed", "schema_differs", "contaminated"), 0)
    ids: set[str] = set()
    for old, new in zip(read_parts(lake, before), read_parts(lake, manifest), strict=True):
        row["documents_in"] += old.num_rows
        row["documents"] += new.num_rows
        ids.update(new["id"].to_pylist())
        row["schema_differs"] += int(not new.schema.equals(document_schema()))
        row["lost_or_changed"] += _lost_or_changed(old, new, dropped, cut)
        row["contaminated"] += sum(any(_holds(side, ngrams) for side in sides) for sides in _searched(new))
    row["dropped"] = len(dropped)
    row["cut"] = len(cut)
    row["unaccounted"] = abs(row["documents_in"] - row["documents"] - row["dropped"])
    row["miscounted"] = abs(row["documents_in"] - before.counts["documents"]) + sum(
        abs(row[name] - counts[name]) for name in ("documents_in", "documents", "dropped", "cut")
    )
    row["duplicate_ids"] = row["documents"] - len(ids)
    row["dropped_share"] = row["dropped"] / max(row["documents_in"], 1)
    row["words_cut"] = counts["words_cut"]
    row["benchmarks_unread"] = len(set(version.catalog.tasks) - read)
    row["benchmarks_missing"] = len(missing)
    row["missing"] = ", ".join(missing)
    return [row]


def _benchmarks(version: Profiled) -> tuple[NGrams, set[str], list[str]]:
    """The n-grams of all benchmarks by size, the tasks that were read, and those of them that have no data."""
    config = version.catalog.decontamination(version.manifest.partition)
    ngrams: NGrams = {}
    read: set[str] = set()
    missing: list[str] = []
    for ref in version.manifest.inputs:
        if ref.asset != "benchmark":
            continue
        read.add(ref.partition)
        manifest = version.lake.manifest(ref)
        if not version.lake.read_json(manifest, "benchmark.json")["available"]:
            missing.append(ref.partition)
            continue
        for text in read_parquet(version.lake, manifest, "items.parquet")["text"].to_pylist():
            found = _words(text)
            if len(found) >= min(config.min_words, config.ngram):
                size = min(config.ngram, len(found))
                ngrams.setdefault(size, set()).update(_runs(found, size))
    return ngrams, read, sorted(missing)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", unicodedata.normalize("NFC", text))]


def _runs(found: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of ``size`` words."""
    return zip(*(found[place:] for place in range(size)), strict=False)


def _holds(text: str, ngrams: NGrams) -> bool:
    found = _words(text)
    return any(not runs.isdisjoint(_runs(found, size)) for size, runs in ngrams.items())


def _searched(table: "pa.Table") -> Iterator[tuple[str, ...]]:
    """What of a document holds no n-gram: its text; of a pair, both sides in either order, as benchmarks hold them."""
    for text, translation in zip(table["text"].to_pylist(), table["translation"].to_pylist(), strict=True):
        yield (text,) if translation is None else (f"{text}\n{translation}", f"{translation}\n{text}")


def _lost_or_changed(old: "pa.Table", new: "pa.Table", dropped: "pa.Array", cut: "pa.Array") -> int:
    """Documents that are not as they should be: all but dropped ones, in order, and all but the text of cut ones."""
    import pyarrow.compute as pc

    expected = old.filter(pc.invert(pc.is_in(old["id"], dropped)))
    if expected.num_rows != new.num_rows:
        return abs(expected.num_rows - new.num_rows)
    may_change = pc.is_in(expected["id"], cut)
    differs = 0
    for name in expected.column_names:
        same = pc.fill_null(pc.equal(expected[name], new[name]), False)
        same = pc.or_(same, pc.and_(pc.is_null(expected[name]), pc.is_null(new[name])))
        # A cut document has another text than before, any other the same one.
        wrong = pc.equal(same, may_change) if name == "text" else pc.invert(same)
        differs = max(differs, pc.sum(wrong).as_py() or 0)
    return differs


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("contaminated", f"no {bounds['ngram']}-word n-gram of a benchmark is left in any document"),
        none("benchmarks_unread", "every benchmark that a recipe evaluates was searched for"),
        none("benchmarks_missing", "the data of every benchmark is available", severity="warning"),
        none("unaccounted", "documents read = kept + dropped"),
        none("miscounted", "the counts are those of the files, and what was read is all of the corpus before"),
        none("lost_or_changed", "what is not cut or dropped is kept, in order and as it was"),
        none("schema_differs", "the columns are those of a document"),
        none("duplicate_ids", "no two documents have the same id"),
        at_least("documents", 1, "something is left"),
        at_most("dropped_share", bounds["contaminated"], "documents dropped for what they hold of benchmarks"),
    ]


GATE = Gate(
    code=("assets.decontamination.gate",),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "dropped", "cut", "words_cut", "dropped_share"),
)
