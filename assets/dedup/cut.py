"""Cutting duplicate lines out of documents, with a record of what goes."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from assets import engine
from assets.dedup.lines import judged, judged_schema
from assets.dedup.repeated import count_repeated
from assets.dedup.text import replaced
from assets.recipe.data import Lines

if TYPE_CHECKING:
    import pyarrow as pa

COUNTS = ("removed_lines", "trimmed_documents", "trimmed_lines")
"""Documents that go for their lines, documents that are trimmed, and lines that these lose."""


@dataclass(frozen=True)
class Cut:
    """``kept`` documents, some of them trimmed; ``removed`` ones (id, survivor: null, kind: "lines", similarity: the share of
    the words that stand in duplicate lines); ``trimmed``: of ``lines`` the ones from ``first`` to ``last`` (not with it)
    stay; ``counts`` by ``COUNTS``.
    """

    kept: "pa.Table"
    removed: "pa.Table"
    trimmed: "pa.Table"
    counts: dict[str, int]


def cut_table(documents: "pa.Table", config: Lines) -> Cut:
    """Trim and drop the documents (``id`` and ``text`` among their columns) of a whole source that fits into one table."""
    with TemporaryDirectory(prefix="tokka-lines-") as folder:
        repeated = count_repeated([documents], config, Path(folder) / "ngrams")
    return cut_lines(documents, repeated.of(0, documents.num_rows), config)


def cut_lines(documents: "pa.Table", seen: "pa.Array", config: Lines) -> Cut:
    """Trim documents and drop them, given for each of their lines the n-grams that were seen before (uint32 lists)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = documents.select(["text"]).append_column("seen", seen)
    found = engine.map_rows(rows, partial(judged, config=config), judged_schema(), threads=True)
    stays = pc.invert(found["removed"])
    kept, found_kept = documents.filter(stays), found.filter(stays)
    lost = pc.subtract(found_kept["lines"], pc.subtract(found_kept["last"], found_kept["first"]))
    places = np.flatnonzero(lost.to_numpy())
    shorter = found_kept.take(places).append_column("id", kept["id"].take(places))
    texts = [
        text.encode()[begin:end].decode()
        for text, begin, end in zip(
            kept["text"].take(places).to_pylist(),
            shorter["begin"].to_pylist(),
            shorter["end"].to_pylist(),
            strict=True,
        )
    ]
    column = kept.schema.get_field_index("text")
    text = replaced(kept["text"], places, texts)
    gone = documents.filter(found["removed"])["id"]
    removed = pa.table(
        {
            "id": gone,
            "survivor": pa.nulls(len(gone), pa.large_string()),
            "kind": pa.array(["lines"] * len(gone), pa.large_string()),
            "similarity": found.filter(found["removed"])["share"],
        }
    )
    counts = dict(zip(COUNTS, (len(gone), len(places), pc.sum(lost).as_py() or 0), strict=True))
    return Cut(
        kept.set_column(column, kept.schema.field("text"), text),
        removed,
        shorter.select(["id", "lines", "first", "last"]),
        counts,
    )
