"""Searching and cutting tables of documents, on all cores, and what comes of each document."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from assets.decontamination.cut import Cut, both_orders, cut_document, match_pair
from assets.decontamination.index import COMMON, Index, build_index
from assets.decontamination.words import folded
from assets.engine import map_rows
from assets.recipe.data import Decontamination

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def decontaminate(
    documents: "pa.Table", benchmarks: Mapping[str, Sequence[tuple[str, str]]], config: Decontamination
) -> "pa.Table":
    """What becomes of each document (columns id, text, translation) of a source, given the (id, text) of benchmark items.

    One row per document, in order: ``id``; ``decision``, one of kept, cut, dropped; ``text``, null where it was dropped;
    ``translation``; ``matches``, a list of structs (see ``cuts_schema``).
    """
    import pyarrow as pa

    index = build_index(benchmarks, config)
    rows, frequency = search(documents, index)
    cuts = cut(documents.take(pa.array(rows)), index, common_grams(index, frequency), config)
    texts = documents["text"].to_pylist()
    decisions = ["kept"] * len(texts)
    matches: list[list[dict[str, object]]] = [[] for _ in texts]
    for row, made in zip(rows.tolist(), cuts.to_pylist(), strict=True):
        texts[row] = made["text"]
        decisions[row] = "dropped" if made["text"] is None else "cut"
        matches[row] = made["matches"]
    return pa.table(
        {
            "id": documents["id"],
            "decision": pa.array(decisions, pa.large_string()),
            "text": pa.array(texts, pa.large_string()),
            "translation": documents["translation"],
            "matches": pa.array(matches, cuts_schema().field("matches").type),
        }
    )


def found_schema() -> "pa.Schema":
    """``grams``: the numbers of the n-grams that stand in a document, each once, ascending."""
    import pyarrow as pa

    return pa.schema([("grams", pa.list_(pa.int64()))])


def cuts_schema() -> "pa.Schema":
    """``text``: the new text, null where the document goes; ``words_cut``; ``matches``, one for each item that stands in it.

    ``words`` of the document are covered by the item's n-grams, and ``excerpt`` is the beginning of them. Items share
    phrases, so ``words`` of several items can be the same ones. ``share`` is how much of one of the item's passages
    stands in the document, without the phrases that are common.
    """
    import pyarrow as pa

    match = pa.struct(
        [
            ("benchmark", pa.large_string()),
            ("item", pa.large_string()),
            ("words", pa.int64()),
            ("share", pa.float64()),
            ("excerpt", pa.large_string()),
        ]
    )
    return pa.schema([("text", pa.large_string()), ("words_cut", pa.int64()), ("matches", pa.list_(match))])


def search(documents: "pa.Table", index: Index) -> "tuple[np.ndarray, np.ndarray]":
    """The rows in which some n-gram stands, ascending, int64 [hits], and in how many rows each n-gram does, [n-grams]."""
    import numpy as np
    import pyarrow.compute as pc

    sides = documents.select(["text", "translation"])
    found = map_rows(sides, partial(find_rows, index=index), found_schema(), threads=True)["grams"].combine_chunks()
    rows: np.ndarray = np.flatnonzero(pc.list_value_length(found).to_numpy(zero_copy_only=False))
    return rows, np.bincount(pc.list_flatten(found).to_numpy(), minlength=index.ngrams)


def common_grams(index: Index, frequency: "np.ndarray") -> "np.ndarray":
    """Which n-grams say nothing about an item, given in how many documents of a source each stands: bool [n-grams]."""
    common: np.ndarray = index.template | (frequency > COMMON)
    return common


def cut(documents: "pa.Table", index: Index, common: "np.ndarray", config: Decontamination) -> "pa.Table":
    """What cutting makes of each document, as ``cuts_schema``."""
    sides = documents.select(["text", "translation"])
    return map_rows(sides, partial(cut_rows, index=index, common=common, config=config), cuts_schema())


def find_rows(rows: "pa.Table", index: Index) -> "pa.Table":
    """``found_schema`` of rows with text and translation."""
    import numpy as np
    import pyarrow as pa

    texts: list[str] = []
    of: list[int] = []
    for row, (text, translation) in enumerate(_sides(rows)):
        sides = (text,) if translation is None else both_orders(text, translation)
        texts += map(folded, sides)
        of += [row] * len(sides)
    found = index.find(texts)
    pairs = np.unique(np.array(of, dtype=np.int64)[found.texts] * max(index.ngrams, 1) + found.grams)
    row_of, grams = np.divmod(pairs, max(index.ngrams, 1))
    offsets = np.searchsorted(row_of, np.arange(rows.num_rows + 1))
    return pa.table([pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), grams)], schema=found_schema())


def cut_rows(rows: "pa.Table", index: Index, common: "np.ndarray", config: Decontamination) -> "pa.Table":
    """``cuts_schema`` of rows with text and translation."""
    import pyarrow as pa

    cuts = [
        cut_document(text, index, common, config)
        if translation is None
        else match_pair(text, translation, index, common)
        for text, translation in _sides(rows)
    ]
    made = [{"text": c.text, "words_cut": c.words_cut, "matches": _matches(c, index)} for c in cuts]
    return pa.Table.from_pylist(made, cuts_schema())


def _matches(cut: Cut, index: Index) -> list[dict[str, object]]:
    return [
        {
            "benchmark": index.items[place].benchmark,
            "item": index.items[place].item,
            "words": match.words,
            "share": match.share,
            "excerpt": match.excerpt,
        }
        for place, match in sorted(cut.matches.items())
    ]


def _sides(rows: "pa.Table") -> "Iterator[tuple[str, str | None]]":
    return zip(rows["text"].to_pylist(), rows["translation"].to_pylist(), strict=True)


def with_cuts(part: "pa.Table", rows: "np.ndarray", cuts: "pa.Table") -> "pa.Table":
    """The documents that stay, in their order; those at ``rows`` with the text that cutting made, all others as they were."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(rows):
        return part
    column = part.schema.get_field_index("text")
    texts = pa.chunked_array([*part["text"].chunks, *cuts["text"].chunks], pa.large_string())
    places = np.arange(part.num_rows)
    places[rows] = part.num_rows + np.arange(len(rows))
    changed = part.set_column(column, part.schema.field("text").with_nullable(True), texts.take(pa.array(places)))
    return changed.filter(pc.is_valid(changed["text"])).cast(part.schema)
