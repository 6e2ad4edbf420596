"""The stages duplicates (by pool: which documents repeat which) and deduplicated_corpus (the survivors of a source)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assets.dedup import duplicates_gate, gate
from assets.dedup.show import show_corpus, show_duplicates
from assets.lake.documents import characters, part_path, read_parts, write_table
from assets.recipe.catalog import Catalog
from assets.stage import Input, Stage, Work

if TYPE_CHECKING:
    import pyarrow as pa

DUPLICATES = "duplicates.parquet"
REMOVED = "removed"


def duplicates_config(catalog: Catalog, pool: str) -> dict[str, Any]:
    """What decides which documents go: the method, and the order of the sources. The gate's bound does not."""
    return {
        **catalog.dedup(pool).model_dump(mode="json", exclude={"max_cluster_share"}),
        "sources": catalog.pools[pool],
    }


def make_duplicates(work: Work) -> None:
    """Find the duplicates of the pool; write one row for each document to remove, sorted by id."""
    import pyarrow as pa

    from assets.dedup.search import COLUMNS, find_duplicates

    corpora = [work.inputs["clean_corpus"][source] for source in work.catalog.pools[work.key]]
    ids: list[pa.ChunkedArray] = []
    sources: list[pa.ChunkedArray] = []

    def parts() -> "Iterator[pa.Table]":
        ids.clear()
        sources.clear()
        for corpus in corpora:
            work.log.info("reading %s", corpus.name)
            for part in read_parts(work.lake, corpus, COLUMNS):
                ids.append(part["id"])
                sources.append(part["source"])
                yield part

    found = find_duplicates(parts, work.catalog.dedup(work.key))
    id_of, source_of = _joined(ids), _joined(sources)
    removed, survivors = [d.document for d in found], [d.survivor for d in found]
    table = pa.table(
        {
            "id": id_of.take(pa.array(removed, pa.int64())),
            "source": source_of.take(pa.array(removed, pa.int64())),
            "survivor": id_of.take(pa.array(survivors, pa.int64())),
            "survivor_source": source_of.take(pa.array(survivors, pa.int64())),
            "kind": pa.array([d.kind for d in found], pa.large_string()),
            "similarity": pa.array([d.similarity for d in found], pa.float64()),
        }
    )
    write_table(work.out, DUPLICATES, table.sort_by("id").combine_chunks())
    sizes = duplicates_gate.cluster_sizes(table)
    per_source = {corpus.partition: 0 for corpus in corpora}
    for source in table["source"].to_pylist():
        per_source[source] += 1
    work.out.counts.update(
        documents_in=len(id_of),
        exact=sum(d.kind == "exact" for d in found),
        near=sum(d.kind == "near" for d in found),
        clusters=len(sizes),
        largest_cluster=max(sizes, default=0),
        **{f"removed_{source}": count for source, count in per_source.items()},
    )


def _joined(arrays: "list[pa.ChunkedArray]") -> "pa.ChunkedArray":
    import pyarrow as pa

    return pa.chunked_array([chunk for array in arrays for chunk in array.chunks], pa.large_string())


def corpus_inputs(catalog: Catalog, source: str) -> list[Input]:
    return [("clean_corpus", source), ("duplicates", catalog.sources[source].pool)]


def make_corpus(work: Work) -> None:
    """Write the documents that stay, and the ones that go with their survivors; one part of each for each part read."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with work.lake.open_file(work.input("duplicates"), DUPLICATES) as stream:
        columns = ["id", "survivor", "kind", "similarity"]
        table = pq.read_table(stream, columns=columns, filters=[("source", "=", work.key)])
    counts = dict.fromkeys(("documents_in", "documents", "removed_exact", "removed_near", "characters"), 0)
    for number, part in enumerate(read_parts(work.lake, work.input("clean_corpus"))):
        place = pc.index_in(part["id"], table["id"])
        kept = part.filter(pc.is_null(place))
        removed = table.take(place.drop_null())
        write_table(work.out, part_path(number), kept)
        write_table(work.out, part_path(number, REMOVED), removed)
        kinds = removed["kind"].to_pylist()
        counts["documents_in"] += part.num_rows
        counts["documents"] += kept.num_rows
        counts["removed_exact"] += kinds.count("exact")
        counts["removed_near"] += kinds.count("near")
        counts["characters"] += characters(kept)
    work.out.counts.update(counts)


STAGE_DUPLICATES = Stage(
    asset="duplicates",
    space="pool",
    description="Exact and near-duplicate documents of the sources of a pool, each with the document that survives.",
    keys=lambda catalog: list(catalog.pools),
    inputs=lambda catalog, pool: [("clean_corpus", source) for source in catalog.pools[pool]],
    config=duplicates_config,
    code=("assets.dedup.search", "assets.dedup.text", "assets.dedup.stage", "assets.lake.documents"),
    make=make_duplicates,
    gate=duplicates_gate.GATE,
    libraries=("daft", "numpy", "pandas"),
    show=show_duplicates,
)

STAGE = Stage(
    asset="deduplicated_corpus",
    space="source",
    description="The documents of a source that repeat no other of its pool; the removed ones with their survivors.",
    keys=lambda catalog: list(catalog.sources),
    inputs=corpus_inputs,
    config=lambda catalog, source: {},
    code=("assets.dedup.stage", "assets.lake.documents"),
    make=make_corpus,
    gate=gate.GATE,
    show=show_corpus,
)
