"""What people see of a clean corpus: why documents went, and some of each."""

from typing import Any

from assets.lake import Lake, Manifest
from assets.lake.documents import evenly, read_parts
from assets.stage import Plot, Shown, Table

SAMPLE = 3
CHARACTERS = 300
EDITED = ("masked_", "lines_", "repaired_", "stripped_")
"""How the names begin of what edits count."""


def reasons(manifest: Manifest) -> dict[str, int]:
    """Removed documents by reason, the most frequent first; reasons that did not occur are there too."""
    found = {
        name.removeprefix("removed_"): int(n) for name, n in manifest.counts.items() if name.startswith("removed_")
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Removal by reason as table and plot, what the edits did, removed documents of every reason, some kept ones."""
    from assets.plots import bars

    found = reasons(manifest)
    documents = max(int(manifest.counts["documents_in"]), 1)
    rows: list[dict[str, Any]] = [
        {"reason": reason, "documents": n, "share": round(n / documents, 4)} for reason, n in found.items()
    ]
    shown: dict[str, Shown] = {
        "documents": manifest.counts["documents"],
        "removed_share": round(sum(found.values()) / documents, 4),
        **{name: n for name, n in sorted(manifest.counts.items()) if name.startswith(EDITED)},
        "reasons": Table(rows),
    }
    occurred = {reason: float(n) for reason, n in found.items() if n}
    if occurred:
        title = "Documents removed by cleaning"
        shown["plot"] = Plot(bars(occurred, "documents", title), title)
        shown["removed"] = Table(_removed(lake, manifest, list(occurred)))
    first = next(read_parts(lake, manifest, ["id", "text"]))
    kept = evenly(first, 5).slice(0, 5).to_pylist()
    if kept:
        shown["kept"] = Table([{"id": row["id"], "text": row["text"][:CHARACTERS]} for row in kept])
    return shown


def _removed(lake: Lake, manifest: Manifest, occurred: list[str]) -> list[dict[str, Any]]:
    """The first few removed documents of every reason."""
    import pyarrow.compute as pc

    wanted = dict.fromkeys(occurred, SAMPLE)
    rows: dict[str, list[dict[str, Any]]] = {reason: [] for reason in occurred}
    for part in read_parts(lake, manifest, folder="removed"):
        for reason, missing in wanted.items():
            found = part.filter(pc.equal(part["reason"], reason)).slice(0, missing).to_pylist() if missing else []
            rows[reason] += [
                {"reason": reason, "id": row["id"], "excerpt": row["excerpt"][:CHARACTERS]} for row in found
            ]
            wanted[reason] -= len(found)
    return [row for of_reason in rows.values() for row in of_reason]
