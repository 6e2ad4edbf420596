"""The stage decontaminated_corpus: one version per source, free of every benchmark that any recipe evaluates."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from assets.decontamination import gate
from assets.decontamination.show import show
from assets.lake import Lake, Manifest
from assets.lake.documents import characters, document_schema, part_path, read_parquet, read_parts, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.data import Decontamination
from assets.stage import Input, Stage, Work

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from assets.decontamination.cut import Cut
    from assets.decontamination.index import Index

MATCHES = "matches.parquet"
# An n-gram in more documents of a source than this is a common phrase or boilerplate (Brown et al. 2020, appendix C).
# It is cut like any other, but no document goes for holding it: it says nothing about the item.
COMMON = 10


def inputs(catalog: Catalog, source: str) -> list[Input]:
    return [("deduplicated_corpus", source), *(("benchmark", task) for task in catalog.tasks)]


def make(work: Work) -> None:
    """Search the source for the text of all benchmarks, then write it without; ``matches.parquet`` says what went."""
    import numpy as np
    import pyarrow as pa

    from assets.decontamination.index import build_index

    config = work.catalog.decontamination(work.key)
    index = build_index(benchmark_items(work.lake, work.inputs["benchmark"]), config)
    corpus = work.input("deduplicated_corpus")
    frequency = np.zeros(index.ngrams, dtype=np.int64)
    found: list[list[int]] = []
    for number, part in enumerate(read_parts(work.lake, corpus, ["text", "translation"])):
        work.log.info("searching part %d, %d documents", number, part.num_rows)
        rows, in_part = search_part(part, index)
        found.append(rows)
        frequency += in_part
    common = frequency > COMMON
    names = ("documents_in", "documents", "dropped", "cut", "words_cut", "matches", "characters")
    counts = dict.fromkeys(names, 0)
    matches: list[pa.Table] = []
    for number, part in enumerate(read_parts(work.lake, corpus)):
        cuts = cut_rows(part, found[number], index, common, config)
        kept = apply_cuts(part, cuts)
        write_table(work.out, part_path(number), kept)
        matches.append(match_table(part["id"].to_pylist(), cuts, index))
        counts["documents_in"] += part.num_rows
        counts["documents"] += kept.num_rows
        counts["dropped"] += sum(cut.text is None for cut in cuts.values())
        counts["cut"] += sum(cut.text is not None for cut in cuts.values())
        counts["words_cut"] += sum(cut.words_cut for cut in cuts.values() if cut.text is not None)
        counts["matches"] += matches[-1].num_rows
        counts["characters"] += characters(kept)
    write_table(work.out, MATCHES, pa.concat_tables(matches) if matches else match_table([], {}, index))
    work.out.counts.update(counts, common_ngrams=int(common.sum()), unindexed_items=index.unindexed)


def benchmark_items(lake: Lake, benchmarks: Mapping[str, Manifest]) -> dict[str, list[tuple[str, str]]]:
    """The (id, text) of the items of each benchmark, by task; of one whose data is not available there are none."""
    items: dict[str, list[tuple[str, str]]] = {}
    for task, manifest in sorted(benchmarks.items()):
        if lake.read_json(manifest, "benchmark.json")["available"]:
            table = read_parquet(lake, manifest, "items.parquet")
            items[task] = list(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    return items


def search_part(part: "pa.Table", index: "Index") -> "tuple[list[int], np.ndarray]":
    """The rows of a part in which some n-gram stands, and in how many rows each n-gram does: int64 [n-grams]."""
    from assets.decontamination.cut import both_orders
    from assets.decontamination.index import search

    rows: list[int] = []
    texts: list[str] = []
    for row, (text, translation) in enumerate(_sides(part)):
        sides = (text,) if translation is None else both_orders(text, translation)
        texts += sides
        rows += [row] * len(sides)
    return search(texts, rows, index)


def cut_rows(
    part: "pa.Table", rows: list[int], index: "Index", common: "np.ndarray", config: Decontamination
) -> "dict[int, Cut]":
    """What cutting makes of the documents in some rows of a part."""
    from assets.decontamination.cut import cut_document, match_pair

    cuts: dict[int, Cut] = {}
    for row, (text, translation) in zip(rows, _sides(part.take(rows)) if rows else (), strict=True):
        if translation is None:
            cuts[row] = cut_document(text, index, common, config)
        else:
            cuts[row] = match_pair(text, translation, index)
    return cuts


def _sides(part: "pa.Table") -> "Iterator[tuple[str, str | None]]":
    return zip(part["text"].to_pylist(), part["translation"].to_pylist(), strict=True)


def apply_cuts(part: "pa.Table", cuts: "Mapping[int, Cut]") -> "pa.Table":
    """The documents that stay, in their order; those that were cut with their new text, all others as they were."""
    import numpy as np
    import pyarrow as pa

    texts = part["text"].to_pylist()
    stays = np.ones(part.num_rows, dtype=bool)
    for row, cut in cuts.items():
        if cut.text is None:
            stays[row] = False
        else:
            texts[row] = cut.text
    schema = document_schema()
    column = schema.get_field_index("text")
    return part.set_column(column, schema.field("text"), pa.array(texts, pa.large_string())).filter(pa.array(stays))


def match_table(ids: list[str], cuts: "Mapping[int, Cut]", index: "Index") -> "pa.Table":
    """One row for each item that stands in a document: ``words`` of the document that it covers, and the first of them.

    Items share phrases, so ``words`` of several items can be the same ones.
    """
    import pyarrow as pa

    def rows() -> "Iterator[dict[str, Any]]":
        for row, cut in sorted(cuts.items()):
            for place, match in sorted(cut.matches.items()):
                benchmark, item = index.items[place]
                yield {
                    "document": ids[row],
                    "benchmark": benchmark,
                    "item": item,
                    "words": match.words,
                    "dropped": cut.text is None,
                    "excerpt": match.excerpt,
                }

    strings = [(name, pa.large_string()) for name in ("document", "benchmark", "item")]
    schema = pa.schema([*strings, ("words", pa.int64()), ("dropped", pa.bool_()), ("excerpt", pa.large_string())])
    return pa.Table.from_pylist(list(rows()), schema)


STAGE = Stage(
    asset="decontaminated_corpus",
    space="source",
    description="The documents of a source without the text of any benchmark that a recipe evaluates; what was cut.",
    keys=lambda catalog: list(catalog.sources),
    inputs=inputs,
    config=lambda catalog, source: catalog.decontamination(source).model_dump(mode="json"),
    code=(
        "assets.decontamination.words",
        "assets.decontamination.index",
        "assets.decontamination.cut",
        "assets.decontamination.stage",
        "assets.lake.documents",
    ),
    make=make,
    gate=gate.GATE,
    show=show,
)
