"""The gate of raw_corpus: schema, ids, text, licence, declared language, encoding, size."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from assets.ahead import ahead
from assets.corpora.documents import UNKNOWN_LICENSE
from assets.corpora.language import identify, is_known
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import parts_of, read_whole, share_read, slices
from assets.lake.documents import count_distinct, document_schema
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

SAMPLE = 300
# UTF-8 read as Latin-1 or Windows-1252 (Ã¤, â€™), and characters that were lost for good.
DAMAGE = "\N{REPLACEMENT CHARACTER}|Ã[\u0080-\u00bf¤¶…„–]|â€"


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    declared = catalog.sources[source]
    return {**declared.bounds.model_dump(mode="json"), "language": declared.language}


def profile(version: Profiled) -> list[Row]:
    """One row: counts over all documents, part by part; texts in the parts that are read whole (``assets.gates.parts``),
    languages over an evenly spaced sample of about 300 of their documents.
    """
    source = version.catalog.sources[version.manifest.partition]
    languages = {"text": source.pair_language or source.language}
    languages |= {"translation": source.language} if source.is_pairs else {}
    if source.language == "code":
        return [_read(version, list(languages))[0]]
    with ThreadPoolExecutor(1) as beside:
        # To unpack the model takes about as long as to read the parts.
        beside.submit(is_known, source.language)
        row, sample = _read(version, list(languages))
    shares = []
    for column, declared in languages.items():
        found = identify(sample[column].to_pylist(), declared)
        shares.append(sum(language == declared for language, _ in found) / max(len(found), 1))
    return [row | {"declared_language_share": min(shares)}]


def _read(version: Profiled, columns: list[str]) -> "tuple[Row, pa.Table]":
    """The row but for the languages; and the sample with its ``columns``, those of texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    manifest, lake = version.manifest, version.lake
    counted = manifest.counts["documents"] + manifest.counts["bad_records"]
    row: Row = dict.fromkeys(("documents", "empty_texts", "unknown_licences"), 0)
    ids: list[pa.ChunkedArray] = []
    samples: list[pa.Table] = []
    damaged = size = read = 0
    parts = parts_of(lake, manifest)
    row["schema_differs"] = sum(not part.schema.equals(document_schema()) for part in parts)
    whole = read_whole(parts, manifest)
    step = max(1, sum(parts[number].rows for number in whole) // SAMPLE)
    reading = (
        (number, rows)
        for number, part in enumerate(parts)
        for rows in slices(lake, manifest, part.entry.path, ["id", "license", *(columns if number in whole else ())])
    )
    for number, part in ahead(reading):
        row["documents"] += part.num_rows
        row["unknown_licences"] += pc.sum(pc.equal(part["license"], UNKNOWN_LICENSE)).as_py() or 0
        ids.append(part["id"])
        if number not in whole:
            continue
        damaged += pc.sum(pc.match_substring_regex(part["text"], DAMAGE)).as_py() or 0
        for column in columns:
            lengths = pc.binary_length(part[column])
            blank = pc.or_(pc.utf8_is_space(part[column]), pc.equal(lengths, 0))
            row["empty_texts"] += pc.sum(blank).as_py() or 0
            size += pc.sum(lengths).as_py() or 0
        spaced = range(-read % step, part.num_rows, step)
        samples.append(part.select(columns).take(pa.array(spaced, pa.int64())))
        read += part.num_rows
    row |= {
        "miscounted": abs(row["documents"] - manifest.counts["documents"]),
        "duplicate_ids": row["documents"] - count_distinct(ids),
        "encoding_damage_share": damaged / max(read, 1),
        "bad_record_share": manifest.counts["bad_records"] / max(counted, 1),
        "damaged_file_share": manifest.counts["damaged_files"] / max(manifest.counts["files"], 1),
        "megabytes": round(size / 1e6 * row["documents"] / max(read, 1), 3),
        "texts_read": share_read(parts, whole),
    }
    return row, pa.concat_tables(samples)


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
            "encoding_damage_share",
            bounds["encoding_damage"],
            "documents with mojibake or replacement characters before cleaning; raise the source's bounds.encoding_damage "
            "where cleaning mends them (`tokka try` shows it)",
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
    code=("assets.corpora.gate", "assets.corpora.language", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "megabytes", "bad_record_share", "encoding_damage_share", "declared_language_share"),
)
