"""The stage pretraining_run: one version per recipe, made by the job ``training_jobs.pretrain`` under a launcher."""

import json
import math
from pathlib import Path
from typing import Any

from assets.lake import Lake, Manifest
from assets.pretraining import gate
from assets.pretraining.cost import cost_table, known_figures
from assets.recipe.architecture import Model
from assets.recipe.catalog import Catalog, join, step_name
from assets.recipe.jobs import JobRequest, PretrainingJob
from assets.recipe.load import expand
from assets.stage import Input, Plot, Shown, Stage, Table, Work

VALIDATION = "validation.jsonl"
STATES = ".states"
"""The folder of the lake with the training states of runs that are not done yet, where a recipe keeps them there."""
POINTS = 1000
"""Points of a plotted curve, at most."""
TIMED = {"metrics.jsonl", "summary.json", "environment.json"}
"""What says how fast and where a run was; the weights, and with them the losses, follow from the recipe alone."""


def inputs(catalog: Catalog, name: str) -> list[Input]:
    recipe = catalog.recipe(name)
    start = recipe.model.start_from
    found: list[Input] = [("mixture", name), ("tokenizer", recipe.tokenizer.name)]
    if start is not None and start.recipe is not None and start.step is not None:
        found.append(("checkpoint", join(start.recipe, step_name(start.step))))
    return found


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides the weights: architecture, schedule, batch, optimizer, parallelism, seed, checkpoints; of a folder that
    training starts from the digest, not where it lies. How states are saved and ranks are watched does not."""
    recipe = catalog.recipe(name)
    model = recipe.model.model_dump(mode="json", exclude={"start_from": {"folder"}})
    training = recipe.training.model_dump(mode="json", exclude={"saving", "watching", "log_every"})
    return {"model": model, "training": training}


def start_folder(model: Model) -> str | None:
    """The URI of the folder outside of the lake that training starts from, with its variables filled in; None without one."""
    return expand(model.start_from.folder) if model.start_from and model.start_from.folder else None


def make(work: Work) -> None:
    """Run the job; it resumes from its last training state when an earlier attempt was killed."""
    recipe = work.catalog.recipe(work.key)
    mixture, tokenizer = work.input("mixture"), work.input("tokenizer")
    output = work.scratch / "output"
    output.mkdir(exist_ok=True)
    model, folder = recipe.model, start_folder(recipe.model)
    if folder is not None and model.start_from is not None:
        model = model.model_copy(update={"start_from": model.start_from.model_copy(update={"folder": folder})})
    checkpoint = next(iter(work.inputs.get("checkpoint", {}).values()), None)
    remote = f"{STATES}/{work.key}-{work.scratch.name}" if recipe.training.saving.place == "lake" else ""
    job = PretrainingJob(
        lake=work.lake.uri,
        recipe=work.key,
        mixture=mixture.ref,
        tokenizer=tokenizer.ref,
        vocab_size=recipe.tokenizer.vocab_size,
        model=model,
        training=recipe.training,
        checkpoint=checkpoint.ref if checkpoint else None,
        cost=work.assumptions,
        accepted_risks=dict(work.accepted_risks),
        work=str(work.scratch / "states"),
        states=f"{work.lake.uri}/{remote}" if remote else "",
        output=str(output),
    )
    if remote and work.lake.is_local:
        (Path(work.lake.root) / remote).mkdir(parents=True, exist_ok=True)
    spec = work.scratch / "pretraining.json"
    spec.write_text(job.model_dump_json(indent=2), "utf-8")
    ranks = recipe.training.data_parallel * recipe.training.tensor_parallel
    work.log.info(
        "pretraining %s: %s parameters, %s tokens in %d steps on %d ranks",
        work.key,
        f"{recipe.model.parameters(recipe.tokenizer.vocab_size):,}",
        f"{recipe.training.tokens:,}",
        recipe.training.steps,
        ranks,
    )
    work.run_job(
        JobRequest(
            name=f"pretrain-{work.key}",
            module="training_jobs.pretrain",
            spec=spec,
            ranks=ranks,
            distributed=True,
            log=work.scratch / "pretraining.log",
            reads=(Path(folder),) if folder and "://" not in folder else (),
            writes=(Path(work.lake.root) / remote,) if remote and work.lake.is_local else (),
            restarts=recipe.training.watching.starts_again,
        )
    )
    if remote and work.lake.fs.exists(f"{work.lake.root}/{remote}"):
        work.lake.fs.rm(f"{work.lake.root}/{remote}", recursive=True)
    work.out.timed |= TIMED
    work.out.stage_folder(output)
    summary = json.loads(work.out.stage("summary.json").read_text("utf-8"))
    on_gpu = json.loads(work.out.stage("environment.json").read_text("utf-8"))["accelerator"] == "cuda"
    hours = summary["seconds"] * ranks / 3600
    work.out.counts.update(
        steps=summary["steps"],
        tokens=summary["tokens"],
        parameters=recipe.model.parameters(recipe.tokenizer.vocab_size),
        checkpoints=len(recipe.training.checkpoints),
    )
    work.out.cost.update(
        seconds=summary["seconds"],
        rank_hours=hours,
        gpu_hours=hours if on_gpu else 0.0,
        tokens_per_second=summary["tokens_per_second"],
        **known_figures(summary),
    )


def read_metrics(lake: Lake, run: Manifest) -> list[dict[str, float]]:
    """The logged steps of a run, in order."""
    return [json.loads(line) for line in lake.fs.cat_file(lake.path(run, "metrics.jsonl")).decode().splitlines()]


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The loss curve, in training and by source in validation, learning rate, speed, and what was out of the ordinary."""
    from assets.plots import lines

    metrics = read_metrics(lake, manifest)
    metrics = metrics[:: math.ceil(len(metrics) / POINTS) or 1]
    steps = [m["step"] for m in metrics]
    summary = lake.read_json(manifest, "summary.json")
    shown: dict[str, Shown] = {}
    if any(file.path == VALIDATION for file in manifest.files):
        raw = lake.fs.cat_file(lake.path(manifest, VALIDATION)).decode()
        rows = [json.loads(line) for line in raw.splitlines()]
        curves = {name: ([r["step"] for r in rows], [r["losses"][name] for r in rows]) for name in rows[0]["losses"]}
        shown["validation"] = Plot(lines(curves, "step", "nats per token", "Validation loss"), "Validation loss")
    if summary["anomalies"]:
        shown["anomalies"] = Table([anomaly | {"samples": str(anomaly["samples"])} for anomaly in summary["anomalies"]])
    return shown | {
        "loss": Plot(
            lines({"loss": (steps, [m["loss"] for m in metrics])}, "step", "nats per token", "Training loss"), "Loss"
        ),
        "learning rate": Plot(
            lines(
                {"learning rate": (steps, [m["learning_rate"] for m in metrics])},
                "step",
                "learning rate",
                "Learning rate",
            ),
            "Learning rate",
        ),
        "last_loss": summary["last_loss"],
        "tokens_per_second": summary["tokens_per_second"],
        "cost": cost_table(summary),
    }


STAGE = Stage(
    asset="pretraining_run",
    space="recipe",
    description="NeMo pretraining: weights at the checkpoint steps, metrics, resolved config, environment, cost.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=inputs,
    config=config,
    code=tuple(
        f"training_jobs.{name}"
        for name in (
            *("pretrain", "trainer", "model", "language_model", "bloom", "llama", "attention", "cross_entropy"),
            *("start", "data", "stream", "export", "sharding", "anomalies", "validation"),
        )
    ),
    libraries=("torch", "nemo-toolkit", "lightning", "transformers", "megatron-core"),
    group="training",
    kinds=("pytorch",),
    make=make,
    gate=gate.GATE,
    show=show,
)
