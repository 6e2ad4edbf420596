"""The gate of clean_corpus: every document is kept or removed for a reason, and nothing personal is left."""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from assets.ahead import ahead
from assets.cleaning.encoding import unescaped
from assets.cleaning.left import KINDS
from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import parts_of, read_table, read_whole, share_read, slices
from assets.lake.documents import count_distinct, document_schema
from assets.recipe.catalog import Catalog
from assets.recipe.load import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa
    from great_expectations.expectations import Expectation

DEFAULT_BY_REASON = 0.5
_VISIBLE = r"[^\pZ\s\x{85}]"


def _reason_column(reason: str) -> str:
    return f"removed_share_{reason}"


def bounds(catalog: Catalog, source: str) -> dict[str, Any]:
    from assets.cleaning.profiles import profile_of

    declared = catalog.sources[source]
    allowed = declared.bounds.removed_by_reason
    profile = profile_of(declared, f"sources.{source}")
    reasons = [test.name for test in profile.tests]
    for reason in allowed:
        if reason not in reasons:
            raise RecipeError(
                f"sources.{source}.bounds.removed_by_reason names {reason!r}; the reasons are {', '.join(reasons)}."
            )
    return {
        "removed": declared.bounds.removed,
        "removed_by_reason": {reason: allowed.get(reason, DEFAULT_BY_REASON) for reason in reasons},
        "removed_change": declared.bounds.removed_change,
        "masks": [step.name for step in profile.steps if step.name in KINDS],
    }


class _Personal:
    """What is left of personal data in the kept documents, and the masks in them, by kind."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.left: Counter[str] = Counter()
        self.masks: Counter[str] = Counter()
        self.with_masks: list[pa.Array] = []
        patterns = [KINDS[kind].candidates for kind in kinds]
        self._worth_a_look = "|".join([*patterns, *(re.escape(mask) for kind in kinds for mask in KINDS[kind].masks)])

    def add(self, ids: "pa.ChunkedArray", texts: "pa.ChunkedArray") -> None:
        """Look at the texts of some kept documents, given with their ids."""
        import pyarrow.compute as pc

        # One pass over all texts; hardly any is left for the others.
        few = pc.match_substring_regex(texts, self._worth_a_look)
        texts, ids = texts.filter(few), ids.filter(few)
        for kind in self.kinds:
            looked = KINDS[kind]
            candidates = texts.filter(pc.match_substring_regex(texts, looked.candidates))
            self.left[kind] += sum(map(looked.count, candidates.to_pylist()))
            for mask in looked.masks:
                counts = pc.count_substring(texts, mask)
                self.masks[kind] += pc.sum(counts).as_py() or 0
                self.with_masks += ids.filter(pc.greater(counts, 0)).chunks


def profile(version: Profiled) -> list[Row]:
    """One row, recounted from the files slice by slice; texts in the parts that are read whole (``assets.gates.parts``)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    manifest, lake, counts = version.manifest, version.lake, version.manifest.counts
    raw = version.input("raw_corpus")
    sides = ["text"] + (["translation"] if version.catalog.sources[manifest.partition].is_pairs else [])
    personal = _Personal(bounds(version.catalog, manifest.partition)["masks"])
    row: Row = dict.fromkeys(("documents", "lost", "schema_differs", "empty_texts"), 0)
    by_reason: Counter[str] = Counter()
    ids: list[pa.ChunkedArray] = []
    parts = parts_of(lake, manifest)
    whole = read_whole(parts, manifest)
    files = zip(raw.under("documents"), manifest.under("documents"), manifest.under("removed"), strict=True)
    for number, (before, kept, removed) in enumerate(files):
        here: list[pa.Array] = []
        for slice_ in ahead(slices(lake, manifest, kept.path, ["id", *(sides if number in whole else ())])):
            here += slice_["id"].chunks
            row["documents"] += slice_.num_rows
            for side in sides if number in whole else ():
                visible = pc.sum(pc.match_substring_regex(slice_[side], _VISIBLE)).as_py() or 0
                row["empty_texts"] += slice_.num_rows - visible
                personal.add(slice_["id"], slice_[side])
        reasons = read_table(lake, manifest, removed.path, ["id", "reason"])
        here += reasons["id"].chunks
        by_reason.update(reasons["reason"].to_pylist())
        row["schema_differs"] += not parts[number].schema.equals(document_schema())
        found = pa.chunked_array(here, pa.large_string())
        given = read_table(lake, raw, before.path, ["id"])["id"]
        row["lost"] += _missing(given, found) + _missing(found, given) + len(found) - count_distinct([found])
        ids.append(found)
    removed_documents = sum(by_reason.values())
    row["duplicate_ids"] = row["documents"] + removed_documents - count_distinct(ids)
    counted = {name.removeprefix("removed_"): n for name, n in counts.items() if name.startswith("removed_")}
    row["unaccounted"] = abs(counts["documents_in"] - counts["documents"] - sum(counted.values()))
    row["miscounted"] = (
        abs(counts["documents"] - row["documents"])
        + sum(abs(counted.get(reason, 0) - by_reason[reason]) for reason in {*counted, *by_reason})
        + abs(counts["documents_in"] - row["documents"] - removed_documents)
    )
    row["not_all_read"] = abs(raw.counts["documents"] - counts["documents_in"])
    masked = {kind: counts.get(f"masked_{kind}", 0) for kind in personal.kinds}
    row |= {_left_column(kind): personal.left[kind] for kind in personal.kinds}
    row |= {f"masked_{kind}": n for kind, n in masked.items()}
    row["masked"] = sum(masked.values())
    row["masks_uncounted"] = _uncounted(version, personal, sides, masked, whole)
    documents_in = max(counts["documents_in"], 1)
    row["removed_share"] = removed_documents / documents_in
    row |= {_reason_column(reason): by_reason[reason] / documents_in for reason in {*counted, *by_reason}}
    row["lines_removed"] = counts.get("lines_removed", 0)
    row["characters_left"] = counts["characters"] / max(counts["characters_in"], 1)
    row["removed_change"] = _change(version, row["removed_share"])
    row["texts_read"] = share_read(parts, whole)
    return [row]


def _left_column(kind: str) -> str:
    return f"{kind}_left"


def _missing(ids: "pa.ChunkedArray", among: "pa.ChunkedArray") -> int:
    """How many of ``ids`` are not ``among`` some."""
    import pyarrow.compute as pc

    return len(ids) - (pc.sum(pc.is_in(ids, among)).as_py() or 0)


def _uncounted(
    version: Profiled, personal: _Personal, sides: list[str], counted: dict[str, float], whole: set[int]
) -> int:
    """Masks in the kept documents that were neither counted nor in the documents before they were cleaned."""
    import pyarrow as pa
    import pyarrow.compute as pc

    extra = Counter({kind: int(n - counted[kind]) for kind, n in personal.masks.items() if n > counted[kind]})
    if not extra:
        return 0
    raw = version.input("raw_corpus")
    documents = pa.chunked_array(personal.with_masks, pa.large_string())
    for entry in (entry for number, entry in enumerate(raw.under("documents")) if number in whole):
        for slice_ in slices(version.lake, raw, entry.path, ["id", *sides]):
            changed = pc.is_in(slice_["id"], documents)
            for side in sides:
                for text in slice_[side].filter(changed).to_pylist():
                    extra.subtract({kind: _masks(text, kind) for kind in extra})
    return sum((+extra).values())


def _masks(text: str, kind: str) -> int:
    """Masks of a kind in a text, also such as cleaning makes by taking out what is invisible."""
    squeezed = re.sub(r"[^!-~]+", "", unescaped(text))
    return sum(squeezed.count(mask.replace(" ", "")) for mask in KINDS[kind].masks)


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
        *(none(_left_column(kind), f"no {_MEANING[kind]} is left in a kept document") for kind in bounds["masks"]),
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


_MEANING = {
    "emails": "e-mail address",
    "identity_codes": "personal identity code",
    "ibans": "bank account number",
    "ip_addresses": "global IP address",
    "phones": "telephone number",
    "long_numbers": "long number",
    "secrets": "secret or key",
}

GATE = Gate(
    code=("assets.cleaning.gate", "assets.cleaning.left", "assets.cleaning.encoding", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=(
        "documents",
        "removed_share",
        "characters_left",
        "lines_removed",
        "masked",
        *(f"masked_{kind}" for kind in KINDS),
    ),
)
