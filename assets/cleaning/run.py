"""Running a profile over one part of a corpus."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from assets.cleaning.profiles import EXCERPT_MASKS, Profile
from assets.cleaning.texts import Documents, Languages, Texts
from assets.engine import map_rows
from assets.lake.documents import characters, document_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

EXCERPT = 500


@dataclass(frozen=True)
class Cleaned:
    """What became of a part: the kept documents, the removed ones, and counts; both in the order of the part."""

    kept: "pa.Table"
    removed: "pa.Table"
    counts: Counter[str]


def removed_schema() -> "pa.Schema":
    """The columns of removed documents: why they went, and how they began, personal data masked."""
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.large_string(), nullable=False) for name in ("id", "reason", "excerpt")])


def clean(part: "pa.Table", profile: Profile, languages: Languages) -> Cleaned:
    """Run a profile over a table of documents (``document_schema``), on the data engine's workers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    function = partial(clean_slice, profile=profile, languages=languages)
    done = map_rows(part.select([*languages.columns, "license"]), function, _slice_schema(profile, languages))
    changed = part
    for column in languages.columns:
        place = changed.schema.get_field_index(column)
        changed = changed.set_column(place, changed.schema.field(column), done[column])
    stays = pc.is_null(done["reason"])
    kept = changed.filter(stays).cast(document_schema()).combine_chunks()
    gone = done.filter(pc.invert(stays))
    ids = part.filter(pc.invert(stays))["id"]
    removed = pa.Table.from_arrays([ids, gone["reason"], gone["excerpt"]], schema=removed_schema()).combine_chunks()
    counts: Counter[str] = Counter({name: pc.sum(done[name]).as_py() or 0 for name in count_names(profile)})
    counts.update({f"removed_{test.name}": 0 for test in profile.tests})
    counts.update(f"removed_{reason}" for reason in gone["reason"].to_pylist())
    counts.update(
        documents_in=part.num_rows,
        characters_in=characters(part),
        documents=kept.num_rows,
        characters=characters(kept),
    )
    return Cleaned(kept, removed, counts)


def count_names(profile: Profile) -> list[str]:
    """What the edits of a profile count."""
    return list(dict.fromkeys(name for edit in profile.edits for name in edit.counts))


def _slice_schema(profile: Profile, languages: Languages) -> "pa.Schema":
    import pyarrow as pa

    strings = [*languages.columns, "reason", "excerpt"]
    return pa.schema([(n, pa.large_string()) for n in strings] + [(n, pa.int64()) for n in count_names(profile)])


def clean_slice(rows: "pa.Table", profile: Profile, languages: Languages) -> "pa.Table":
    """One row for each document: its columns of text after the edits, its reason and excerpt where it goes (else null),
    and what the edits counted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    before = Documents.of(rows, languages)
    documents, counts = edit(Documents.of(rows, languages), profile)
    reasons = pa.array([found[0] if found else None for found in judge(documents, profile)], pa.large_string())
    gone = pc.is_valid(reasons)
    excerpts = pa.nulls(len(documents), pa.large_string())
    if pc.any(gone).as_py():
        excerpts = pc.replace_with_mask(excerpts, gone, _excerpts(before.take(pc.indices_nonzero(gone).to_numpy())))
    columns = [side.column for side in documents.sides.values()]
    arrays = [*columns, reasons, excerpts]
    arrays += [pa.array(counts[name], pa.int64()) for name in count_names(profile)]
    return pa.Table.from_arrays(arrays, schema=_slice_schema(profile, languages))


def edit(documents: Documents, profile: Profile) -> "tuple[Documents, dict[str, np.ndarray]]":
    """The documents after the edits of a profile, and what these counted: int64 [documents] by name."""
    import numpy as np

    counts = {name: np.zeros(len(documents), np.int64) for name in count_names(profile)}
    for step in profile.edits:
        for name, side in documents.sides.items():
            edited = step.apply(side)
            if edited.column is not side.column:
                documents.sides[name] = Texts(edited.column, side.language)
            documents.facts.update(edited.facts)
            for counted, values in edited.counts.items():
                counts[counted] += values
    return documents, counts


def judge(documents: Documents, profile: Profile, every: bool = False) -> list[list[str]]:
    """The names of the tests that each document fails: the first one, or with ``every`` all of them, in their order."""
    import numpy as np

    failed: list[list[str]] = [[] for _ in range(len(documents))]
    places = np.arange(len(documents))
    left = documents
    for _, tests in groupby(profile.tests, key=lambda test: test.costly):
        for test in tests:
            for place in places[test.fails(left)].tolist():
                if every or not failed[place]:
                    failed[place].append(test.name)
        if not every:
            stays = np.array([not failed[place] for place in places.tolist()], bool)
            if not stays.all():
                rows = np.flatnonzero(stays)
                left, places = left.take(rows), places[rows]
    return failed


def _excerpts(gone: Documents) -> "pa.Array":
    """How removed documents began, both sides of a pair, personal data masked whatever the profile."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sides = [pc.utf8_slice_codeunits(side.column, 0, 2 * EXCERPT) for side in gone.sides.values()]
    texts = pc.binary_join_element_wise(*sides, pa.scalar("\n", pa.large_string()))
    # Masked before the cut, so that no address stands half in it, and after it, since half a number can be another one.
    return _masked(pc.utf8_slice_codeunits(_masked(texts), 0, EXCERPT))


def _masked(column: "pa.Array") -> "pa.Array":
    for mask in EXCERPT_MASKS:
        column = mask.apply(Texts(column, "")).column
    return column
