"""The training data: Megatron-Core's blended dataset over a mixture's shards, in one exact global order.

A mixture version holds ``mixture.json`` and the folder ``index`` that ``build_index`` wrote. Training builds nothing:
where the index does not fit, opening fails. Sample ``i`` of the run is sample ``i`` of the blend; step ``s`` uses the
samples ``[s * global_batch, (s + 1) * global_batch)`` whatever the number of ranks.
"""

import contextlib
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training_jobs.job import JobError

INDEX_SUMMARY = "index.json"


@dataclass(frozen=True)
class Blend:
    """What decides the order of the samples.

    ``prefixes`` are relative to the lake's local root, so that neither the names nor the bytes of the index depend on
    where the lake lies.
    """

    prefixes: tuple[str, ...]
    weights: tuple[float, ...]
    sequence_length: int
    samples: int
    seed: int
    vocab_size: int
    end_of_document: int

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            if Path(prefix).is_absolute() or ".." in Path(prefix).parts:
                raise JobError(f"The shard prefix {prefix!r} must be relative to the lake's root.")
        if not self.prefixes or any(weight <= 0 for weight in self.weights):
            raise JobError("A mixture needs at least one source, and every source a weight above 0.")

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types, for ``index.json``."""
        return {
            "datasets": [list(pair) for pair in zip(self.prefixes, self.weights, strict=True)],
            "sequence_length": self.sequence_length,
            "samples": self.samples,
            "seed": self.seed,
            "vocab_size": self.vocab_size,
            "end_of_document": self.end_of_document,
        }


class TokenizerFacts:
    """What Megatron-Core's datasets ask of a tokenizer. It has no ``pad``: no token is masked as padding."""

    def __init__(self, vocab_size: int, end_of_document: int) -> None:
        self.vocab_size = vocab_size
        self.eod = end_of_document
        self.unique_identifiers = {"vocab_size": vocab_size, "end_of_document": end_of_document}


def blended_dataset(blend: Blend, root: Path, cache: Path, *, build: bool) -> Any:
    """Megatron-Core's BlendedDataset of ``blend`` over the shards below ``root``, with its index in ``cache``.

    With ``build`` the index is built and written; otherwise it must be there and nothing is written. Items are dicts
    with ``tokens`` and ``labels``, int64 tensors [sequence_length], the labels being the tokens shifted by one.
    Raises JobError where shards or index files are missing.
    """
    for prefix in blend.prefixes:
        for suffix in (".bin", ".idx"):
            if not (root / f"{prefix}{suffix}").is_file():
                raise JobError(
                    f"The shard {prefix}{suffix} is not in the lake at {root}. Make it again with `tokka run`."
                )
    # Megatron-Core warns of parts that are not installed and are not used here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
        from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

        config = GPTDatasetConfig(
            random_seed=blend.seed,
            sequence_length=blend.sequence_length,
            blend=(list(blend.prefixes), list(blend.weights)),
            split="1,0,0",
            path_to_cache=str(cache.resolve()),
            tokenizer=TokenizerFacts(blend.vocab_size, blend.end_of_document),
            reset_position_ids=False,
            reset_attention_mask=False,
            eod_mask_loss=False,
            create_attention_mask=False,
            defer_npy_index_mmap=not build,
        )
        # It hashes the prefixes as given into the names of the index files, and opens them as given.
        with contextlib.chdir(root):
            dataset = BlendedMegatronDatasetBuilder(GPTDataset, [blend.samples, 0, 0], lambda: True, config).build()[0]
    if not build:
        _load_index(dataset)
    if len(dataset) < blend.samples:
        raise JobError(f"The index holds {len(dataset):,} samples, but {blend.samples:,} were asked for.")
    return dataset


def _load_index(dataset: Any) -> None:
    """Map the index files of a deferred dataset. Megatron-Core itself would read them with pickles allowed."""
    places: list[tuple[Any, tuple[str, ...]]] = [(dataset, ("dataset_index", "dataset_sample_index"))]
    places += [(part, ("document_index", "sample_index", "shuffle_index")) for part in dataset.datasets]
    for part, names in places:
        for name in names:
            path = Path(getattr(part, f"path_to_{name}"))
            try:
                setattr(part, name, np.load(path, mmap_mode="r", allow_pickle=False))
            except FileNotFoundError as error:
                raise JobError(
                    f"The sample index lacks {path.name}: it was built for other shards, weights or settings, or by "
                    "another version of Megatron-Core. Build the mixture again."
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


def open_mixture(folder: Path, root: Path) -> tuple[Any, Blend]:
    """The blended dataset of the mixture in ``folder``, over the shards below ``root``; see ``blended_dataset``."""
    try:
        mixture = json.loads((folder / "mixture.json").read_bytes())
        index = json.loads((folder / "index" / INDEX_SUMMARY).read_bytes())
    except FileNotFoundError as error:
        raise JobError(
            f"{error.filename} is missing: {folder} is not a whole mixture. Build the mixture again."
        ) from error
    blend = Blend(
        prefixes=tuple(source["prefix"] for source in mixture["sources"]),
        weights=tuple(float(source["weight"]) for source in mixture["sources"]),
        **{
            name: int(mixture[name]) for name in ("sequence_length", "samples", "seed", "vocab_size", "end_of_document")
        },
    )
    for name, value in blend.as_json().items():
        if index[name] != value:
            raise JobError(f"The index in {folder} was built with {name} = {index[name]}, the mixture says {value}.")
    return blended_dataset(blend, root, folder / "index", build=False), blend


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
