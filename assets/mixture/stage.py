"""The stage mixture: one version per recipe; weights, and the sample index built before any accelerator is claimed."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.lake import Manifest
from assets.lake.ranges import RangedFile
from assets.mixture import gate
from assets.mixture.blend import BlendedSource, MixtureError, blend, file_weights
from assets.mixture.show import show
from assets.recipe.catalog import Catalog, join, split
from assets.recipe.jobs import IndexedFile, IndexJob, JobRequest
from assets.recipe.model import Recipe
from assets.stage import Input, Stage, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from assets.mixture.files import MixedFile

INDEX_THREADS = 4
"""A thread holds the index of one file while it is built."""


def inputs(catalog: Catalog, name: str) -> list[Input]:
    recipe = catalog.recipe(name)
    shards = [("tokenized_shards", join(source, recipe.tokenizer.name)) for source in recipe.mixed_sources]
    return [*shards, ("tokenizer", recipe.tokenizer.name)]


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides the blend and its order."""
    recipe = catalog.recipe(name)
    return {
        "sources": {n: w.model_dump(mode="json") for n, w in recipe.mixture.sources.items()},
        "sequence_length": recipe.training.sequence_length,
        "samples": samples(recipe),
        "seed": recipe.training.seed,
        "validation": validation(recipe),
    }


def samples(recipe: Recipe) -> int:
    """Samples that the whole run consumes."""
    return recipe.training.steps * recipe.training.global_batch


def validation(recipe: Recipe) -> dict[str, float]:
    """The share of the documents that is kept for validation, and how many samples of each source at most."""
    share = recipe.mixture.validation_share
    return {"share": share, "samples": recipe.mixture.validation_samples if share else 0}


def check_tokenizer(shards: Mapping[str, Manifest], tokenizer: Manifest) -> None:
    """Raise MixtureError where shards were made with another version of the tokenizer than the one given, and ShardError
    where they were made with several.
    """
    from assets.shards.parts import tokenizer_of

    used = tokenizer_of(shards.values())
    if used.digest != tokenizer.digest:
        raise MixtureError(
            f"The shards of {', '.join(sorted(shards)[:5])}{' and others' if len(shards) > 5 else ''} were made with "
            f"{used.name}, but the recipe's tokenizer is {tokenizer.name} now: their ids mean other text. Materialize "
            "tokenized_shards again, or run `tokka run`, which does."
        )


def make(work: Work) -> None:
    """Weigh the sources, count their tokens by id, and build Megatron-Core's sample index."""
    import numpy as np

    from assets.mixture.files import mixed_files
    from assets.tokenizer.bpe import END_OF_DOCUMENT

    recipe = work.catalog.recipe(work.key)
    shards = {split(key)[0]: manifest for key, manifest in work.inputs["tokenized_shards"].items()}
    check_tokenizer(shards, work.input("tokenizer"))
    root = work.lake.mirror(list(shards.values()), stream=True)
    held = validation(recipe)
    files = {source: mixed_files(work.lake, shards[source], root, held["share"]) for source in sorted(shards)}
    tokens = {source: sum(file.tokens for file in of_source) for source, of_source in files.items()}
    blended = blend(recipe.mixture, tokens, recipe.training.tokens, recipe.training.sequence_length)
    sources = [_described(entry, files[entry.source]) for entry in blended]
    unigram = np.zeros(recipe.tokenizer.vocab_size)
    for entry in blended:
        counts = sum(count_tokens(root, file, len(unigram)) for file in files[entry.source])
        unigram += entry.weight * counts / entry.tokens
    # The blend's frequencies on the scale of all available tokens, so that add-one smoothing means the same everywhere.
    np.save(work.out.stage("unigram.npy"), np.rint(unigram * sum(tokens.values())).astype(np.int64))
    output = work.scratch / "index"
    output.mkdir(exist_ok=True)
    facts = {
        "sequence_length": recipe.training.sequence_length,
        "samples": samples(recipe),
        "seed": recipe.training.seed,
        "vocab_size": recipe.tokenizer.vocab_size,
        "end_of_document": END_OF_DOCUMENT,
        "validation_samples": held["samples"],
    }
    described = {**facts, "validation_share": held["share"], "sources": sources}
    work.out.write_json("mixture.json", described)
    job = IndexJob(
        root=str(root),
        files=list(_indexed(sources)),
        threads=min(INDEX_THREADS, os.cpu_count() or 1),
        output=str(output),
        **facts,
    )
    spec = work.scratch / "index.json"
    spec.write_text(job.model_dump_json(indent=2), "utf-8")
    work.log.info("building the sample index of %d samples from %d sources", samples(recipe), len(sources))
    work.run_job(
        JobRequest(
            name=f"index-{work.key}", module="training_jobs.build_index", spec=spec, log=work.scratch / "index.log"
        )
    )
    work.out.stage_folder(output, "index/")
    work.out.counts.update(sources=len(sources), samples=samples(recipe), tokens=recipe.training.tokens)
    if held["share"]:
        work.out.counts["validation_tokens"] = sum(source["validation_tokens"] for source in sources)


def _described(entry: BlendedSource, files: "list[MixedFile]") -> dict[str, Any]:
    """A source of ``mixture.json``, with its files."""
    weights = file_weights(entry.weight, [file.tokens for file in files])
    return {
        **asdict(entry),
        "validation_tokens": sum(file.validation_tokens for file in files),
        "validation_documents": sum(file.validation_documents for file in files),
        "files": [{**asdict(file), "weight": weight} for file, weight in zip(files, weights, strict=True)],
    }


def _indexed(sources: list[dict[str, Any]]) -> Iterator[IndexedFile]:
    names = set(IndexedFile.model_fields) - {"source"}
    for source in sources:
        for file in source["files"]:
            yield IndexedFile(source=source["source"], **{name: file[name] for name in names})


def count_tokens(root: Path, file: "MixedFile", vocab_size: int) -> "npt.NDArray[np.int64]":
    """How often each id occurs in the documents of a file that are trained on, int64 [vocab_size]; the file is streamed.

    Raises MixtureError for an id that the tokenizer does not have.
    """
    import numpy as np

    from assets.mixture.files import read_index

    dtype = read_index(root / f"{file.prefix}.idx").dtype
    counts = np.zeros(vocab_size, np.int64)
    offset = 0
    for chunk in RangedFile(root / f"{file.prefix}.bin").chunks(file.tokens * dtype.itemsize):
        ids = np.frombuffer(chunk, dtype)
        if ids.max() >= vocab_size or ids.min() < 0:
            at = int(np.argmax((ids >= vocab_size) | (ids < 0)))
            raise MixtureError(
                f"{file.prefix}.bin, offset {offset + at * dtype.itemsize}: the id {ids[at]}; allowed are 0 to {vocab_size - 1}, "
                "the ids of the tokenizer. The file is damaged: `tokka lake verify tokenized_shards` tells more."
            )
        counts += np.bincount(ids, minlength=vocab_size)
        offset += len(chunk)
    return counts


STAGE = Stage(
    asset="mixture",
    space="recipe",
    description="Weights and epochs of the sources, and the prebuilt sample index.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=inputs,
    config=config,
    code=(
        *(f"assets.mixture.{name}" for name in ("blend", "files", "stage")),
        *(f"training_jobs.{name}" for name in ("build_index", "data", "stream")),
    ),
    libraries=("megatron-core",),
    group="tokens",
    kinds=("numpy",),
    make=make,
    gate=gate.GATE,
    show=show,
)
