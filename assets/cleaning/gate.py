"""The gate of clean_corpus: every document is kept or removed for a reason, and nothing personal is left."""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.lake.documents import document_schema, read_parts
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

DEFAULT_BY_REASON = 0.5
# The gate's own idea of personal data, written without the masks' patterns. What the masks put in is known.
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_MASK = "email@example.com"
_CODE = re.compile(r"(?<![^\W_])(\d\d)(\d\d)(\d\d)[-+A-FU-Y](\d{3})([0-9A-Y])(?![^\W_])", re.ASCII)


def _reason_column(reason: str) -> str:
    return f"removed_share_{reason}"


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    from assets.cleaning.profiles import profile_of

    declared = catalog.sources[source]
    allowed = declared.bounds.removed_by_reason
    reasons = [test.name for test in profile_of(declared).tests]
    for reason in allowed:
        if reason not in reasons:
            raise ValueError(
                f"sources.{source}.bounds.removed_by_reason names {reason!r}; the reasons are {', '.join(reasons)}"
            )
    return {
        "removed": declared.bounds.removed,
        "removed_by_reason": {reason: allowed.get(reason, DEFAULT_BY_REASON) for reason in reasons},
        "removed_change": declared.bounds.removed_change,
    }


def addresses(text: str) -> int:
    """E-mail addresses in a text, masks not counted."""
    return sum(found != _MASK for found in _ADDRESS.findall(text)) if "@" in text else 0


def identity_codes(text: str) -> int:
    """Finnish personal identity codes in a text: a day that can be, and the right check character."""
    found = 0
    for day, month, year, individual, check in _CODE.findall(text):
        remainder = int(day + month + year + individual) % 31
        right = str(remainder) if remainder < 10 else "ABCDEFHJKLMNPRSTUVWXY"[remainder - 10]
        found += 1 <= int(day) <= 31 and 1 <= int(month) <= 12 and check == right
    return found


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files part by part."""
    import pyarrow.compute as pc

    manifest, lake, counts = version.manifest, version.lake, version.manifest.counts
    raw = version.input("raw_corpus")
    sides = ["text"] + (["translation"] if version.catalog.sources[manifest.partition].is_pairs else [])
    row: Row = dict.fromkeys(
        (
            "documents",
            "lost",
            "schema_differs",
            "empty_texts",
            "addresses_left",
            "identity_codes_left",
            "masks_uncounted",
        ),
        0,
    )
    by_reason: Counter[str] = Counter()
    ids: set[str] = set()
    masks = 0
    parts = zip(
        read_parts(lake, raw), read_parts(lake, manifest), read_parts(lake, manifest, folder="removed"), strict=True
    )
    for before, kept, removed in parts:
        row["documents"] += kept.num_rows
        row["schema_differs"] += int(not kept.schema.equals(document_schema()))
        here = kept["id"].to_pylist() + removed["id"].to_pylist()
        row["lost"] += len(set(before["id"].to_pylist()) ^ set(here)) + len(here) - len(set(here))
        ids.update(here)
        by_reason.update(removed["reason"].to_pylist())
        masks -= _masks(before, sides)
        masks += _masks(kept, sides)
        for side in sides:
            row["empty_texts"] += pc.sum(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(kept[side])), 0)).as_py() or 0
            row["addresses_left"] += sum(map(addresses, _matching(kept[side], "@")))
            row["identity_codes_left"] += sum(map(identity_codes, _matching(kept[side], r"\d{6}\D\d{3}")))
    removed_documents = sum(by_reason.values())
    row["duplicate_ids"] = row["documents"] + removed_documents - len(ids)
    counted = {name.removeprefix("removed_"): n for name, n in counts.items() if name.startswith("removed_")}
    row["unaccounted"] = abs(counts["documents_in"] - counts["documents"] - sum(counted.values()))
    row["miscounted"] = (
        abs(counts["documents"] - row["documents"])
        + sum(abs(counted.get(reason, 0) - by_reason[reason]) for reason in {*counted, *by_reason})
        + abs(counts["documents_in"] - row["documents"] - removed_documents)
    )
    row["not_all_read"] = abs(raw.counts["documents"] - counts["documents_in"])
    row["masks_uncounted"] = max(0, masks - counts.get("masked_emails", 0))
    documents_in = max(counts["documents_in"], 1)
    row["removed_share"] = removed_documents / documents_in
    row |= {_reason_column(reason): by_reason[reason] / documents_in for reason in {*counted, *by_reason}}
    row["lines_removed"] = counts.get("lines_removed", 0)
    row["masked"] = sum(n for name, n in counts.items() if name.startswith("masked_"))
    row["characters_left"] = counts["characters"] / max(counts["characters_in"], 1)
    row["removed_change"] = _change(version, row["removed_share"])
    return [row]


def _masks(table: "pa.Table", sides: list[str]) -> int:
    import pyarrow.compute as pc

    return sum(pc.sum(pc.count_substring(table[side], _MASK)).as_py() or 0 for side in sides)


def _matching(texts: "pa.ChunkedArray", pattern: str) -> list[str]:
    import pyarrow.compute as pc

    found: list[str] = texts.filter(pc.match_substring_regex(texts, pattern)).to_pylist()
    return found


def _change(version: Profiled, share: float) -> float:
    """How far the removed share is from that of the version before this one; 0 where this is the first."""
    manifest = version.manifest
    before = [m for m in version.lake.manifests(manifest.asset, manifest.partition) if m.started < manifest.started]
    if not before:
        return 0.0
    last = max(before, key=lambda m: (m.started, m.version)).counts
    return abs(share - (last["documents_in"] - last["documents"]) / max(last["documents_in"], 1))


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("unaccounted", "documents read = kept + removed by reason"),
        none("not_all_read", "the documents read are as many as the raw corpus has"),
        none("miscounted", "kept and removed documents are as many as the manifest counts, by reason"),
        none("lost", "the ids of each part are those of the raw corpus, each kept or removed"),
        none("duplicate_ids", "no two documents have the same id"),
        none("schema_differs", "the columns are those of a document"),
        none("empty_texts", "no kept document is empty"),
        none("addresses_left", "no e-mail address is left in a kept document"),
        none("identity_codes_left", "no personal identity code is left in a kept document"),
        none("masks_uncounted", "every mask in the kept documents was counted"),
        at_least("documents", 1, "something is left"),
        at_most("removed_share", bounds["removed"], "documents removed in all"),
        *(
            at_most(_reason_column(reason), bound, f"documents removed because of {reason}")
            for reason, bound in bounds["removed_by_reason"].items()
        ),
        at_most(
            "removed_change", bounds["removed_change"], "change of the removed share since the last version", "warning"
        ),
    ]


GATE = Gate(
    code=("assets.cleaning.gate",),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("documents", "removed_share", "characters_left", "lines_removed", "masked"),
)
