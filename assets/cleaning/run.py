"""Running a profile over one part of a corpus."""

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.cleaning.languages import DECLARED_SHARE
from assets.cleaning.personal import mask_emails, mask_identity_codes
from assets.cleaning.profiles import Profile
from assets.cleaning.steps import Languages
from assets.lake.documents import document_schema

if TYPE_CHECKING:
    import pyarrow as pa

EXCERPT = 500
COUNTS = ("masked_emails", "masked_identity_codes", "lines_removed")


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
    """Run a profile over a table of documents (``document_schema``)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    counts.update({f"removed_{test.name}": 0 for test in profile.tests})
    counts.update(documents=0, characters=0)
    counts["documents_in"] = part.num_rows
    counts["characters_in"] = _characters(part, languages)
    if not part.num_rows:
        return Cleaned(part, removed_schema().empty_table(), counts)
    edited = _edit(part, profile, languages)
    for name in COUNTS:
        counts[name] = pc.sum(edited[name]).as_py()
    changed = part
    for column in languages.columns:
        place = changed.schema.get_field_index(column)
        changed = changed.set_column(place, changed.schema.field(column), edited[column])
    reasons = _reasons(edited, profile, languages)
    counts.update(f"removed_{reason}" for reason in reasons if reason)
    reason = pa.array(reasons, pa.large_string())
    kept = changed.filter(pc.is_null(reason)).cast(document_schema()).combine_chunks()
    gone = part.filter(pc.is_valid(reason))
    removed = pa.Table.from_arrays(
        [gone["id"], pc.drop_null(reason), _excerpts(gone, languages)], schema=removed_schema()
    )
    counts["documents"] = kept.num_rows
    counts["characters"] = _characters(kept, languages)
    return Cleaned(kept, removed.combine_chunks(), counts)


def _characters(table: "pa.Table", languages: Languages) -> int:
    import pyarrow.compute as pc

    return sum(pc.sum(pc.utf8_length(table[column])).as_py() or 0 for column in languages.columns)


def _edit(part: "pa.Table", profile: Profile, languages: Languages) -> "pa.Table":
    """The texts after all edits, in the order of the part, with what the edits counted by document."""
    import daft
    import pyarrow as pa
    from daft import lit

    columns = languages.columns
    table = part.select([*columns, "license"]).append_column("_row", pa.array(range(part.num_rows), pa.int64()))
    frame = daft.from_arrow(table)
    frame = frame.with_columns({name: lit(0).cast("int64") for name in COUNTS} | {DECLARED_SHARE: lit(1.0)})
    for edit in profile.edits:
        for column, language in columns.items():
            frame = edit.apply(frame, column, language)
    return frame.to_arrow().sort_by("_row").combine_chunks()


def _reasons(edited: "pa.Table", profile: Profile, languages: Languages) -> list[str | None]:
    """The first test that each document fails, None where it passes all."""
    import daft
    import pyarrow.compute as pc

    reasons: list[str | None] = [None] * edited.num_rows
    left = edited
    for _, group in itertools.groupby(profile.tests, key=lambda test: test.costly):
        tests = list(group)
        if not left.num_rows:
            break
        frame = daft.from_arrow(left)
        verdicts = frame.select("_row", *(test.fails(languages).alias(test.name) for test in tests)).to_arrow()
        failed = set()
        for test in tests:
            for row in verdicts.filter(verdicts[test.name])["_row"].to_pylist():
                reasons[row] = reasons[row] or test.name
                failed.add(row)
        if failed:
            left = left.filter(pc.invert(pc.is_in(left["_row"], pc.cast(sorted(failed), "int64"))))
    return reasons


def _excerpts(gone: "pa.Table", languages: Languages) -> "pa.Array":
    """The first characters of removed documents, both sides of a pair, personal data masked whatever the profile."""
    import daft
    import pyarrow as pa
    import pyarrow.compute as pc
    from daft import col

    if not gone.num_rows:
        return pa.array([], pa.large_string())
    # Cut after masking, so that no address stands half in the excerpt.
    sides = [pc.utf8_slice_codeunits(gone[column], 0, 2 * EXCERPT) for column in languages.columns]
    text = pc.binary_join_element_wise(*sides, pa.scalar("\n", pa.large_string()))
    table = pa.table({"row": pa.array(range(gone.num_rows), pa.int64()), "text": text})
    masked = daft.from_arrow(table).with_column("text", mask_emails(col("text"))).to_arrow().sort_by("row")
    return pa.array([mask_identity_codes(t)[0][:EXCERPT] for t in masked["text"].to_pylist()], pa.large_string())
