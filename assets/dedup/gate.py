"""The gate of deduplicated_corpus: every document is kept or removed, as it was, and no exact duplicate is left."""

import hashlib
from typing import TYPE_CHECKING, Any

from assets.dedup.text import normalise
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.lake.documents import document_schema, read_parts
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    return {"duplicates": catalog.sources[source].bounds.duplicates}


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files of this version and of the clean corpus, part by part."""
    import pyarrow.compute as pc

    manifest, lake, counts = version.manifest, version.lake, version.manifest.counts
    clean = version.input("clean_corpus")
    row: Row = dict.fromkeys(
        ("documents_in", "documents", "removed", "lost_or_changed", "schema_differs", "left_duplicates"), 0
    )
    if len(clean.under("documents")) != len(manifest.under("documents")):
        raise ValueError("the parts of the corpus are not as many as those of the clean corpus that it was made from")
    seen_ids: set[str] = set()
    seen_texts: set[bytes] = set()
    ids = 0
    parts = zip(
        read_parts(lake, clean), read_parts(lake, manifest), read_parts(lake, manifest, folder="removed"), strict=True
    )
    for before, kept, removed in parts:
        row["documents_in"] += before.num_rows
        row["documents"] += kept.num_rows
        row["removed"] += removed.num_rows
        row["schema_differs"] += int(not kept.schema.equals(document_schema()))
        expected = before.filter(pc.invert(pc.is_in(before["id"], removed["id"])))
        row["lost_or_changed"] += abs(expected.num_rows - kept.num_rows) or _changed(expected, kept)
        for document in kept.select(["id", "text", "translation"]).to_pylist():
            ids += 1
            seen_ids.add(document["id"])
            sides = "\n".join(normalise(document[side] or "") for side in ("text", "translation"))
            seen_texts.add(hashlib.blake2b(sides.encode(), digest_size=16).digest())
    row["duplicate_ids"] = ids - len(seen_ids)
    row["left_duplicates"] = ids - len(seen_texts)
    row["miscounted"] = (
        abs(row["documents_in"] - clean.counts["documents"])
        + abs(row["documents_in"] - counts["documents_in"])
        + abs(row["documents"] - counts["documents"])
        + abs(row["removed"] - counts["removed_exact"] - counts["removed_near"])
    )
    row["unaccounted"] = abs(row["documents_in"] - row["documents"] - row["removed"])
    row["removed_share"] = row["removed"] / max(row["documents_in"], 1)
    return [row]


def _changed(expected: "pa.Table", kept: "pa.Table") -> int:
    """Rows of two tables of the same length that differ in any column."""
    import pyarrow.compute as pc

    differs = 0
    for name in expected.column_names:
        same = pc.fill_null(pc.equal(expected[name], kept[name]), False)
        both_null = pc.and_(pc.is_null(expected[name]), pc.is_null(kept[name]))
        differs = max(differs, pc.sum(pc.invert(pc.or_(same, both_null))).as_py() or 0)
    return differs


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("unaccounted", "documents read = kept + removed"),
        none("miscounted", "the counts are those of the files, and what was read is all of the clean corpus"),
        none("lost_or_changed", "what is not removed is kept, in order and as it was"),
        none("schema_differs", "the columns are those of a document"),
        none("duplicate_ids", "no two documents have the same id"),
        none("left_duplicates", "no two documents of the source have the same text"),
        at_least("documents", 1, "something is left"),
        at_most("removed_share", bounds["duplicates"], "documents removed as duplicates"),
    ]


GATE = Gate(
    code=("assets.dedup.gate", "assets.dedup.text"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "removed", "removed_share"),
)
