"""The gate of a mixture: shares sum to 1, epochs within the caps, samples as planned and as weighted."""

from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

SHARE_TOLERANCE = 0.005


def bounds(catalog: Catalog, name: str) -> dict[str, Any]:
    mixture = catalog.recipe(name).mixture
    return {"max_epochs": mixture.max_epochs, "warn_epochs": mixture.warn_epochs}


def profile(version: Profiled) -> list[Row]:
    """One row: sums over the sources, and the built index against the weights."""
    manifest = version.manifest
    described = version.lake.read_json(manifest, "mixture.json")
    index = version.lake.read_json(manifest, "index/index.json")
    sources = described["sources"]
    files = [[f for f in s["files"] if f["weight"]] for s in sources]
    built = [sum(index["samples_per_file"][f["prefix"]] for f in of_source) for of_source in files]
    # A file gets whole samples, so a share may be off by one of each.
    samples = described["samples"]
    off = [
        max(abs(n - s["weight"] * samples) - len(of_source), 0) / samples
        for n, s, of_source in zip(built, sources, files, strict=True)
    ]
    small = [s["source"] for s in sources if s["tokens"] <= described["sequence_length"]]
    shards = {i.partition.split("--")[0]: i for i in manifest.inputs if i.asset == "tokenized_shards"}
    tokens = {source: version.lake.manifest(ref).counts["tokens"] for source, ref in shards.items()}
    all_tokens = {s["source"]: s["tokens"] + s["validation_tokens"] for s in sources}
    held = described["validation_samples"]
    return [
        {
            "share_error": abs(sum(s["weight"] for s in sources) - 1),
            "file_share_error": max(abs(sum(f["weight"] for f in s["files"]) - s["weight"]) for s in sources),
            "epochs": max(s["epochs"] for s in sources),
            "repeats": max(max(s["epochs"], s["wanted_epochs"] or 0) for s in sources),
            "sources_too_small": len(small),
            "tokens_differ": sum(tokens[source] != count for source, count in all_tokens.items()),
            "samples_missing": abs(sum(built) - samples),
            "share_deviation": max(off),
            "not_validated": sum(s["source"] not in index["validation"] for s in sources) if held else 0,
            "sources": len(sources),
        }
    ]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        at_most("share_error", 1e-6, "the shares of the sources sum to 1"),
        at_most("file_share_error", 1e-6, "the shares of a source's files sum to the source's"),
        at_most("epochs", bounds["max_epochs"], "passes over the most repeated source"),
        at_most("repeats", bounds["warn_epochs"], "trained or asked for; more often stops paying", "warning"),
        none("sources_too_small", "every source holds more tokens than one sample"),
        none("tokens_differ", "the tokens of every source are those of its shards, less those kept for validation"),
        none("samples_missing", "the index holds exactly the planned samples"),
        at_most("share_deviation", SHARE_TOLERANCE, "the index draws every source as often as its weight says"),
        none("not_validated", "every source keeps enough documents for a validation sample", "warning"),
    ]


GATE = Gate(
    code=("assets.mixture.gate",),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("epochs", "share_deviation", "sources"),
)
