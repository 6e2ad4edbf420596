"""Build Megatron-Core's sample index of a mixture: ``python -m training_jobs.build_index spec.json`` (an IndexJob).

Writes the index files (.npy, and a description of each) and ``index.json`` into ``output``. Names and bytes depend on
the job alone, not on where the lake or the output lie.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from assets.recipe.jobs import IndexJob
from training_jobs.data import (
    INDEX_SUMMARY,
    Blend,
    blended_dataset,
    index_names,
    order_digest,
    validation_datasets,
)
from training_jobs.job import JobError, read_spec, run, write_json
from training_jobs.progress import open_channel


@contextmanager
def _single_process_group() -> Iterator[None]:
    """A process group of this process alone: Megatron-Core asks for its rank before it saves a blended index."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def build(job: IndexJob) -> None:
    """Build the index of ``job`` into ``job.output``. Raises JobError where shards are missing or too small."""
    blend = Blend(
        files=tuple(job.files),
        sequence_length=job.sequence_length,
        samples=job.samples,
        seed=job.seed,
        vocab_size=job.vocab_size,
        end_of_document=job.end_of_document,
        validation_samples=job.validation_samples,
    )
    output, root = Path(job.output).resolve(), Path(job.root).resolve()
    output.mkdir(parents=True, exist_ok=True)
    with _single_process_group():
        try:
            dataset = blended_dataset(blend, root, output, build=True, threads=job.threads)
        except IndexError as error:
            raise JobError(f"The sources do not hold enough samples for this mixture: {error}") from error
        validation = validation_datasets(blend, root, output, build=True)
    prefixes = [file.prefix for file in blend.trained]
    counts = np.bincount(dataset.dataset_index[: job.samples], minlength=len(prefixes))
    whole, parts = index_names(dataset)
    write_json(
        output / INDEX_SUMMARY,
        {
            **blend.as_json(),
            "samples_per_file": {prefix: int(count) for prefix, count in zip(prefixes, counts, strict=True)},
            "order_digest": order_digest(dataset, job.samples),
            "names": {"blend": whole, "files": dict(zip(prefixes, parts, strict=True))},
            "validation": {source: len(held) for source, held in validation.items()},
        },
    )


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    job = read_spec(IndexJob, arguments)
    with open_channel(rank=0) as channel:
        if channel is not None:
            channel.say(f"building the index of {job.samples:,} samples over {len(job.files)} files")
        build(job)


if __name__ == "__main__":
    run(main)
