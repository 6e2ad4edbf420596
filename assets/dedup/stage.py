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
TRIMMED = "trimmed"


def duplicates_config(catalog: Catalog, pool: str) -> dict[str, Any]:
    """What decides which documents go: the method, and the order of the sources. The gate's bound does not."""
    return {
        **catalog.dedup(pool).model_dump(mode="json", exclude={"max_cluster_share"}),
        "sources": catalog.pools[pool],
    }


def make_duplicates(work: Work) -> None:
    """Find the duplicates of the pool; write one row for each document to remove, sorted by id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from assets.dedup.search import COLUMNS, duplicate_table

    corpora = [work.inputs["clean_corpus"][source] for source in work.catalog.pools[work.key]]
    ids: list[pa.ChunkedArray] = []
    sizes = [0] * len(corpora)

    def parts() -> "Iterator[pa.Table]":
        ids.clear()
        for number, corpus in enumerate(corpora):
            work.log.info("reading %s", corpus.name)
            sizes[number] = 0
            for part in read_parts(work.lake, corpus, ["id", *COLUMNS]):
                ids.append(part["id"])
                sizes[number] += part.num_rows
                yield part

    work.scratch.mkdir(parents=True, exist_ok=True)
    found = duplicate_table(parts, work.catalog.dedup(work.key), work.scratch)
    id_of = pa.chunked_array([chunk for array in ids for chunk in array.chunks], pa.large_string())
    names = pa.array([corpus.partition for corpus in corpora], pa.large_string())

    def sources(places: "pa.ChunkedArray") -> "pa.Array":
        return names.take(pa.array(np.searchsorted(np.cumsum(sizes), places.to_numpy(), side="right")))

    table = pa.table(
        {
            "id": id_of.take(found["document"]),
            "source": sources(found["document"]),
            "survivor": id_of.take(found["survivor"]),
            "survivor_source": sources(found["survivor"]),
            "kind": found["kind"],
            "similarity": found["similarity"],
        }
    )
    write_table(work.out, DUPLICATES, table.sort_by("id").combine_chunks())
    clusters = duplicates_gate.cluster_sizes(table)
    kinds, per_source = (duplicates_gate.occurrences(table[name]) for name in ("kind", "source"))
    work.out.counts.update(
        documents_in=len(id_of),
        **{kind: kinds.get(kind, 0) for kind in duplicates_gate.KINDS},
        clusters=len(clusters),
        largest_cluster=pc.max(clusters).as_py() or 0,
        **{f"removed_{corpus.partition}": per_source.get(corpus.partition, 0) for corpus in corpora},
    )


def corpus_config(catalog: Catalog, source: str) -> dict[str, Any]:
    """What decides what goes, besides the duplicates of the pool."""
    lines = catalog.sources[source].lines
    return {"lines": lines.model_dump(mode="json") if lines else None}


def corpus_inputs(catalog: Catalog, source: str) -> list[Input]:
    return [("clean_corpus", source), ("duplicates", catalog.sources[source].pool)]


def make_corpus(work: Work) -> None:
    """Write the documents that stay, and the ones that go with the reason; one part of each for each part read.

    Where the source asks for it, duplicate lines are looked for in what stays.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from assets.dedup.cut import COUNTS, cut_lines
    from assets.dedup.repeated import count_repeated

    with work.lake.open_file(work.input("duplicates"), DUPLICATES) as stream:
        columns = ["id", "survivor", "kind", "similarity"]
        table = pq.read_table(stream, columns=columns, filters=[("source", "=", work.key)])

    def parts(columns: list[str] | None = None) -> "Iterator[tuple[pa.Table, pa.Table]]":
        for part in read_parts(work.lake, work.input("clean_corpus"), columns):
            place = pc.index_in(part["id"], table["id"])
            yield part.filter(pc.is_null(place)), table.take(place.drop_null())

    lines = work.catalog.sources[work.key].lines
    names = ["documents_in", "documents", *(f"removed_{kind}" for kind in duplicates_gate.KINDS), "characters"]
    counts = dict.fromkeys([*names, *(COUNTS if lines else ())], 0)
    if lines:
        work.log.info("looking for duplicate lines")
        repeated = count_repeated((kept for kept, _ in parts(["id", "text"])), lines, work.scratch / "lines")
    first = 0
    for number, (kept, removed) in enumerate(parts()):
        kinds = duplicates_gate.occurrences(removed["kind"])
        counts["documents_in"] += kept.num_rows + removed.num_rows
        for kind in duplicates_gate.KINDS:
            counts[f"removed_{kind}"] += kinds.get(kind, 0)
        left, gone = kept, removed
        if lines:
            cut = cut_lines(kept, repeated.of(first, first + kept.num_rows), lines)
            first += kept.num_rows
            left, gone = cut.kept, pa.concat_tables([removed, cut.removed])
            write_table(work.out, part_path(number, TRIMMED), cut.trimmed)
            for name, count in cut.counts.items():
                counts[name] += count
        write_table(work.out, part_path(number), left)
        write_table(work.out, part_path(number, REMOVED), gone)
        counts["documents"] += left.num_rows
        counts["characters"] += characters(left)
    work.out.counts.update(counts)


STAGE_DUPLICATES = Stage(
    asset="duplicates",
    space="pool",
    description="Exact and near-duplicate documents of the sources of a pool, each with the document that survives.",
    keys=lambda catalog: list(catalog.pools),
    inputs=lambda catalog, pool: [("clean_corpus", source) for source in catalog.pools[pool]],
    config=duplicates_config,
    code=(
        "assets.dedup.stage",
        "assets.dedup.search",
        "assets.dedup.buckets",
        "assets.dedup.signatures",
        "assets.dedup.text",
        "assets.engine",
        "assets.lake.documents",
        "assets.words",
    ),
    make=make_duplicates,
    gate=duplicates_gate.GATE,
    show=show_duplicates,
)

STAGE = Stage(
    asset="deduplicated_corpus",
    space="source",
    description="The documents of a source that repeat no other of its pool, without lines that repeat where it asks for it.",
    keys=lambda catalog: list(catalog.sources),
    inputs=corpus_inputs,
    config=corpus_config,
    code=(
        "assets.dedup.stage",
        "assets.dedup.cut",
        "assets.dedup.lines",
        "assets.dedup.repeated",
        "assets.dedup.text",
        "assets.engine",
        "assets.lake.documents",
        "assets.words",
    ),
    make=make_corpus,
    gate=gate.GATE,
    show=show_corpus,
)
