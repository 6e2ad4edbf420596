"""The model card, written from the lineage: nothing in it is typed by hand but the recipe's description."""

from collections.abc import Mapping
from typing import Any

from assets.lake import Lake, Manifest
from assets.plots import donut
from assets.plots import lines as line_plot
from assets.pretraining.stage import read_metrics
from assets.recipe.catalog import Catalog
from assets.reports.lineage import walk
from assets.reports.page import Page, Section
from assets.reports.scores import CLEAN, compact, learned
from assets.stage import Plot, Table, Work

Lineage = Mapping[str, Mapping[str, Manifest]]


def model_card(work: Work) -> Page:
    """The card of the recipe's last checkpoint."""
    lake, recipe = work.lake, work.catalog.recipe(work.key)
    checkpoint = work.input("checkpoint")
    lineage = walk(lake, checkpoint)
    scores: list[dict[str, Any]] = lake.read_json(work.input("scoreboard"), "scores.json")
    (run,) = lineage["pretraining_run"].values()
    (mixture,) = lineage["mixture"].values()
    (tokenizer,) = lineage["tokenizer"].values()
    blend = lake.read_json(mixture, "mixture.json")["sources"]
    environment = lake.read_json(run, "environment.json")
    lead = (
        f"{recipe.description} {recipe.model.architecture.upper()} with {run.counts['parameters']:,} parameters, trained on "
        f"{run.counts['tokens']:,} tokens from {len(blend)} sources."
    )
    metrics = read_metrics(lake, run)
    loss = line_plot(
        {"loss": ([m["step"] for m in metrics], [m["loss"] for m in metrics])},
        "step",
        "nats per token",
        "Training loss",
    )
    return Page(
        f"Model card of {work.key}",
        lead,
        [
            Section(
                "Scores",
                [f"Bits per character on held-out text, less is better. {CLEAN}"],
                [Table(learned(scores)), Table(compact(scores))],
            ),
            Section(
                "Training data",
                [
                    "Documents of each source at every stage, and how much of it was trained on. "
                    "Every removal has its reason in the lake."
                ],
                [Table(_data_rows(lake, work.catalog, lineage, blend))],
                [
                    Plot(
                        donut({s["source"]: s["weight"] for s in blend}, "Sampled tokens by source"),
                        "Sampled tokens by source",
                    )
                ],
            ),
            Section("Tokenizer", (), [Table(_named(lake.read_json(tokenizer, "report.json"), "language"))]),
            Section(
                "Architecture and training",
                (),
                [
                    Table(
                        _key_values({**recipe.model.model_dump(mode="json"), **recipe.training.model_dump(mode="json")})
                    )
                ],
                [Plot(loss, "Training loss")],
            ),
            Section("Cost", (), [Table(_key_values({**run.cost, "gpu_hours": _gpu_hours(environment, run)}))]),
            Section(
                "Gates",
                ["Every gate that the data, the run and the checkpoint passed."],
                [Table(_gate_rows(lake, lineage))],
            ),
            Section(
                "Lineage",
                [f"checkpoint {checkpoint.name}, digest {checkpoint.digest}."],
                [Table(_version_rows(lineage)), Table(_key_values(environment))],
            ),
            Section("Risks taken", _risks(lineage)),
        ],
    )


def _data_rows(lake: Lake, catalog: Catalog, lineage: Lineage, blend: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for entry in blend:
        source = entry["source"]
        declared = catalog.sources[source]
        stages = ("raw_corpus", "clean_corpus", "deduplicated_corpus", "decontaminated_corpus")
        documents = {stage.removesuffix("_corpus"): int(lineage[stage][source].counts["documents"]) for stage in stages}
        rows.append(
            {
                "source": source,
                "language": declared.language
                if not declared.is_pairs
                else f"{declared.pair_language}-{declared.language}",
                "licence": declared.license or "by record",
                **documents,
                "tokens": entry["tokens"],
                "share": entry["weight"],
                "epochs": entry["epochs"],
            }
        )
    return rows


def _gate_rows(lake: Lake, lineage: Lineage) -> list[dict[str, Any]]:
    rows = []
    for asset in sorted(lineage):
        for partition, manifest in sorted(lineage[asset].items()):
            receipt = lake.receipt(manifest)
            if receipt is not None:
                held = sum(e.passed for e in receipt.expectations)
                warnings = ", ".join(e.column for e in receipt.failed) or "–"
                rows.append(
                    {
                        "asset": asset,
                        "partition": partition,
                        "passed": receipt.passed,
                        "expectations": f"{held} of {len(receipt.expectations)}",
                        "not held": warnings,
                    }
                )
    return rows


def _version_rows(lineage: Lineage) -> list[dict[str, Any]]:
    return [
        {
            "asset": asset,
            "partition": partition,
            "version": manifest.version,
            "digest": manifest.digest[:16],
            "made": manifest.started,
        }
        for asset in sorted(lineage)
        for partition, manifest in sorted(lineage[asset].items())
    ]


def _risks(lineage: Lineage) -> list[str]:
    taken = [
        f"{manifest.name} used {name} without a passing gate: {reason}"
        for by_key in lineage.values()
        for manifest in by_key.values()
        for name, reason in manifest.accepted_risks.items()
    ]
    return taken or ["None: every input had a passing receipt."]


def _named(values: Mapping[str, Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{name: key, **row} for key, row in values.items()]


def _key_values(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"what": key, "value": str(v) if isinstance(v, list | dict | tuple) else v} for key, v in values.items()]


def _gpu_hours(environment: Mapping[str, Any], run: Manifest) -> float | None:
    """Hours on GPUs over all ranks; None where the run does not say what it ran on."""
    accelerator = environment.get("accelerator")
    return None if accelerator is None else run.cost["rank_hours"] if accelerator == "cuda" else 0.0
