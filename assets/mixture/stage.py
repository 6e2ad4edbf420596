"""The stage mixture: one version per recipe; weights, and the sample index built before any accelerator is claimed."""

import shutil
from dataclasses import asdict
from typing import Any

from assets.lake import Lake, Manifest
from assets.mixture import gate
from assets.mixture.blend import blend
from assets.recipe.catalog import Catalog, join, split
from assets.recipe.jobs import IndexJob, JobRequest
from assets.recipe.model import Recipe
from assets.stage import Input, Plot, Shown, Stage, Table, Work

SHARD = "shards/part-00000"


def inputs(catalog: Catalog, name: str) -> list[Input]:
    recipe = catalog.recipe(name)
    return [("tokenized_shards", join(source, recipe.tokenizer.name)) for source in recipe.mixed_sources]


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides the blend and its order."""
    recipe = catalog.recipe(name)
    return {
        "sources": {n: w.model_dump(mode="json") for n, w in recipe.mixture.sources.items()},
        "sequence_length": recipe.training.sequence_length,
        "samples": samples(recipe),
        "seed": recipe.training.seed,
    }


def samples(recipe: Recipe) -> int:
    """Samples that the whole run consumes."""
    return recipe.training.steps * recipe.training.global_batch


def make(work: Work) -> None:
    """Weigh the sources, count their tokens by id, and build Megatron-Core's sample index."""
    import numpy as np

    from assets.shards.indexed import read_shard
    from assets.tokenizer.bpe import END_OF_DOCUMENT

    recipe = work.catalog.recipe(work.key)
    shards = {split(key)[0]: manifest for key, manifest in work.inputs["tokenized_shards"].items()}
    tokens = {source: int(manifest.counts["tokens"]) for source, manifest in shards.items()}
    blended = blend(recipe.mixture, tokens, recipe.training.tokens)
    root = work.lake.mirror(list(shards.values()))
    unigram = np.zeros(recipe.tokenizer.vocab_size)
    sources = []
    for entry in blended:
        manifest = shards[entry.source]
        shard = read_shard(work.lake.local(manifest) / SHARD)
        counts = np.bincount(shard.tokens, minlength=len(unigram))[: len(unigram)]
        unigram += entry.weight * counts / max(counts.sum(), 1)
        prefix = f"{manifest.asset}/{manifest.partition}/{manifest.version}/{SHARD}"
        sources.append({**asdict(entry), "prefix": prefix})
    # The blend's frequencies on the scale of all available tokens, so that add-one smoothing means the same everywhere.
    np.save(work.out.stage("unigram.npy"), np.rint(unigram * sum(tokens.values())).astype(np.int64))
    described = {
        "sequence_length": recipe.training.sequence_length,
        "samples": samples(recipe),
        "seed": recipe.training.seed,
        "vocab_size": recipe.tokenizer.vocab_size,
        "end_of_document": END_OF_DOCUMENT,
        "sources": sources,
    }
    work.out.write_json("mixture.json", described)
    output = work.scratch / "index"
    output.mkdir(exist_ok=True)
    job = IndexJob(
        root=str(root),
        datasets=[(s["prefix"], s["weight"]) for s in sources],
        sequence_length=recipe.training.sequence_length,
        samples=samples(recipe),
        seed=recipe.training.seed,
        vocab_size=recipe.tokenizer.vocab_size,
        end_of_document=END_OF_DOCUMENT,
        output=str(output),
    )
    spec = work.scratch / "index.json"
    spec.write_text(job.model_dump_json(indent=2), "utf-8")
    work.log.info("building the sample index of %d samples from %d sources", samples(recipe), len(sources))
    work.run_job(
        JobRequest(
            name=f"index-{work.key}", module="training_jobs.build_index", spec=spec, log=work.scratch / "index.log"
        )
    )
    for file in sorted(output.iterdir()):
        shutil.move(file, work.out.stage(f"index/{file.name}"))
    work.out.counts.update(sources=len(sources), samples=samples(recipe), tokens=recipe.training.tokens)


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Both columns of the mixture: available and sampled, as a table and as donuts."""
    from assets.plots import donut

    sources = lake.read_json(manifest, "mixture.json")["sources"]
    columns = ("source", "tokens", "original_share", "weight", "epochs")
    return {
        "blend": Table([{name: s[name] for name in columns} for s in sources]),
        "sampled": Plot(
            donut({s["source"]: s["weight"] for s in sources}, "Sampled tokens by source"), "Sampled tokens"
        ),
        "available": Plot(
            donut({s["source"]: s["tokens"] for s in sources}, "Available tokens by source"), "Available tokens"
        ),
        "max_epochs": max(s["epochs"] for s in sources),
    }


STAGE = Stage(
    asset="mixture",
    space="recipe",
    description="Weights and epochs of the sources, and the prebuilt sample index.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=inputs,
    config=config,
    code=("assets.mixture.blend", "assets.mixture.stage", "training_jobs.build_index", "training_jobs.data"),
    libraries=("megatron-core",),
    group="tokens",
    kinds=("numpy",),
    make=make,
    gate=gate.GATE,
    show=show,
)
