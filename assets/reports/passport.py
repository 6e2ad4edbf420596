"""The passport of a score: everything that it rests on, walked back from its evaluation to the raw corpora.

Every value is read from manifests, receipts and files of the versions behind the score; what no version says is missing here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from assets.lake import Lake, Manifest
from assets.reports.lineage import made_from, versions_behind

Row = dict[str, Any]
CORPORA = ("raw_corpus", "clean_corpus", "deduplicated_corpus", "decontaminated_corpus")
SUMS = ("gpu_hours", "rank_hours", "energy_kwh", "co2_kg")


class PassportError(ValueError):
    """There is no such score. The message says which there are."""


def passport(lake: Lake, evaluation: Manifest, task: str | None = None) -> Row:
    """The passport of an evaluation's scores, of those of one ``task`` where it is given, as plain values.

    ``scores``, ``task``s with their data and contaminated items, ``evaluation``, ``checkpoint``, ``training`` (the run, and
    those that it goes on from), ``data`` (the sources of all of them, with documents, tokens and epochs seen), ``tokenizer``,
    ``shards``, ``gates``, ``versions``, ``cost``, ``risks``.
    """
    results = lake.read_json(evaluation, "results.json")
    if task is not None and task not in results["tasks"]:
        raise PassportError(f"{evaluation.name} has no task {task!r}; it has {', '.join(sorted(results['tasks']))}.")
    names = sorted(results["tasks"]) if task is None else [task]
    versions = versions_behind(lake, evaluation)
    used = versions if task is None else _without_other_tasks(evaluation, versions, names)
    checkpoint = made_from(lake, evaluation, "checkpoint")
    training = _training(lake, checkpoint)
    return {
        "recipe": evaluation.partition.split("--")[0],
        "step": int(evaluation.counts["step"]),
        "tokens": int(evaluation.counts["tokens"]),
        "scores": [row for name in names for row in _score_rows(name, results["tasks"][name])],
        "tasks": {name: _task(lake, evaluation, name, results["tasks"][name]) for name in names},
        "evaluation": {**_version(evaluation), "libraries": results["harness"], "seed": results["seed"]},
        "checkpoint": {**_version(checkpoint), "parameters": checkpoint.counts.get("parameters")},
        "training": training,
        "tokenizer": _version(made_from(lake, checkpoint, "tokenizer")),
        "shards": [_shard(manifest) for manifest in used if manifest.asset == "tokenized_shards"],
        "gates": gate_rows(lake, used),
        "risks": [
            {"version": manifest.name, "used": name, "reason": reason}
            for manifest in used
            for name, reason in sorted(manifest.accepted_risks.items())
        ],
        "versions": [_version(manifest) for manifest in used],
        "cost": cost_of(used),
    }


def _without_other_tasks(evaluation: Manifest, versions: Sequence[Manifest], tasks: Sequence[str]) -> list[Manifest]:
    """The versions without the benchmarks that only the decontamination read, and those of other tasks."""
    return [m for m in versions if m.asset != "benchmark" or m.partition in tasks]


def _score_rows(name: str, task: Row) -> list[Row]:
    if task["status"] != "scored":
        return [{"task": name, "metric": None, "score": None, "reason": f"{task['status']}: {task['reason']}"}]
    clean = task["clean"]
    return [
        {
            "task": name,
            "metric": metric,
            "score": score,
            "stderr": task["stderr"].get(metric),
            "clean": clean["metrics"].get(metric),
            "clean_stderr": clean.get("stderr", {}).get(metric),
            "items": task["items"],
            "contaminated": task["contaminated"],
            "signature": task["signatures"].get(metric, ""),
        }
        for metric, score in sorted(task["metrics"].items())
    ]


def _task(lake: Lake, evaluation: Manifest, name: str, task: Row) -> Row:
    """How a task is defined, what its items are, and which of them stood in a training corpus."""
    (ref,) = [ref for ref in evaluation.inputs if ref.asset == "benchmark" and ref.partition == name]
    benchmark = lake.manifest(ref)
    return {
        "kind": task["kind"],
        "version": task["version"],
        "definition": task["definition"],
        "config": evaluation.config["tasks"].get(name),
        "benchmark": benchmark.name,
        "data": task["data"],
        "files": lake.read_json(benchmark, "benchmark.json")["files"],
        "items": task["items"],
        "expected_items": task["expected_items"],
        "contaminated": _matches(lake, evaluation, name) if task["status"] == "scored" else [],
    }


def _matches(lake: Lake, evaluation: Manifest, task: str) -> list[Row]:
    """The matches by which items counted as contaminated: item, document, and how much of the item stood in it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from assets.evaluation.contamination import SHARE

    rows: list[Row] = []
    for ref in evaluation.inputs:
        if ref.asset == "decontaminated_corpus":
            with lake.open_file(ref, "matches.parquet") as stream:
                table = pq.read_table(stream)
            wanted = pc.and_(pc.equal(table["benchmark"], task), pc.greater_equal(table["share"], SHARE))
            rows += [{"corpus": ref.name} | row for row in table.filter(wanted).drop(["benchmark"]).to_pylist()]
    return sorted(rows, key=lambda row: (row["item"], row["document"], row["share"]))


def _training(lake: Lake, checkpoint: Manifest) -> list[Row]:
    """The run that led to a checkpoint, then the run that it started from, and so on."""
    found = []
    at: Manifest | None = checkpoint
    while at is not None:
        run = made_from(lake, at, "pretraining_run")
        starts = [ref for ref in run.inputs if ref.asset == "checkpoint"]
        found.append(_run(lake, run, int(at.counts["step"])) | {"started_from": starts[0].name if starts else None})
        at = lake.manifest(starts[0]) if starts else None
    return found


def _run(lake: Lake, run: Manifest, step: int) -> Row:
    """What a run has trained on up to ``step``, in what surroundings, and what it cost."""
    from assets.reports.consumed import samples_by_source, training_of

    training = training_of(lake, run)
    mixture = lake.manifest(training.mixture)
    samples = samples_by_source(lake, training, step)
    blend = lake.read_json(mixture, "mixture.json")["sources"]
    behind = {(m.asset, m.partition): m for m in versions_behind(lake, mixture)}
    left_out = [part for part in training.left_out if part[0] < step * training.global_batch]
    return {
        **_version(run),
        "steps": [1, step],
        "samples": [0, step * training.global_batch],
        "samples_left_out": left_out,
        "tokens": sum(samples.values()) * training.sequence_length,
        "mixture": mixture.name,
        "sources": [_source(entry, samples, training.sequence_length, behind) for entry in blend],
        "environment": lake.read_json(run, "environment.json"),
        "cost": dict(run.cost),
    }


def _source(entry: Row, samples: Mapping[str, int], length: int, behind: Mapping[tuple[str, str], Manifest]) -> Row:
    """A source of a blend: documents at each stage, the tokens there are, and how often the run has passed over them."""
    source = entry["source"]
    stages = {asset: behind[asset, source] for asset in CORPORA if (asset, source) in behind}
    raw = stages["raw_corpus"].config if "raw_corpus" in stages else {}
    trained = samples[source] * length
    return {
        "source": source,
        "licence": raw.get("license") or "by record",
        "documents": {asset: int(manifest.counts["documents"]) for asset, manifest in stages.items()},
        "corpora": {asset: manifest.name for asset, manifest in stages.items()},
        "files": raw.get("files", {}),
        "tokens": entry["tokens"],
        "samples": samples[source],
        "tokens_seen": trained,
        "epochs_seen": trained / entry["tokens"],
    }


def _shard(manifest: Manifest) -> Row:
    return {
        "version": manifest.name,
        "digest": manifest.digest,
        "tokens": manifest.counts.get("tokens"),
        "files": [{"path": f.path, "bytes": f.size, "sha256": f.sha256} for f in manifest.under("shards")],
    }


def gate_rows(lake: Lake, versions: Sequence[Manifest]) -> list[Row]:
    """How every version's gate has judged: passed, with warnings, failed, or not at all; and whether that was taken as a risk."""
    risks = {name: reason for manifest in versions for name, reason in manifest.accepted_risks.items()}
    rows = []
    for manifest in versions:
        receipt = lake.receipt(manifest)
        if receipt is None and manifest.name not in risks:
            continue  # it has no gate, or nobody asked for its receipt
        failed = [] if receipt is None else receipt.failed
        if receipt is None:
            judged = "not judged"
        elif receipt.manifest_digest != manifest.digest:
            judged = "judged another version"
        else:
            judged = ("passed with warnings" if failed else "passed") if receipt.passed else "failed"
        rows.append(
            {
                "version": manifest.name,
                "judged": judged,
                "held": ""
                if receipt is None
                else f"{len(receipt.expectations) - len(failed)} of {len(receipt.expectations)}",
                "not held": [f"{e.meaning}: {e.observed}, allowed {e.allowed}" for e in failed],
                "accepted risk": risks.get(manifest.name),
                "suite": None if receipt is None else receipt.suite_digest,
                "time": None if receipt is None else receipt.time,
            }
        )
    return rows


def _version(manifest: Manifest) -> Row:
    return {
        "version": manifest.name,
        "digest": manifest.digest,
        "code": manifest.code,
        "made": manifest.started,
        "seconds": manifest.seconds,
        "host": manifest.host,
    }


def cost_of(versions: Sequence[Manifest]) -> Row:
    """What making the versions took: wall clock of all, and of those that say so hours on ranks and GPUs, energy and CO2."""
    by_version = [{"version": m.name, "seconds": m.seconds, **m.cost} for m in versions if m.cost]
    sums: Row = {"seconds": round(sum(m.seconds for m in versions), 3)}
    for name in SUMS:
        known = [m.cost[name] for m in versions if name in m.cost]
        sums[name] = round(sum(known), 6) if known else None
    return {"all_versions": sums, "by_version": by_version}
