"""The stage checkpoint: one version per recipe and step, a folder that Hugging Face loads."""

import shutil
from typing import Any

from assets.checkpoints import gate
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog, join, split, step_name
from assets.stage import Input, Shown, Stage, Table, Work

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def inputs(catalog: Catalog, key: str) -> list[Input]:
    recipe = split(key)[0]
    return [("pretraining_run", recipe), ("tokenizer", catalog.recipe(recipe).tokenizer.name)]


def config(catalog: Catalog, key: str) -> dict[str, Any]:
    return {"step": split(key)[1]}


def make(work: Work) -> None:
    """Put the weights of the step and the tokenizer side by side."""
    step = split(work.key)[1]
    run, tokenizer = work.input("pretraining_run"), work.input("tokenizer")
    folder = f"checkpoints/{step}/"
    for name in (entry.path.removeprefix(folder) for entry in run.files if entry.path.startswith(folder)):
        shutil.copyfile(work.lake.local(run) / folder / name, work.out.stage(name))
    for name in TOKENIZER_FILES:
        shutil.copyfile(work.lake.local(tokenizer) / name, work.out.stage(name))
    training = work.catalog.recipe(split(work.key)[0]).training
    work.out.counts.update(
        parameters=run.counts["parameters"],
        step=int(step.removeprefix("step-")),
        tokens=int(step.removeprefix("step-")) * training.global_batch * training.sequence_length,
    )


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The files with their sizes."""
    return {"files": Table([{"file": f.path, "bytes": f.size, "sha256": f.sha256[:16]} for f in manifest.files])}


STAGE = Stage(
    asset="checkpoint",
    space="recipe_step",
    description="Hugging Face safetensors and tokenizer of one step.",
    keys=lambda catalog: [join(recipe, step_name(step)) for recipe, step in catalog.checkpoints],
    inputs=inputs,
    config=config,
    code=("assets.checkpoints.stage",),
    group="training",
    kinds=("huggingface",),
    make=make,
    gate=gate.GATE,
    show=show,
)
