"""The gate of raw_corpus: schema, ids, text, licence, declared language, encoding, size."""

from typing import TYPE_CHECKING, Any

from assets.corpora.documents import UNKNOWN_LICENSE
from assets.corpora.language import identify
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.lake.documents import document_schema, evenly, read_parts
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

SAMPLE = 300
# UTF-8 read as Latin-1 or Windows-1252 (Ã¤, â€™), and characters that were lost for good.
DAMAGE = "\N{REPLACEMENT CHARACTER}|Ã[\u0080-\u00bf¤¶…„–]|â€"


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    declared = catalog.sources[source]
    return {**declared.bounds.model_dump(mode="json"), "language": declared.language}


def profile(version: Profiled) -> list[Row]:
    """One row: counts over all documents, languages over an evenly spaced sample of at most 300."""
    import pyarrow as pa
    import pyarrow.compute as pc

    manifest = version.manifest
    source = version.catalog.sources[manifest.partition]
    tables = list(read_parts(version.lake, manifest))
    table = pa.concat_tables(tables)
    n = table.num_rows
    texts = [table["text"]] + ([table["translation"]] if source.is_pairs else [])
    damaged = pc.sum(pc.match_substring_regex(table["text"], DAMAGE)).as_py() or 0
    counted = manifest.counts["documents"] + manifest.counts["bad_records"]
    row: Row = {
        "documents": n,
        "schema_differs": int(not tables[0].schema.equals(document_schema())),
        "miscounted": abs(n - manifest.counts["documents"]),
        "duplicate_ids": n - pc.count_distinct(table["id"]).as_py(),
        "empty_texts": sum(
            (pc.sum(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(t)), 0)).as_py() or 0) for t in texts
        ),
        "unknown_licences": pc.sum(pc.equal(table["license"], UNKNOWN_LICENSE)).as_py() or 0,
        "encoding_damage_share": damaged / max(n, 1),
        "bad_record_share": manifest.counts["bad_records"] / max(counted, 1),
        "damaged_file_share": manifest.counts["damaged_files"] / max(manifest.counts["files"], 1),
        "megabytes": round(sum(pc.sum(pc.binary_length(t)).as_py() or 0 for t in texts) / 1e6, 3),
    }
    if source.language != "code":
        sides = [("text", source.pair_language or source.language)] + (
            [("translation", source.language)] if source.is_pairs else []
        )
        sample = evenly(table, SAMPLE)
        shares = []
        for column, declared in sides:
            found = identify(sample[column].to_pylist(), declared)
            shares.append(sum(language == declared for language, _ in found) / max(len(found), 1))
        row["declared_language_share"] = min(shares)
    return [row]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    language = bounds["language"]
    suite = [
        none("schema_differs", "the columns are those of a document"),
        none("miscounted", "the documents are as many as the manifest counts"),
        none("duplicate_ids", "no two documents have the same id"),
        none("empty_texts", "no document is empty"),
        none("unknown_licences", "the licence of every document is known"),
        at_most("bad_record_share", bounds["bad_records"], "records that cannot be read; faults.jsonl names them"),
        at_most("damaged_file_share", bounds["bad_records"], "files that break off; faults.jsonl names them"),
        at_most(
            "encoding_damage_share", bounds["encoding_damage"], "documents with mojibake or replacement characters"
        ),
        at_least("documents", max(1, bounds["min_documents"]), "size within bounds"),
        at_most("documents", bounds["max_documents"], "size within bounds"),
    ]
    if language != "code":
        suite.append(
            at_least("declared_language_share", bounds["language_share"], f"sampled documents that are {language}")
        )
    return suite


GATE = Gate(
    code=("assets.corpora.gate", "assets.corpora.language"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "megabytes", "bad_record_share", "encoding_damage_share", "declared_language_share"),
)
