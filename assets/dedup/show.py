"""What people see of duplicates: counts, and pairs with the beginnings of both texts."""

from typing import TYPE_CHECKING

from assets.dedup.cut import COUNTS
from assets.lake import Lake, Manifest
from assets.lake.documents import evenly, read_parquet, read_parts
from assets.stage import Plot, Shown, Table

if TYPE_CHECKING:
    import pyarrow as pa

EXCERPT = 160
PAIRS = 8


def show_duplicates(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Removed documents by source, and some near-duplicates beside their survivors."""
    from assets.plots import bars

    counts = manifest.counts
    removed = {name.removeprefix("removed_"): n for name, n in counts.items() if name.startswith("removed_")}
    table = read_parquet(lake, manifest, "duplicates.parquet")
    title = "Documents removed as duplicates"
    return {
        "documents_in": counts["documents_in"],
        "exact": counts["exact"],
        "near": counts["near"],
        "edited": counts["edited"],
        "clusters": counts["clusters"],
        "largest_cluster": counts["largest_cluster"],
        "removed": Plot(bars(removed, "documents", title), title),
        **_pairs(lake, manifest, table),
    }


def show_corpus(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Counts, some removed documents beside their survivors, and the lines that some documents lost."""
    names = ("documents_in", "documents", "removed_exact", "removed_near", "removed_edited", *COUNTS, "characters")
    shown: dict[str, Shown] = {name: manifest.counts[name] for name in names if name in manifest.counts}
    removed = _first_rows(lake, manifest, "removed")
    if removed.num_rows:
        shown["removed"] = Table([{name: value or "" for name, value in row.items()} for row in removed.to_pylist()])
    if manifest.under("trimmed"):
        trimmed = _trimmed(lake, manifest)
        if trimmed:
            shown["trimmed"] = Table(trimmed)
    return shown


def _first_rows(lake: Lake, manifest: Manifest, folder: str) -> "pa.Table":
    """The first rows of a folder that has some, ``PAIRS`` at most."""
    found = next(read_parts(lake, manifest, folder=folder))
    for part in read_parts(lake, manifest, folder=folder):
        if part.num_rows:
            return part.slice(0, PAIRS)
    return found


def _trimmed(lake: Lake, manifest: Manifest) -> list[dict[str, str | int]]:
    """Some trimmed documents with the first of the lines that they lost at their start, and at their end."""
    import pyarrow.compute as pc

    rows = _first_rows(lake, manifest, "trimmed")
    (clean,) = (ref for ref in manifest.inputs if ref.asset == "clean_corpus")
    texts: dict[str, str] = {}
    for part in read_parts(lake, lake.manifest(clean), ["id", "text"]):
        texts |= {d["id"]: d["text"] for d in part.filter(pc.is_in(part["id"], rows["id"])).to_pylist()}
        if len(texts) == rows.num_rows:
            break
    found: list[dict[str, str | int]] = []
    for row in rows.to_pylist():
        lines = texts[row["id"]].split("\n")
        at_start, at_end = lines[: row["first"]], lines[row["last"] :]
        found.append(
            {
                "id": row["id"],
                "lines": row["lines"],
                "trimmed at the start": len(at_start),
                "first line": "".join(at_start[:1])[:EXCERPT],
                "trimmed at the end": len(at_end),
                "last line": "".join(at_end[-1:])[:EXCERPT],
            }
        )
    return found


def _pairs(lake: Lake, manifest: Manifest, table: "pa.Table") -> dict[str, Shown]:
    """Some duplicates, near ones before exact ones, with the beginnings of both texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ordered = table.sort_by([("kind", "descending"), ("similarity", "ascending")])
    rows = evenly(ordered, PAIRS).slice(0, PAIRS).to_pylist()
    if not rows:
        return {}
    wanted = pa.array(sorted({row[end] for row in rows for end in ("id", "survivor")}), pa.large_string())
    texts: dict[str, str] = {}
    for ref in manifest.inputs:
        for part in read_parts(lake, lake.manifest(ref), ["id", "text"]):
            texts |= {d["id"]: d["text"][:EXCERPT] for d in part.filter(pc.is_in(part["id"], wanted)).to_pylist()}
    return {
        "sample": Table(
            [
                {
                    "removed": row["id"],
                    "survivor": row["survivor"],
                    "kind": row["kind"],
                    "similarity": round(row["similarity"], 3),
                    "removed text": texts.get(row["id"], ""),
                    "survivor text": texts.get(row["survivor"], ""),
                }
                for row in rows
            ]
        )
    }
