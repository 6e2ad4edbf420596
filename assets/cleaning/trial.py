"""Trying a profile on documents outside the graph, to tune it: every reason, not only the first, and the edited text."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from assets.cleaning.profiles import Profile
from assets.cleaning.run import edit, judge
from assets.cleaning.texts import Documents, Languages
from assets.engine import map_rows

if TYPE_CHECKING:
    import pyarrow as pa


def trial_schema() -> "pa.Schema":
    """``text`` and ``translation`` (null where there is none) after the edits, and the names of all tests that fail."""
    import pyarrow as pa

    strings = pa.large_string()
    return pa.schema([("text", strings), ("translation", strings), ("reasons", pa.list_(strings))])


def try_profile(documents: "pa.Table", languages: Sequence[Languages], profile: Profile) -> "pa.Table":
    """Run a profile over documents (``document_schema``), each in its declared languages; a row (``trial_schema``) for each,
    in order. Raises RecipeError where a model of the profile cannot be used.
    """
    import numpy as np
    import pyarrow as pa

    done: list[pa.Table] = []
    order: list[int] = []
    for group in dict.fromkeys(languages):
        rows = [place for place, found in enumerate(languages) if found == group]
        part = documents.take(pa.array(rows, pa.int64())).select(["text", "translation", "license"])
        # Without a document it loads the models, and says here what is wrong with one: a worker would say it at length.
        _try_slice(part.slice(0, 0), profile, group)
        done.append(map_rows(part, partial(_try_slice, profile=profile, languages=group), trial_schema()))
        order += rows
    if not done:
        return trial_schema().empty_table()
    return pa.concat_tables(done).take(pa.array(np.argsort(order), pa.int64()))


def _try_slice(rows: "pa.Table", profile: Profile, languages: Languages) -> "pa.Table":
    import pyarrow as pa

    documents, _ = edit(Documents.of(rows, languages), profile)
    sides = [
        documents.sides[name].column if name in documents.sides else pa.nulls(len(documents), pa.large_string())
        for name in ("text", "translation")
    ]
    reasons = pa.array(judge(documents, profile, every=True), pa.list_(pa.large_string()))
    return pa.Table.from_arrays([*sides, reasons], schema=trial_schema())
