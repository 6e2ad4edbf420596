"""The model card, written from the lineage: nothing in it is typed by hand but the recipe's description."""

from collections.abc import Mapping, Sequence
from typing import Any

from assets.lake import Lake, Manifest
from assets.plots import donut
from assets.plots import lines as line_plot
from assets.pretraining.stage import read_metrics
from assets.recipe.catalog import Catalog
from assets.reports.lineage import made_from, versions_behind, walk
from assets.reports.page import Page, Section
from assets.reports.passport import cost_of, gate_rows
from assets.reports.scores import CLEAN, compact, learned
from assets.reports.side_by_side import boards, section
from assets.stage import Plot, Table, Work

Lineage = Mapping[str, Mapping[str, Manifest]]
SHORT = 12
PROTOCOL = ("kind", "task", "shots", "samples", "temperature", "max_new_tokens", "limit")
"""What of a task's configuration is its protocol, where it has it."""


def model_card(work: Work) -> Page:
    """The card of the recipe's last checkpoint."""
    lake, recipe = work.lake, work.catalog.recipe(work.key)
    checkpoint, scoreboard = work.input("checkpoint"), work.input("scoreboard")
    scores: list[dict[str, Any]] = lake.read_json(scoreboard, "scores.json")
    last = [row for row in scores if row["step"] == checkpoint.counts["step"]]
    evaluations = [ref for ref in scoreboard.inputs if ref.partition == checkpoint.partition]
    evaluation = lake.manifest(evaluations[0]) if evaluations else None
    versions = versions_behind(lake, evaluation or checkpoint)
    run = made_from(lake, checkpoint, "pretraining_run")
    mixture, tokenizer = (made_from(lake, run, asset) for asset in ("mixture", "tokenizer"))
    lineage = walk(lake, mixture)
    starts = [ref.name for ref in run.inputs if ref.asset == "checkpoint"]
    blend = lake.read_json(mixture, "mixture.json")["sources"]
    environment = lake.read_json(run, "environment.json")
    lead = (
        f"{recipe.description} {recipe.model.architecture.upper()} with {run.counts['parameters']:,} parameters, trained on "
        f"{run.counts['tokens']:,} tokens from {len(blend)} sources"
        + (f", from the weights of {starts[0]} on." if starts else ".")
    )
    metrics = read_metrics(lake, run)
    loss = line_plot(
        {"loss": ([m["step"] for m in metrics], [m["loss"] for m in metrics])},
        "step",
        "nats per token",
        "Training loss",
    )
    data = _data_rows(lake, work.catalog, lineage, blend)
    return Page(
        f"Model card of {work.key}",
        lead,
        [
            Section(
                "Scores",
                [f"Bits per character on held-out text, less is better. {CLEAN}"],
                [Table(learned(scores)), Table(compact(scores))],
            ),
            *map(section, boards({work.key: last})),
            *([_protocol(lake, evaluation)] if evaluation else []),
            Section(
                "Training data",
                [
                    "Documents of each source at every stage, and how much of it was trained on. "
                    "Every removal has its reason in the lake."
                ],
                [Table(data), Table(_licences(data))],
                [
                    Plot(
                        donut({s["source"]: s["weight"] for s in blend}, "Sampled tokens by source"),
                        "Sampled tokens by source",
                    )
                ],
            ),
            Section(
                "Tokenizer", (), [Table(_named(lake.read_json(tokenizer, "report.json")["languages"], "language"))]
            ),
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
            Section(
                "Cost",
                ["Of the pretraining run, then of all versions behind the scores together. A dash is not known."],
                [
                    Table(_key_values({**run.cost, "gpu_hours": _gpu_hours(environment, run)})),
                    Table(_key_values(cost_of(versions)["all_versions"])),
                ],
            ),
            Section(
                "Gates",
                ["How every gate has judged that the data, the run, the checkpoint and its evaluation went through."],
                [Table(_gate_rows(lake, versions))],
            ),
            Section("Risks taken", _risks(versions)),
            Section(
                "Lineage",
                [f"checkpoint {checkpoint.name}, digest {checkpoint.digest}."],
                [Table(_version_rows(versions)), Table(_key_values(environment))],
            ),
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


def _licences(data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sources of each licence, and their share of what was trained on."""
    by_licence: dict[str, list[Mapping[str, Any]]] = {}
    for row in data:
        by_licence.setdefault(row["licence"], []).append(row)
    return [
        {
            "licence": licence,
            "sources": ", ".join(row["source"] for row in rows),
            "share of the training": sum(row["share"] for row in rows),
        }
        for licence, rows in sorted(by_licence.items())
    ]


def _protocol(lake: Lake, evaluation: Manifest) -> Section:
    """How the scores were taken: task by task, with the data and the versions that decide them."""
    results = lake.read_json(evaluation, "results.json")
    rows = []
    for name, task in sorted(results["tasks"].items()):
        config = evaluation.config.get("tasks", {}).get(name, {})
        told = [f"{key} {config[key]}" for key in PROTOCOL[1:] if config.get(key) not in (None, "", 0)]
        rows.append(
            {
                "task": name,
                "kind": task["kind"],
                "protocol": ", ".join(told) or None,
                "metrics": ", ".join(metric for metric in task["metrics"] if "/" not in metric) or None,
                "items": task["items"],
                "contaminated": task["contaminated"],
                "status": task["status"],
                "version": task["version"],
                "definition": task["definition"][:SHORT],
                "data": task["data"][:SHORT],
            }
        )
    libraries = ", ".join(f"{library} {version}" for library, version in sorted(results["harness"].items()))
    sentence = (
        f"Scored by {libraries}; seed {results['seed']}. A task's definition is the digest of its configuration and "
        "code, its data that of its items. Contaminated items stood in part in a training corpus before it was decontaminated."
    )
    return Section("Evaluation protocol", [sentence], [Table(rows)])


def _gate_rows(lake: Lake, versions: Sequence[Manifest]) -> list[dict[str, Any]]:
    rows = []
    for row in gate_rows(lake, versions):
        asset, partition, _ = row["version"].split("/")
        rows.append(
            {
                "asset": asset,
                "partition": partition,
                "gate": row["judged"],
                "held": row["held"],
                "not held": "; ".join(row["not held"]) or None,
                "accepted risk": row["accepted risk"],
            }
        )
    return rows


def _version_rows(versions: Sequence[Manifest]) -> list[dict[str, Any]]:
    return [
        {
            "asset": manifest.asset,
            "partition": manifest.partition,
            "version": manifest.version,
            "digest": manifest.digest[:16],
            "made": manifest.started,
        }
        for manifest in versions
    ]


def _risks(versions: Sequence[Manifest]) -> list[str]:
    taken = [
        f"{manifest.name} used {name} without a passing gate: {reason}"
        for manifest in versions
        for name, reason in sorted(manifest.accepted_risks.items())
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
