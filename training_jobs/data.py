"""The training data: Megatron-Core's blended dataset over a mixture's shards, in one exact global order.

A mixture version holds ``mixture.json`` and the folder ``index`` that ``build_index`` wrote. Training builds nothing:
where the index does not fit, opening fails. Sample ``i`` of the run is sample ``i`` of the blend; step ``s`` uses the
samples ``[s * global_batch, (s + 1) * global_batch)`` whatever the number of ranks.

Megatron-Core counts tokens and samples in 64 bits; it numbers the files of a blend in int16 and the documents of a file in
int32, and what has more is refused.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.recipe.jobs import IndexedFile
from training_jobs.job import JobError

if TYPE_CHECKING:
    from training_jobs.stream import ShardConfig

INDEX_SUMMARY = "index.json"
MAX_FILES = 32_766
"""Files of a blend: Megatron-Core keeps their numbers in int16 (blended_dataset.py)."""


@dataclass(frozen=True)
class Blend:
    """What decides the order of the samples, and which documents are validated on.

    Prefixes are relative to the lake's local root, so that neither the names nor the bytes of the index depend on where
    the lake lies.
    """

    files: tuple[IndexedFile, ...]
    sequence_length: int
    samples: int
    seed: int
    vocab_size: int
    end_of_document: int
    validation_samples: int = 0

    def __post_init__(self) -> None:
        for file in self.files:
            if Path(file.prefix).is_absolute() or ".." in Path(file.prefix).parts:
                raise JobError(f"The shard prefix {file.prefix!r} must be relative to the lake's root.")
            if bool(file.weight) != bool(file.training_documents):
                raise JobError(
                    f"{file.prefix} has the weight {file.weight:g} and {file.training_documents:,} documents to train on; "
                    "either both are above 0 or none."
                )
        if not self.trained:
            raise JobError("A mixture needs at least one source, and every source a weight above 0.")
        if len(self.files) > MAX_FILES:
            raise JobError(
                f"The mixture has {len(self.files):,} files; Megatron-Core blends {MAX_FILES:,} at most. Make the files "
                "larger: tokenizer.shard_bytes."
            )

    @property
    def trained(self) -> list[IndexedFile]:
        """The files that are trained on; the blend numbers them in this order."""
        return [file for file in self.files if file.weight]

    @property
    def surplus(self) -> float:
        """By how much the datasets below the blend are larger than their shares.

        A blend's size is the sum of its files' shares, each rounded up, so it may exceed ``samples`` by one per file, of
        which each file may be asked for its weight's part. Megatron-Core's own 0.005 is enough from 200 samples per file on.
        """
        return max(0.005, len(self.trained) / self.samples)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, for ``index.json``."""
        return {
            "files": [file.model_dump(mode="json") for file in self.files],
            "sequence_length": self.sequence_length,
            "samples": self.samples,
            "seed": self.seed,
            "vocab_size": self.vocab_size,
            "end_of_document": self.end_of_document,
            "validation_samples": self.validation_samples,
        }


class TokenizerFacts:
    """What Megatron-Core's datasets ask of a tokenizer. It has no ``pad``: no token is masked as padding."""

    def __init__(self, vocab_size: int, end_of_document: int) -> None:
        self.vocab_size = vocab_size
        self.eod = end_of_document
        self.unique_identifiers = {"vocab_size": vocab_size, "end_of_document": end_of_document}


def _config(blend: Blend, root: Path, cache: Path, build: bool, threads: int) -> "ShardConfig":
    from training_jobs.stream import ShardConfig

    return ShardConfig(
        random_seed=blend.seed,
        sequence_length=blend.sequence_length,
        blend=([file.prefix for file in blend.trained], [file.weight for file in blend.trained]),
        # Of the documents that are trained on, which ``ShardDataset`` counts, all are.
        split="1,0,0",
        num_dataset_builder_threads=threads,
        mid_level_dataset_surplus=blend.surplus,
        path_to_cache=str(cache.resolve()),
        tokenizer=TokenizerFacts(blend.vocab_size, blend.end_of_document),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
        defer_npy_index_mmap=not build,
        root=str(root),
        training_documents={file.prefix: file.training_documents for file in blend.files},
    )


def blended_dataset(blend: Blend, root: Path, cache: Path, *, build: bool, threads: int = 1) -> Any:
    """Megatron-Core's BlendedDataset of ``blend`` over the shards below ``root``, with its index in ``cache``.

    With ``build`` the index is built and written; otherwise it must be there and nothing is written. Items are dicts
    with ``tokens`` and ``labels``, int64 tensors [sequence_length], the labels being the tokens shifted by one. Shards
    whose ``.bin`` is a pointer are read from the lake by ranges. Raises JobError where shards or index files are missing.
    """
    # Megatron-Core warns of parts that are not installed and are not used here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder

        from training_jobs.stream import ShardDataset

        config = _config(blend, root, cache, build, threads)
        builder = BlendedMegatronDatasetBuilder(ShardDataset, [blend.samples, 0, 0], lambda: True, config)
        dataset: Any = builder.build()[0]
    if not build:
        _load_index(dataset)
    if len(dataset) < blend.samples:
        raise JobError(f"The index holds {len(dataset):,} samples, but {blend.samples:,} were asked for.")
    return dataset


def validation_datasets(blend: Blend, root: Path, cache: Path, *, build: bool) -> dict[str, Any]:
    """By source, Megatron-Core's BlendedDataset over its validation documents, each of which occurs at most once.

    Its samples are as many as one pass over the documents gives, and at most ``blend.validation_samples``. A source of
    which no file has enough validation tokens for one sample is left out. Otherwise as ``blended_dataset``.
    """
    if not blend.validation_samples or not any(file.validation_documents for file in blend.files):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from megatron.core.datasets.blended_dataset import BlendedDataset
        from megatron.core.datasets.utils import Split

        from training_jobs.stream import ShardDataset

        config = _config(blend, root, cache, build, 1)
        parts: dict[str, list[Any]] = {}
        for file in blend.files:
            shard = ShardDataset.build_low_level_dataset(file.prefix, config)
            stop = file.training_documents + file.validation_documents
            documents = np.arange(file.training_documents, stop, dtype=np.int32)
            if shard.sequence_lengths[documents].sum(dtype=np.int64) > blend.sequence_length:
                part = ShardDataset(shard, file.prefix, documents, None, Split.valid, config)
                parts.setdefault(file.source, []).append(part)
        datasets = {}
        for source, of_source in parts.items():
            lengths = [len(part) for part in of_source]
            datasets[source] = BlendedDataset(of_source, lengths, min(sum(lengths), blend.validation_samples), config)
    if not build:
        for dataset in datasets.values():
            _load_index(dataset)
    return datasets


def index_names(dataset: Any) -> tuple[str, list[str]]:
    """The beginnings of the names of a blended dataset's index files: its own, and of each of the datasets below it."""

    def name(part: Any, split: Any) -> str:
        return f"{part.unique_description_hash}-{type(part).__name__}-{split.name}"

    return name(dataset, dataset.split), [name(part, part.index_split) for part in dataset.datasets]


def _load_index(dataset: Any) -> None:
    """Map the index files of a deferred dataset. Megatron-Core itself would read them with pickles allowed."""
    for name in ("dataset_index", "dataset_sample_index"):
        setattr(dataset, name, _mapped(dataset, name))
    for part in dataset.datasets:
        samples = len(part)
        for name in ("document_index", "sample_index", "shuffle_index"):
            setattr(part, name, _mapped(part, name))
        found = (len(part.document_index) % len(part.indices), part.sample_index.shape, part.shuffle_index.shape)
        if found != (0, (samples + 1, 2), (samples,)):
            raise JobError(
                f"The sample index of {part.dataset_path} has {len(part.shuffle_index):,} samples; its shard and the mixture "
                f"give {samples:,}. It was built for other shards. Build the mixture again."
            )


def _mapped(part: Any, name: str) -> Any:
    path = Path(getattr(part, f"path_to_{name}"))
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise JobError(
            f"The sample index lacks {path.name}: it was built for other shards, weights or settings, or by another "
            "version of Megatron-Core. Build the mixture again."
        ) from error
    except ValueError as error:
        raise JobError(f"The index file {path} is not a plain array: {error}.") from error


def order_digest(dataset: Any, samples: int) -> str:
    """SHA-256 over the blended order: of each sample its dataset and its sample there, as little-endian int64."""
    digest = hashlib.sha256()
    for start in range(0, samples, 1 << 20):
        stop = min(start + (1 << 20), samples)
        pairs = np.stack([dataset.dataset_index[start:stop], dataset.dataset_sample_index[start:stop]], axis=1)
        digest.update(pairs.astype("<i8").tobytes())
    return digest.hexdigest()


def read_blend(folder: Path) -> Blend:
    """The blend that the mixture in ``folder`` describes. Raises JobError where its index was built for another one."""
    try:
        mixture = json.loads((folder / "mixture.json").read_bytes())
        index = json.loads((folder / "index" / INDEX_SUMMARY).read_bytes())
    except FileNotFoundError as error:
        raise JobError(
            f"{error.filename} is missing: {folder} is not a whole mixture. Build the mixture again."
        ) from error
    places = ("prefix", "weight", "training_documents", "validation_documents")
    blend = Blend(
        files=tuple(
            IndexedFile(source=source["source"], **{name: file[name] for name in places})
            for source in mixture["sources"]
            for file in source["files"]
        ),
        **{
            name: int(mixture[name])
            for name in ("sequence_length", "samples", "seed", "vocab_size", "end_of_document", "validation_samples")
        },
    )
    for name, value in blend.as_json().items():
        if index[name] != value:
            raise JobError(f"The index in {folder} was built with {name} = {index[name]}, the mixture says {value}.")
    return blend


def open_mixture(folder: Path, root: Path) -> tuple[Any, Blend]:
    """The blended dataset of the mixture in ``folder``, over the shards below ``root``; see ``blended_dataset``."""
    blend = read_blend(folder)
    return blended_dataset(blend, root, folder / "index", build=False), blend


def open_validation(folder: Path, root: Path) -> dict[str, Any]:
    """The validation sets of the mixture in ``folder`` by source, in order of their names; see ``validation_datasets``.

    Empty where the recipe keeps no documents for validation (``mixture.validation_share``).
    """
    return validation_datasets(read_blend(folder), root, folder / "index", build=False)


def rank_samples(step: int, global_batch: int, rank: int, ranks: int) -> range:
    """The global samples of ``rank`` in ``step``: contiguous parts, which in order of the ranks give the whole step."""
    share = global_batch // ranks
    start = step * global_batch + rank * share
    return range(start, start + share)


@dataclass(frozen=True)
class StepBatch:
    """One rank's part of one step. ``tokens`` and ``labels``: int64 [accumulation, micro_batch, sequence_length]."""

    step: int
    samples: range
    tokens: Any
    labels: Any


class Steps:
    """The steps of one rank as a map-style dataset: item ``s`` is the StepBatch of step ``s`` (counted from 0)."""

    def __init__(self, dataset: Any, global_batch: int, micro_batch: int, rank: int, ranks: int) -> None:
        self.dataset, self.global_batch, self.micro_batch = dataset, global_batch, micro_batch
        self.rank, self.ranks = rank, ranks

    def __getitem__(self, step: int) -> StepBatch:
        import torch

        samples = rank_samples(step, self.global_batch, self.rank, self.ranks)
        items = [self.dataset[index] for index in samples]
        shape = (len(items) // self.micro_batch, self.micro_batch, -1)
        tokens = torch.stack([item["tokens"] for item in items]).view(shape)
        labels = torch.stack([item["labels"] for item in items]).view(shape)
        return StepBatch(step, samples, tokens, labels)


class StepLoader:
    """Iterates over the StepBatches from ``first_step()`` to ``steps``; ``seconds`` is the time spent waiting for them.

    It has no length: Lightning then asks it for the end, and a resumed run starts where ``first_step`` says.
    """

    def __init__(self, data: Steps, steps: int, first_step: Callable[[], int], workers: int = 0) -> None:
        self.data, self.steps, self.first_step, self.workers = data, steps, first_step, workers
        self.seconds = 0.0

    def __iter__(self) -> Iterator[StepBatch]:
        from torch.utils.data import DataLoader

        order = range(self.first_step(), self.steps)
        loader: Any = DataLoader(self.data, batch_size=None, sampler=order, num_workers=self.workers)  # type: ignore[arg-type]
        batches = iter(loader)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - start
            if batch is None:
                return
            yield batch
