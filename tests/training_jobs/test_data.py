"""The training data: an exact global order that no number of ranks changes, opened without building."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from training_jobs.data import StepLoader, Steps, open_mixture, rank_samples
from training_jobs.job import JobError

from .conftest import END, SEQUENCE, TRAINING, World

BATCH = TRAINING.global_batch


def tokens_of(world: World, ranks: int, micro_batch: int, first: int = 0) -> torch.Tensor:
    """All tokens of the run in global order, put together from the parts of ``ranks`` ranks."""
    dataset, _ = open_mixture(world.lake.local(world.mixture), Path(world.lake.root))
    loaders = [
        StepLoader(Steps(dataset, BATCH, micro_batch, rank, ranks), TRAINING.steps, lambda: first)
        for rank in range(ranks)
    ]
    steps = []
    for batches in zip(*loaders, strict=True):
        for batch in batches:
            assert batch.tokens.dtype == batch.labels.dtype == torch.int64
            assert batch.tokens.shape == (BATCH // ranks // micro_batch, micro_batch, SEQUENCE)
            assert torch.equal(batch.tokens[..., 1:], batch.labels[..., :-1])
            steps.append(batch.tokens.flatten(0, 1))
    return torch.cat(steps)


def test_order_does_not_depend_on_ranks_or_micro_batch(world: World) -> None:
    one = tokens_of(world, 1, 8)
    assert one.shape == (TRAINING.steps * BATCH, SEQUENCE)
    for ranks, micro_batch in ((2, 4), (4, 1), (8, 1)):
        assert torch.equal(one, tokens_of(world, ranks, micro_batch))


def test_resuming_goes_on_exactly(world: World) -> None:
    whole = tokens_of(world, 2, 2)
    assert torch.equal(whole[5 * BATCH :], tokens_of(world, 2, 2, first=5))


def test_samples_are_the_shards_text(world: World) -> None:
    """The ids of these shards count upwards within a document, so each token but a document's first follows."""
    tokens = tokens_of(world, 1, 8)
    follows = (tokens[:, 1:] - tokens[:, :-1]) % 480 == 1
    boundary = (tokens[:, 1:] == END) | (tokens[:, :-1] == END)
    assert bool((follows | boundary).all())


def test_ranks_cover_each_step_once() -> None:
    samples = [i for rank in range(4) for i in rank_samples(3, 8, rank, 4)]
    assert samples == list(range(24, 32))


def test_an_index_that_does_not_fit_is_refused_and_not_rebuilt(world: World, tmp_path: Path) -> None:
    folder, root = tmp_path / "mixture", Path(world.lake.root)
    shutil.copytree(world.lake.local(world.mixture), folder)
    missing = next((folder / "index").glob("*train-shuffle_index.npy"))
    missing.unlink()
    before = sorted(path.name for path in (folder / "index").iterdir())
    with pytest.raises(JobError, match=r"lacks .*shuffle_index\.npy"):
        open_mixture(folder, root)
    assert sorted(path.name for path in (folder / "index").iterdir()) == before

    mixture = folder / "mixture.json"
    mixture.write_text(mixture.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(JobError, match="seed = 7, the mixture says 8"):
        open_mixture(folder, root)


def test_pickles_in_the_index_are_refused(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "mixture"
    shutil.copytree(world.lake.local(world.mixture), folder)
    path = next((folder / "index").glob("*Blended*train-dataset_index.npy"))
    np.save(path, np.array([{"any": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(JobError, match="not a plain array"):
        open_mixture(folder, Path(world.lake.root))
