"""The stage evaluation: one version per recipe and step, made by the job ``eval_jobs.score``."""

from pathlib import Path
from typing import Any

from assets.evaluation import gate
from assets.evaluation.contamination import SHARE, contaminated_items
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog, join, split, step_name
from assets.recipe.jobs import KEPT_RESULTS, EvaluationJob, EvaluationTask, JobRequest
from assets.recipe.pieces import pieces_digest
from assets.stage import Input, Shown, Stage, Table, Work

SEED = 1234


def inputs(catalog: Catalog, key: str) -> list[Input]:
    recipe = catalog.recipe(split(key)[0])
    tasks = [("benchmark", task) for task in recipe.scored_tasks]
    corpora = [("decontaminated_corpus", source) for source in recipe.mixed_sources]
    return [("checkpoint", key), ("mixture", recipe.name), *tasks, *corpora]


def config(catalog: Catalog, key: str) -> dict[str, Any]:
    """What decides the scores beside checkpoint and items."""
    recipe = catalog.recipe(split(key)[0])
    translates = any(task.kind == "few_shot_translation" for task in recipe.scored_tasks.values())
    pieces = pieces_digest() if translates else None
    return {
        **({"pieces": pieces} if pieces else {}),
        "tasks": {n: t.model_dump(mode="json", exclude={"files"}) for n, t in recipe.scored_tasks.items()},
        "contaminated_share": SHARE,
        "template": recipe.pair_template.model_dump(mode="json"),
        "max_length": recipe.evaluated_length,
        "seed": SEED,
    }


def make(work: Work) -> None:
    """Score the checkpoint on every task of its recipe."""
    recipe = work.catalog.recipe(split(work.key)[0])
    benchmarks = work.inputs["benchmark"]
    corpora = work.inputs["decontaminated_corpus"].values()
    contaminated = contaminated_items(work.lake, corpora, recipe.scored_tasks)
    output = work.scratch / "output"
    job = EvaluationJob(
        lake=work.lake.uri,
        checkpoint=work.input("checkpoint").ref,
        mixture=work.input("mixture").ref,
        template=recipe.pair_template,
        tasks={
            name: EvaluationTask(config=task, benchmark=benchmarks[name].ref, contaminated=contaminated[name])
            for name, task in recipe.scored_tasks.items()
        },
        max_length=recipe.evaluated_length,
        seed=SEED,
        accepted_risks=dict(work.accepted_risks),
        output=str(output),
    )
    spec = work.scratch / "evaluation.json"
    spec.write_text(job.model_dump_json(indent=2), "utf-8")
    kept = Path(work.lake.root) / KEPT_RESULTS
    if work.lake.is_local:
        kept.mkdir(parents=True, exist_ok=True)
    work.run_job(
        JobRequest(
            name=f"evaluate-{work.key}",
            module="eval_jobs.score",
            spec=spec,
            log=work.scratch / "evaluation.log",
            parts=len(job.tasks),
            writes=(kept,) if work.lake.is_local else (),
        )
    )
    work.out.timed.add("timing.json")
    work.out.stage_folder(output)
    checkpoint = work.input("checkpoint")
    work.out.counts.update(step=checkpoint.counts["step"], tokens=checkpoint.counts["tokens"])


def unfinished(lake: Lake, manifest: Manifest) -> str:
    """Which tasks broke and why: the next run tries them again, and finds the results of the others kept."""
    tasks = lake.read_json(manifest, "results.json")["tasks"]
    return "; ".join(
        f"{name} failed with {task['reason']}" for name, task in tasks.items() if task["status"] == "failed"
    )


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The scores, on all items and on the clean ones; the former also as numbers, which the UI plots over checkpoints."""
    tasks = lake.read_json(manifest, "results.json")["tasks"]
    rows = [
        {
            "task": name,
            "status": task["status"],
            "metric": metric,
            "score": round(value, 4),
            "standard error": _shown(task.get("stderr", {}).get(metric)),
            "clean score": _shown(task["clean"]["metrics"].get(metric)),
            "clean standard error": _shown(task["clean"].get("stderr", {}).get(metric)),
            "items": task["items"],
            "contaminated": task["contaminated"],
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
        if "/" in row["metric"]:  # of a sub-task: in the table, without a plot of its own
            continue
        shown[f"{row['task']}.{row['metric']}"] = row["score"]
    return shown


def _shown(value: float | None) -> float | str:
    return "–" if value is None else round(value, 4)


STAGE = Stage(
    asset="evaluation",
    space="recipe_step",
    description="Scores of a checkpoint on every task of its recipe, on all items and on the clean ones, item by item.",
    keys=lambda catalog: [join(recipe, step_name(step)) for recipe, step in catalog.checkpoints],
    inputs=inputs,
    config=config,
    code=("eval_jobs", "assets.evaluation.contamination"),
    libraries=("lm_eval", "transformers", "sacrebleu"),
    group="evaluation",
    kinds=("python",),
    make=make,
    gate=gate.GATE,
    show=show,
    unfinished=unfinished,
)
