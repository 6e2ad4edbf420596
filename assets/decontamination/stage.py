"""The stage decontaminated_corpus: one version per source, free of every benchmark that any recipe names."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from assets.decontamination import gate
from assets.decontamination.show import show
from assets.lake import InputRef, Lake
from assets.lake.documents import characters, part_path, read_parquet, read_parts, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.data import Decontamination
from assets.stage import Input, Stage, Work

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.decontamination.index import Index

MATCHES = "matches.parquet"


def inputs(catalog: Catalog, source: str) -> list[Input]:
    return [("deduplicated_corpus", source), *(("benchmark", task) for task in catalog.tasks)]


def make(work: Work) -> None:
    """Search the source for the text of all benchmarks, then write it without; ``matches.parquet`` says what went."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from assets.decontamination.documents import common_grams, cut, search, with_cuts

    config = work.catalog.decontamination(work.key)
    refs = tuple(manifest.ref for _, manifest in sorted(work.inputs["benchmark"].items()))
    index = benchmark_index(work.lake, refs, config)
    corpus = work.input("deduplicated_corpus")
    frequency = np.zeros(index.ngrams, dtype=np.int64)
    found: list[np.ndarray] = []
    for number, part in enumerate(read_parts(work.lake, corpus, ["text", "translation"])):
        work.log.info("searching part %d, %d documents", number, part.num_rows)
        rows, in_part = search(part, index)
        found.append(rows)
        frequency += in_part
    common = common_grams(index, frequency)
    names = ("documents_in", "documents", "dropped", "cut", "words_cut", "matches", "characters")
    counts = dict.fromkeys(names, 0)
    with pq.ParquetWriter(work.out.stage(MATCHES), matches_schema(), compression="zstd") as writer:
        for number, part in enumerate(read_parts(work.lake, corpus)):
            cuts = cut(part.take(pa.array(found[number])), index, common, config)
            kept = with_cuts(part, found[number], cuts)
            write_table(work.out, part_path(number), kept)
            matches = match_table(part["id"].take(pa.array(found[number])).to_pylist(), cuts)
            if matches.num_rows:
                writer.write_table(matches)
            counts["documents_in"] += part.num_rows
            counts["documents"] += kept.num_rows
            counts["dropped"] += cuts["text"].null_count
            counts["cut"] += cuts.num_rows - cuts["text"].null_count
            counts["words_cut"] += sum(cuts.filter(cuts["text"].is_valid())["words_cut"].to_pylist())
            counts["matches"] += matches.num_rows
            counts["characters"] += characters(kept)
    work.out.add(MATCHES, rows=counts["matches"])
    work.out.counts.update(
        counts,
        common_ngrams=int((common & ~index.template).sum()),
        template_ngrams=int(index.template.sum()),
        unindexed_items=index.unindexed,
    )


@lru_cache(maxsize=1)
def benchmark_index(lake: Lake, benchmarks: tuple[InputRef, ...], config: Decontamination) -> "Index":
    """The index of some benchmarks; the sources of a run share it, one after the other."""
    from assets.decontamination.index import build_index

    return build_index({ref.partition: list(benchmark_items(lake, ref)) for ref in benchmarks}, config)


def benchmark_items(lake: Lake, benchmark: InputRef) -> Iterator[tuple[str, str]]:
    """The (id, text) of the items of a benchmark; of one whose data is not available there are none."""
    if lake.read_json(benchmark, "benchmark.json")["available"]:
        table = read_parquet(lake, lake.manifest(benchmark), "items.parquet")
        yield from zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)


def matches_schema() -> "pa.Schema":
    """One row for each item that stands in a document: see ``documents.cuts_schema``; ``dropped`` is of the document."""
    import pyarrow as pa

    strings = [(name, pa.large_string()) for name in ("document", "benchmark", "item")]
    numbers = [("words", pa.int64()), ("share", pa.float64()), ("dropped", pa.bool_())]
    return pa.schema([*strings, *numbers, ("excerpt", pa.large_string())])


def match_table(ids: list[str], cuts: "pa.Table") -> "pa.Table":
    """``matches_schema`` of the documents with these ids, given what cutting made of them."""
    import pyarrow as pa

    rows = [
        {**match, "document": id_, "dropped": cut["text"] is None}
        for id_, cut in zip(ids, cuts.to_pylist(), strict=True)
        for match in cut["matches"]
    ]
    return pa.Table.from_pylist(rows, matches_schema())


STAGE = Stage(
    asset="decontaminated_corpus",
    space="source",
    description="The documents of a source without the text of any benchmark that a recipe names; what was cut.",
    keys=lambda catalog: list(catalog.sources),
    inputs=inputs,
    config=lambda catalog, source: catalog.decontamination(source).model_dump(mode="json"),
    code=(
        "assets.decontamination.words",
        "assets.decontamination.index",
        "assets.decontamination.cut",
        "assets.decontamination.documents",
        "assets.decontamination.stage",
        "assets.engine",
        "assets.lake.documents",
        "assets.words",
    ),
    make=make,
    gate=gate.GATE,
    show=show,
)
