"""What people see of a mixture: both columns of the blend, available and sampled."""

from collections.abc import Mapping, Sequence
from typing import Any

from assets.lake import Lake, Manifest
from assets.recipe.tokens import Mixture
from assets.stage import Plot, Shown, Table

WARN_EPOCHS = float(Mixture.model_fields["warn_epochs"].default)


def blend_rows(sources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The blend as Poro 34B's paper shows its own (figure 1), and the sums."""
    rows = [
        {
            "source": s["source"],
            "original tokens": s["tokens"],
            "original share": s["original_share"],
            "sampled tokens": round(s["sampled_tokens"]),
            "sampled share": s["weight"],
            "epochs": s["epochs"],
            "epochs asked for": "" if s["wanted_epochs"] is None else f"{s['wanted_epochs']:g}",
            "files": len(s["files"]),
        }
        for s in sources
    ]
    names = ("original tokens", "original share", "sampled tokens", "sampled share", "files")
    sums = {name: sum(row[name] for row in rows) for name in names}
    epochs = sums["sampled tokens"] / sums["original tokens"]
    return [*rows, {**rows[0], "source": "all sources", **sums, "epochs": epochs, "epochs asked for": ""}]


def repeated(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each source of which more than four epochs are trained on or asked for."""
    sentences = []
    for s in sources:
        epochs = max(s["epochs"], s["wanted_epochs"] or 0)
        if epochs > WARN_EPOCHS:
            sentences.append(
                f"{s['source']} is passed over {epochs:.3g} times; above {WARN_EPOCHS:g} a repeated token is worth less "
                "and less (Muennighoff et al. 2023, section 5)."
            )
    return sentences


def validation_rows(described: Mapping[str, Any], index: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is kept of each source for validation; empty where nothing is."""
    if not described["validation_samples"]:
        return []
    return [
        {
            "source": s["source"],
            "documents": s["validation_documents"],
            "tokens": s["validation_tokens"],
            "samples": index["validation"].get(s["source"], 0),
            "what": "" if s["source"] in index["validation"] else "too small for one sample: no validation loss",
        }
        for s in described["sources"]
    ]


def _short(tokens: float) -> str:
    """``994.1 B``, ``12.3 M`` or ``4,567``."""
    for size, unit in ((1e9, "B"), (1e6, "M")):
        if tokens >= size:
            return f"{tokens / size:,.1f} {unit}"
    return f"{tokens:,.0f}"


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The blend as a table and as donuts, what is repeated too often, and what is validated on."""
    from assets.plots import donuts

    described = lake.read_json(manifest, "mixture.json")
    sources = described["sources"]
    columns = {
        "Original tokens": {s["source"]: float(s["tokens"]) for s in sources},
        "Sampled tokens": {s["source"]: float(s["sampled_tokens"]) for s in sources},
    }
    picture = donuts({f"{title}: {_short(sum(values.values()))}": values for title, values in columns.items()})
    shown: dict[str, Shown] = {
        "blend": Table(blend_rows(sources)),
        "original and sampled": Plot(picture, "Original and sampled tokens by source"),
        "max_epochs": max(s["epochs"] for s in sources),
    }
    if warnings := repeated(sources):
        shown["repeated often"] = " ".join(warnings)
    if rows := validation_rows(described, lake.read_json(manifest, "index/index.json")):
        shown["validation"] = Table(rows)
    return shown
