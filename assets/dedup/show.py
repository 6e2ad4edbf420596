"""What people see of duplicates: counts, and pairs with the beginnings of both texts."""

from typing import TYPE_CHECKING

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parquet, read_parts
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
        "clusters": counts["clusters"],
        "largest_cluster": counts["largest_cluster"],
        "removed": Plot(bars(removed, "documents", title), title),
        **_pairs(lake, manifest, table),
    }


def show_corpus(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Counts, and some removed documents beside their survivors."""
    names = ("documents_in", "documents", "removed_exact", "removed_near", "characters")
    first = next(read_parts(lake, manifest, folder="removed"))
    return {**{name: manifest.counts[name] for name in names}, **_removed(first)}


def _removed(removed: "pa.Table") -> dict[str, Shown]:
    rows = removed.slice(0, PAIRS).to_pylist()
    return {"removed": Table(rows)} if rows else {}


def _pairs(lake: Lake, manifest: Manifest, table: "pa.Table") -> dict[str, Shown]:
    """Some duplicates, near ones before exact ones, with the beginnings of both texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ordered = table.sort_by([("kind", "descending"), ("similarity", "ascending")])
    spread = range(0, table.num_rows, max(1, table.num_rows // PAIRS))[:PAIRS]
    rows = ordered.take(pa.array(spread, pa.int64())).to_pylist()
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
