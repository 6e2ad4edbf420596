"""The gate of duplicates: who goes and who stays is consistent, near-duplicates are near, no cluster is too large."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from assets.dedup.text import normalise
from assets.gates.expectations import at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import read_table, slices
from assets.lake import Lake, Manifest
from assets.lake.documents import DOCUMENTS, evenly
from assets.lake.machine import cores
from assets.recipe.catalog import Catalog
from assets.recipe.data import Dedup

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

KINDS = ("exact", "near", "edited")
SAMPLE = 200
READERS = 4
"""Parts in memory at a time, at most."""
# A small pool may have a cluster of this many documents, whatever its share.
SMALL_CLUSTER = 50
ROUNDING = 1e-9


def bounds(catalog: Catalog, pool: str) -> dict[str, Any]:
    return catalog.dedup(pool).model_dump(
        mode="json", include={"threshold", "shingle", "same_words", "max_cluster_share"}
    )


def cluster_sizes(duplicates: "pa.Table") -> "pa.Array":
    """Documents of each cluster: its survivor and what it replaces; int64."""
    import pyarrow.compute as pc

    return pc.add(pc.value_counts(duplicates["survivor"]).field("counts"), 1)


def occurrences(column: "pa.ChunkedArray") -> dict[str, int]:
    """How often each of a few values occurs."""
    import pyarrow.compute as pc

    return {found["values"]: found["counts"] for found in pc.value_counts(column).to_pylist()}


def profile(version: Profiled) -> list[Row]:
    """One row: everything recounted from the files; similarities from the texts of an evenly spaced sample of 200."""
    import pyarrow as pa
    import pyarrow.compute as pc

    manifest, counts = version.manifest, version.manifest.counts
    dedup = version.catalog.dedup(manifest.partition)
    table = read_table(version.lake, manifest, "duplicates.parquet")
    sampled = evenly(table, SAMPLE)
    wanted = pa.array({*sampled["id"].to_pylist(), *sampled["survivor"].to_pylist()}, pa.large_string())
    found = documents = 0
    texts: dict[str, tuple[str, str | None]] = {}
    corpora = [version.lake.manifest(ref) for ref in manifest.inputs]
    parts = [(corpus, entry.path) for corpus in corpora for entry in corpus.under(DOCUMENTS)]
    with ThreadPoolExecutor(min(READERS, cores())) as pool:
        look = partial(_look, version.lake, table["id"], wanted)
        for rows, here, members in pool.map(look, *zip(*parts, strict=True)):
            documents += rows
            found += here
            texts |= {member["id"]: (member["text"], member["translation"]) for member in members}
    kinds = dict.fromkeys(KINDS, 0) | occurrences(table["kind"])
    by_source = occurrences(table["source"])
    declared = {name.removeprefix("removed_"): n for name, n in counts.items() if name.startswith("removed_")}
    unlike = [member for member in sampled.to_pylist() if not _alike(member, texts, dedup)]
    sizes = cluster_sizes(table)
    largest = pc.max(sizes).as_py() or 0
    row: Row = {
        "documents": documents,
        **{kind: kinds[kind] for kind in KINDS},
        "largest_cluster": largest,
        "miscounted": abs(documents - counts["documents_in"])
        + sum(abs(kinds[kind] - counts[kind]) for kind in KINDS)
        + abs(table.num_rows - sum(kinds[kind] for kind in KINDS))
        + abs(len(sizes) - counts["clusters"])
        + abs(largest - counts["largest_cluster"])
        + sum(abs(declared.get(source, 0) - by_source.get(source, 0)) for source in {*declared, *by_source}),
        "removed_twice": table.num_rows - pc.count_distinct(table["id"]).as_py(),
        "unknown_documents": table.num_rows - found,
        "removed_survivors": pc.sum(pc.is_in(table["survivor"], table["id"])).as_py() or 0,
        "unlike_survivors": len(unlike),
        "excess_cluster_share": 0.0 if largest <= SMALL_CLUSTER else largest / max(documents, 1),
        "removed_share": table.num_rows / max(documents, 1),
    }
    return [row]


def _look(
    lake: Lake, removed: "pa.ChunkedArray", wanted: "pa.Array", corpus: Manifest, path: str
) -> tuple[int, int, list[Row]]:
    """The documents of the part at ``path``: how many there are, how many of them are ``removed``, and those ``wanted``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids: list[pa.Array] = []
    members: list[Row] = []
    for documents in slices(lake, corpus, path, ["id", "text", "translation"]):
        ids += documents["id"].chunks
        members += documents.filter(pc.is_in(documents["id"], wanted)).to_pylist()
    here = pc.sum(pc.is_in(removed, pa.chunked_array(ids, pa.large_string()))).as_py() or 0
    return sum(map(len, ids)), here, members


def _alike(member: Row, texts: dict[str, tuple[str, str | None]], dedup: Dedup) -> bool:
    """Whether a removed document is to its survivor what it is said to be; by texts and sets of words, no hashes."""
    if member["id"] not in texts or member["survivor"] not in texts:
        return False
    own, other = texts[member["id"]], texts[member["survivor"]]
    if member["kind"] == "exact":
        return [normalise(side or "") for side in own] == [normalise(side or "") for side in other]
    words, others = (normalise(text).split() for text, _ in (own, other))
    if member["kind"] == "edited":
        from rapidfuzz.distance import Indel

        similarity, least = Indel.normalized_similarity(words, others), dedup.same_words
    else:
        a, b = (_shingles(found, dedup.shingle) for found in (words, others))
        similarity, least = len(a & b) / max(len(a | b), 1), dedup.threshold
    return least is not None and similarity >= least - ROUNDING and abs(similarity - member["similarity"]) < 1e-6


def _shingles(words: list[str], size: int) -> set[tuple[str, ...]]:
    return set(zip(*(words[place:] for place in range(size)), strict=False))


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("miscounted", "the counts are those of the file and of the corpora that were read"),
        none("removed_twice", "no document is removed twice"),
        none("unknown_documents", "every document to remove is in a corpus of the pool"),
        none("removed_survivors", "no document that stands for others is itself removed"),
        none(
            "unlike_survivors",
            f"sampled documents are similar to their survivors, by {bounds['threshold']:g} at least, or edited ones",
        ),
        at_most(
            "excess_cluster_share",
            bounds["max_cluster_share"],
            f"documents of the pool in its largest cluster (of more than {SMALL_CLUSTER} documents)",
        ),
    ]


GATE = Gate(
    code=("assets.dedup.duplicates_gate", "assets.dedup.text", "assets.words", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", *KINDS, "largest_cluster", "removed_share"),
)
