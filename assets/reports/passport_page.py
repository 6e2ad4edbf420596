"""A passport as a page for people."""

from collections.abc import Mapping
from typing import Any

from assets.reports.page import Page, Section
from assets.stage import Table

Row = dict[str, Any]
MATCHES = 20
"""Matches of a task that the page shows; the JSON has all."""
SHORT = 12


def passport_page(found: Mapping[str, Any]) -> Page:
    """The page of ``passport``'s values: from the score back to the raw corpora."""
    tasks = ", ".join(found["tasks"])
    lead = (
        f"What the scores of {found['recipe']} at step {found['step']:,} ({found['tokens']:,} tokens) rest on: {tasks}. Each "
        "version is named by its digest; `tokka lake show` and `tokka lake verify` read it again."
    )
    return Page(
        f"Passport of {found['recipe']} at step {found['step']:,}",
        lead,
        [
            Section("Scores", _not_scored(found), [Table(_scores(found))]),
            *(_task(name, task) for name, task in found["tasks"].items()),
            Section(
                "Evaluation and checkpoint",
                (),
                [Table(_made(found)), Table(_key_values(found["evaluation"]["libraries"]))],
            ),
            *(_run(run) for run in found["training"]),
            Section("Shards", (), [Table(_shards(found))]),
            Section("Versions and their gates", _judged(found), [Table(_versions(found))]),
            Section("Risks taken", _risks(found)),
            Section("Cost", ["Of all versions behind the scores together."], [Table(_cost(found))]),
        ],
    )


def _not_scored(found: Mapping[str, Any]) -> list[str]:
    missing = [f"{row['task']} is {row['reason']}." for row in found["scores"] if row["score"] is None]
    return ["Clean scores are without the contaminated items. A dash is a number that does not exist.", *missing]


def _scores(found: Mapping[str, Any]) -> list[Row]:
    names = ("task", "metric", "score", "stderr", "clean", "clean_stderr", "items", "contaminated")
    return [
        {name.replace("_", " "): row[name] for name in names} | {"signature": row["signature"] or None}
        for row in found["scores"]
        if row["score"] is not None
    ]


def _task(name: str, task: Mapping[str, Any]) -> Section:
    config = {key: value for key, value in (task["config"] or {}).items() if value is not None and key != "kind"}
    rows = {
        "kind": f"{task['kind']}, version {task['version']}",
        "definition": task["definition"],
        "benchmark": task["benchmark"],
        "digest of its data": task["data"],
        "items": f"{task['items']:,} of {task['expected_items']:,}",
        **{f"file {file}": digest for file, digest in task["files"].items()},
        **{key: str(value) for key, value in config.items()},
    }
    matches = [
        {
            "item": match["item"],
            "document": match["document"],
            "share of the item": match["share"],
            "document was": "dropped" if match["dropped"] else "cut",
            "text": match["excerpt"],
        }
        for match in task["contaminated"][:MATCHES]
    ]
    more = len(task["contaminated"]) - len(matches)
    told = "No item stood in a training corpus before it was decontaminated."
    if matches:
        told = "Items that stood in a training corpus before it was decontaminated; the clean scores are without them."
        told += f" {more} more matches are in the JSON." if more else ""
    return Section(f"Task {name}", [told], [Table(_key_values(rows)), *([Table(matches)] if matches else [])])


def _made(found: Mapping[str, Any]) -> list[Row]:
    rows = {what: found[what] for what in ("evaluation", "checkpoint", "tokenizer")}
    return [
        {
            "what": what,
            "version": row["version"],
            "digest": row["digest"],
            "code": row["code"][:SHORT],
            "made": row["made"],
            "seconds": row["seconds"],
        }
        for what, row in rows.items()
    ]


def _run(run: Mapping[str, Any]) -> Section:
    first, last = run["samples"]
    left_out = ", ".join(f"{low:,} to {high - 1:,}" for low, high in run["samples_left_out"])
    told = [
        f"{run['version']}, digest {run['digest']}: steps {run['steps'][0]:,} to {run['steps'][1]:,}, samples {first:,} to "
        f"{last - 1:,} of {run['mixture']}"
        + (f", without the samples {left_out}, which the run left out" if left_out else "")
        + f"; {run['tokens']:,} tokens."
    ]
    if not run["steps"][1]:
        told = [f"{run['version']}, digest {run['digest']}: the weights that it starts from; no sample was trained on."]
    if run["started_from"]:
        told.append(f"It goes on from {run['started_from']}.")
    sources = [
        {
            "source": s["source"],
            "licence": s["licence"],
            **{asset.removesuffix("_corpus"): count for asset, count in s["documents"].items()},
            "tokens": s["tokens"],
            "samples": s["samples"],
            "tokens seen": s["tokens_seen"],
            "epochs seen": s["epochs_seen"],
        }
        for s in run["sources"]
    ]
    surroundings = _key_values({**_flat(run["environment"]), **run["cost"]})
    return Section(f"Training: {run['version'].split('/')[1]}", told, [Table(sources), Table(surroundings)])


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= {f"{key} {name}": v for name, v in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _shards(found: Mapping[str, Any]) -> list[Row]:
    return [
        {"version": shard["version"], "file": file["path"], "bytes": file["bytes"], "sha256": file["sha256"][:SHORT]}
        for shard in found["shards"]
        for file in shard["files"]
    ]


def _judged(found: Mapping[str, Any]) -> list[str]:
    counts: dict[str, int] = {}
    for row in found["gates"]:
        counts[row["judged"]] = counts.get(row["judged"], 0) + 1
    return [", ".join(f"{count} {judged}" for judged, count in sorted(counts.items())) + "."]


def _risks(found: Mapping[str, Any]) -> list[str]:
    taken = [f"{r['version']} used {r['used']} without a passing gate: {r['reason']}" for r in found["risks"]]
    return taken or ["None: every input had a passing receipt."]


def _cost(found: Mapping[str, Any]) -> list[Row]:
    names = {
        "seconds": "seconds of work",
        "gpu_hours": "GPU hours",
        "rank_hours": "hours over all ranks",
        "energy_kwh": "energy in kWh",
        "co2_kg": "CO2 in kg",
    }
    return [{"what": names[key], "value": value} for key, value in found["cost"]["all_versions"].items()]


def _versions(found: Mapping[str, Any]) -> list[Row]:
    gates = {row["version"]: row for row in found["gates"]}
    rows = []
    for version in found["versions"]:
        gate = gates.get(version["version"], {})
        rows.append(
            {
                "version": version["version"],
                "digest": version["digest"][:SHORT],
                "code": version["code"][:SHORT],
                "made": version["made"],
                "gate": gate.get("judged"),
                "held": gate.get("held"),
                "not held": "; ".join(gate.get("not held", ())) or None,
                "accepted risk": gate.get("accepted risk"),
            }
        )
    return rows


def _key_values(values: Mapping[str, Any]) -> list[Row]:
    return [{"what": key, "value": value} for key, value in values.items()]
