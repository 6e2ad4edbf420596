"""The stage evaluation: one version per recipe and step, made by the job ``eval_jobs.score``."""

import shutil
from typing import Any

from assets.evaluation import gate
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog, join, split, step_name
from assets.recipe.jobs import EvaluationJob, EvaluationTask, JobRequest
from assets.stage import Input, Shown, Stage, Table, Work

MAX_LENGTH = 512
"""Tokens that the model sees at once in an evaluation; ALiBi reads beyond the length of training."""
SEED = 1234


def inputs(catalog: Catalog, key: str) -> list[Input]:
    recipe = split(key)[0]
    tasks = [("benchmark", task) for task in sorted(catalog.recipe(recipe).tasks)]
    return [("checkpoint", key), ("mixture", recipe), *tasks]


def config(catalog: Catalog, key: str) -> dict[str, Any]:
    """What decides the scores beside checkpoint and items."""
    recipe = catalog.recipe(split(key)[0])
    return {
        "tasks": {n: t.model_dump(mode="json", exclude={"files"}) for n, t in sorted(recipe.tasks.items())},
        "template": recipe.pair_template.model_dump(mode="json"),
        "max_length": MAX_LENGTH,
        "seed": SEED,
    }


def make(work: Work) -> None:
    """Score the checkpoint on every task of its recipe."""
    recipe = work.catalog.recipe(split(work.key)[0])
    benchmarks = work.inputs["benchmark"]
    output = work.scratch / "output"
    job = EvaluationJob(
        lake=work.lake.uri,
        checkpoint=work.input("checkpoint").ref,
        mixture=work.input("mixture").ref,
        template=recipe.pair_template,
        tasks={
            name: EvaluationTask(config=task, benchmark=benchmarks[name].ref)
            for name, task in sorted(recipe.tasks.items())
        },
        max_length=MAX_LENGTH,
        seed=SEED,
        accepted_risks=dict(work.accepted_risks),
        output=str(output),
    )
    spec = work.scratch / "evaluation.json"
    spec.write_text(job.model_dump_json(indent=2), "utf-8")
    work.run_job(
        JobRequest(
            name=f"evaluate-{work.key}", module="eval_jobs.score", spec=spec, log=work.scratch / "evaluation.log"
        )
    )
    for file in sorted(p for p in output.rglob("*") if p.is_file()):
        shutil.move(file, work.out.stage(file.relative_to(output).as_posix()))
    checkpoint = work.input("checkpoint")
    work.out.counts.update(step=checkpoint.counts["step"], tokens=checkpoint.counts["tokens"])


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The scores; the headline metrics also as numbers, which the UI plots over checkpoints."""
    tasks = lake.read_json(manifest, "results.json")["tasks"]
    rows = [
        {
            "task": name,
            "status": task["status"],
            "metric": metric,
            "score": round(value, 4),
            "standard error": round(error, 4) if (error := task.get("stderr", {}).get(metric)) is not None else "–",
            "items": task["items"],
        }
        for name, task in tasks.items()
        for metric, value in task["metrics"].items()
    ]
    missing = [
        {"task": n, "status": t["status"], "reason": t.get("reason") or ""}
        for n, t in tasks.items()
        if t["status"] != "scored"
    ]
    shown: dict[str, Shown] = {"scores": Table(rows)}
    if missing:
        shown["not scored"] = Table(missing)
    for row in rows:
        shown[f"{row['task']}.{row['metric']}"] = row["score"]
    return shown


STAGE = Stage(
    asset="evaluation",
    space="recipe_step",
    description="Scores of a checkpoint on every task of its recipe, by lm-eval, with item-level results.",
    keys=lambda catalog: [join(recipe, step_name(step)) for recipe, step in catalog.checkpoints],
    inputs=inputs,
    config=config,
    code=("eval_jobs",),
    libraries=("lm_eval", "transformers", "sacrebleu"),
    group="evaluation",
    kinds=("python",),
    make=make,
    gate=gate.GATE,
    show=show,
)
