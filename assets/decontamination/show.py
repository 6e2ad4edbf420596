"""What people see of the decontamination: matches by benchmark, and some of them."""

from assets.lake import Lake, Manifest
from assets.lake.documents import evenly, read_parquet
from assets.stage import Shown, Table

SAMPLE = 12


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Counts, documents and items by benchmark, an evenly spaced sample of matches, benchmarks without data."""
    matches = read_parquet(lake, manifest, "matches.parquet")
    names = (
        "documents_in",
        "documents",
        "dropped",
        "cut",
        "words_cut",
        "common_ngrams",
        "template_ngrams",
        "unindexed_items",
    )
    shown: dict[str, Shown] = {name: manifest.counts[name] for name in names}
    if matches.num_rows:
        found = matches.group_by("benchmark").aggregate([("document", "count_distinct"), ("item", "count_distinct")])
        shown["benchmarks"] = Table(
            [
                {
                    "benchmark": r["benchmark"],
                    "documents": r["document_count_distinct"],
                    "items": r["item_count_distinct"],
                }
                for r in found.sort_by("benchmark").to_pylist()
            ]
        )
        shown["sample"] = Table(evenly(matches, SAMPLE).slice(0, SAMPLE).to_pylist())
    benchmarks = [ref for ref in manifest.inputs if ref.asset == "benchmark"]
    missing = [ref.partition for ref in benchmarks if lake.read_json(ref, "benchmark.json")["reason"]]
    if missing:
        shown["benchmarks_missing"] = ", ".join(missing)
    return shown
