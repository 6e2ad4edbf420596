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
    built = [index["samples_per_source"][s["prefix"]] for s in sources]
    # A source gets whole samples, so a share may be off by one of them.
    samples = described["samples"]
    off = [max(abs(n - s["weight"] * samples) - 1, 0) / samples for n, s in zip(built, sources, strict=True)]
    missing = [s["source"] for s in sources if s["tokens"] <= described["sequence_length"]]
    tokens = {i.partition.split("--")[0]: version.lake.manifest(i).counts["tokens"] for i in manifest.inputs}
    return [
        {
            "share_error": abs(sum(s["weight"] for s in sources) - 1),
            "epochs": max(s["epochs"] for s in sources),
            "wanted_epochs": max(s["wanted_epochs"] or s["epochs"] for s in sources),
            "sources_too_small": len(missing),
            "tokens_differ": sum(tokens[s["source"]] != s["tokens"] for s in sources),
            "samples_missing": abs(sum(built) - samples),
            "share_deviation": max(off),
            "sources": len(sources),
        }
    ]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        at_most("share_error", 1e-6, "the shares of the sources sum to 1"),
        at_most("epochs", bounds["max_epochs"], "passes over the most repeated source"),
        at_most("wanted_epochs", bounds["warn_epochs"], "repeating a source more often stops paying", "warning"),
        none("sources_too_small", "every source holds more tokens than one sample"),
        none("tokens_differ", "the tokens of every source are those of its shards"),
        none("samples_missing", "the index holds exactly the planned samples"),
        at_most("share_deviation", SHARE_TOLERANCE, "the index draws every source as often as its weight says"),
    ]


GATE = Gate(
    code=("assets.mixture.gate",),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("epochs", "share_deviation", "sources"),
)
