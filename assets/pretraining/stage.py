"""The stage pretraining_run: one version per recipe, made by the job ``training_jobs.pretrain`` under a launcher."""

import json
import shutil
from typing import Any

from assets.lake import Lake, Manifest
from assets.pretraining import gate
from assets.recipe.catalog import Catalog
from assets.recipe.jobs import JobRequest, PretrainingJob
from assets.stage import Input, Plot, Shown, Stage, Work


def inputs(catalog: Catalog, name: str) -> list[Input]:
    return [("mixture", name), ("tokenizer", catalog.recipe(name).tokenizer.name)]


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides the weights: architecture, schedule, batch, optimizer, parallelism, seed, checkpoints."""
    recipe = catalog.recipe(name)
    return {"model": recipe.model.model_dump(mode="json"), "training": recipe.training.model_dump(mode="json")}


def make(work: Work) -> None:
    """Run the job; it resumes from its last training state when an earlier attempt was killed."""
    recipe = work.catalog.recipe(work.key)
    mixture, tokenizer = work.input("mixture"), work.input("tokenizer")
    output = work.scratch / "output"
    output.mkdir(exist_ok=True)
    job = PretrainingJob(
        lake=work.lake.uri,
        recipe=work.key,
        mixture=mixture.ref,
        tokenizer=tokenizer.ref,
        vocab_size=recipe.tokenizer.vocab_size,
        model=recipe.model,
        training=recipe.training,
        accepted_risks=dict(work.accepted_risks),
        work=str(work.scratch / "states"),
        output=str(output),
    )
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
        )
    )
    for file in sorted(p for p in output.rglob("*") if p.is_file()):
        target = work.out.stage(file.relative_to(output).as_posix())
        shutil.move(file, target)
    summary = json.loads(work.out.stage("summary.json").read_text("utf-8"))
    work.out.counts.update(
        steps=summary["steps"],
        tokens=summary["tokens"],
        parameters=recipe.model.parameters(recipe.tokenizer.vocab_size),
        checkpoints=len(recipe.training.checkpoints),
    )
    work.out.cost.update(
        seconds=summary["seconds"],
        rank_hours=summary["seconds"] * ranks / 3600,
        tokens_per_second=summary["tokens_per_second"],
    )


def read_metrics(lake: Lake, run: Manifest) -> list[dict[str, float]]:
    """The logged steps of a run, in order."""
    return [json.loads(line) for line in lake.fs.cat_file(lake.path(run, "metrics.jsonl")).decode().splitlines()]


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The loss curve, learning rate and speed."""
    from assets.plots import lines

    metrics = read_metrics(lake, manifest)
    steps = [m["step"] for m in metrics]
    summary = lake.read_json(manifest, "summary.json")
    return {
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
    }


STAGE = Stage(
    asset="pretraining_run",
    space="recipe",
    description="NeMo pretraining: weights at the checkpoint steps, metrics, resolved config, environment, cost.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=inputs,
    config=config,
    code=tuple(f"training_jobs.{name}" for name in ("pretrain", "trainer", "model", "bloom", "data", "export")),
    libraries=("torch", "nemo-toolkit", "lightning", "transformers", "megatron-core"),
    group="training",
    kinds=("pytorch",),
    make=make,
    gate=gate.GATE,
    show=show,
)
