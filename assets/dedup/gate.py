"""The gate of deduplicated_corpus: every document is kept or removed, as it was or trimmed, and no exact duplicate is left."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assets import engine
from assets.ahead import ahead
from assets.dedup.duplicates_gate import KINDS as POOL_KINDS
from assets.dedup.duplicates_gate import occurrences
from assets.dedup.text import digested, replaced
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import Part, aligned, parts_of, read_table, read_whole, same_values, share_read, slices
from assets.lake.documents import count_distinct, document_schema
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

KINDS = (*POOL_KINDS, "lines")


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    return {"duplicates": catalog.sources[source].bounds.duplicates}


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files of this version and of the clean corpus, part by part: which documents are there, and in
    what order, over all of them; what is in them in the parts that are read whole (``assets.gates.parts``).
    """
    import pyarrow as pa

    counts = version.manifest.counts
    names = ("documents_in", "documents", "removed", "lost_or_changed", "trimmed", "trimmed_lines")
    row: Row = dict.fromkeys(names, 0)
    kinds = dict.fromkeys(KINDS, 0)
    ids: list[pa.ChunkedArray] = []
    about = parts_of(version.lake, version.manifest)
    whole = read_whole(about, version.manifest)
    row["schema_differs"] = sum(not part.schema.equals(document_schema()) for part in about)
    untrimmed = _compared(version, about, whole, row, kinds, ids)
    schema = pa.schema([("digest", pa.large_binary())])
    made = engine.map_parts(untrimmed, digested, schema, engine.SLICE_BYTES)
    digests = [digest for _, rows in made for digest in rows["digest"].to_pylist()]
    row["duplicate_ids"] = row["documents"] - count_distinct(ids)
    row["left_duplicates"] = len(digests) - len(set(digests))
    row["miscounted"] = (
        abs(row["documents_in"] - version.input("clean_corpus").counts["documents"])
        + abs(row["documents_in"] - counts["documents_in"])
        + abs(row["documents"] - counts["documents"])
        + sum(abs(count - counts.get(f"removed_{kind}", 0)) for kind, count in kinds.items())
        + abs(row["trimmed"] - counts.get("trimmed_documents", 0))
        + abs(row["trimmed_lines"] - counts.get("trimmed_lines", 0))
    )
    row["unaccounted"] = abs(row["documents_in"] - row["documents"] - sum(kinds[kind] for kind in KINDS))
    row["removed_share"] = row["removed"] / max(row["documents_in"], 1)
    row["texts_read"] = share_read(about, whole)
    return [row]


def _compared(
    version: Profiled,
    about: list[Part],
    whole: set[int],
    row: Row,
    kinds: dict[str, int],
    ids: "list[pa.ChunkedArray]",
) -> "Iterator[pa.Table]":
    """Compare all parts with those of the clean corpus, and count in ``row``, ``kinds`` and ``ids``; the texts of the
    documents, a few at a time, that are as they were before, of the parts that are read whole.
    """
    import pyarrow.compute as pc

    manifest, lake = version.manifest, version.lake
    clean = version.input("clean_corpus")
    before = parts_of(lake, clean)
    if len(before) != len(about):
        raise ValueError("the parts of the corpus are not as many as those of the clean corpus that it was made from")
    folders = [manifest.under("removed"), *([manifest.under("trimmed")] if manifest.under("trimmed") else [])]
    for number, (old, new, *changes) in enumerate(zip(before, about, *folders, strict=True)):
        removed, *lines = (read_table(lake, manifest, file.path) for file in changes)
        trimmed = lines[0] if lines else None
        columns = None if number in whole else ["id"]
        row["documents_in"] += old.rows
        row["removed"] += removed.num_rows
        row["trimmed"] += trimmed.num_rows if trimmed is not None else 0
        for kind, count in occurrences(removed["kind"]).items():
            kinds[kind] = kinds.get(kind, 0) + count
        if trimmed is not None and number not in whole:
            left = pc.subtract(trimmed["last"], trimmed["first"])
            row["trimmed_lines"] += pc.sum(pc.subtract(trimmed["lines"], left)).as_py() or 0
        missing = differing = 0
        files = slices(lake, clean, old.entry.path, columns), slices(lake, manifest, new.entry.path, columns)
        for given, kept in ahead(aligned(*files, removed["id"])):
            expected, untrimmed = given, kept
            if trimmed is not None and number in whole:
                expected = _trim(given, trimmed)
                row["trimmed_lines"] += _lines(given.filter(pc.is_in(given["id"], trimmed["id"])))
                row["trimmed_lines"] -= _lines(kept.filter(pc.is_in(kept["id"], trimmed["id"])))
                untrimmed = kept.filter(pc.invert(pc.is_in(kept["id"], trimmed["id"])))
            row["documents"] += kept.num_rows
            ids.append(kept["id"])
            missing += expected.num_rows - kept.num_rows
            differing += 0 if missing else _changed(expected, kept)
            if number in whole:
                yield untrimmed.select(["text", "translation"])
        row["lost_or_changed"] += abs(missing) or differing


def _trim(documents: "pa.Table", trimmed: "pa.Table") -> "pa.Table":
    """The documents as they should be: of each one that is named, a run of its lines."""
    import numpy as np
    import pyarrow.compute as pc

    place = pc.index_in(documents["id"], trimmed["id"])
    texts = [
        _run(text, **row)
        for text, row in zip(
            documents["text"].filter(pc.is_valid(place)).to_pylist(),
            trimmed.select(["lines", "first", "last"]).take(place.drop_null()).to_pylist(),
            strict=True,
        )
    ]
    text = replaced(documents["text"], np.flatnonzero(pc.is_valid(place).to_numpy()), texts)
    return documents.set_column(documents.schema.get_field_index("text"), documents.schema.field("text"), text)


def _run(text: str, lines: int, first: int, last: int) -> str:
    """The lines that stay; nothing where the numbers cannot be true."""
    split = text.split("\n")
    return "\n".join(split[first:last]) if len(split) == lines and 0 <= first < last <= lines else ""


def _lines(documents: "pa.Table") -> int:
    import pyarrow.compute as pc

    return documents.num_rows + (pc.sum(pc.count_substring(documents["text"], "\n")).as_py() or 0)


def _changed(expected: "pa.Table", kept: "pa.Table") -> int:
    """Rows of two tables of the same length that differ in any column."""
    import pyarrow.compute as pc

    differs = 0
    for name in expected.column_names:
        differs = max(differs, pc.sum(pc.invert(same_values(expected[name], kept[name]))).as_py() or 0)
    return differs


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("unaccounted", "documents read = kept + removed as exact and near duplicates and for their lines"),
        none("miscounted", "the counts are those of the files, and what was read is all of the clean corpus"),
        none("lost_or_changed", "what is not removed is kept in order, as it was or as a run of its lines"),
        none("schema_differs", "the columns are those of a document"),
        none("duplicate_ids", "no two documents have the same id"),
        none("left_duplicates", "no two documents of the source, of those not trimmed, have the same text"),
        at_least("documents", 1, "something is left"),
        at_most("removed_share", bounds["duplicates"], "documents removed as duplicates and for their lines"),
    ]


GATE = Gate(
    code=(
        "assets.dedup.gate",
        "assets.dedup.duplicates_gate",
        "assets.dedup.text",
        "assets.words",
        "assets.gates.parts",
    ),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "removed", "removed_share", "trimmed"),
)
