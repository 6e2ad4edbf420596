"""The sample index: the same bytes wherever the lake lies, and its summary."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training_jobs.build_index import build
from training_jobs.data import open_mixture
from training_jobs.job import JobError

from .conftest import SHARDS, TRAINING, World, index_job


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_bytes_from_another_root(world: World, tmp_path: Path) -> None:
    here = world.lake.local(world.mixture) / "index"
    elsewhere = tmp_path / "a" / "deeper" / "place"
    shutil.copytree(Path(world.lake.root) / "tokenized_shards", elsewhere / "tokenized_shards")
    build(index_job(elsewhere, world.prefixes, tmp_path / "index"))
    assert digests(tmp_path / "index") == digests(here)
    # For training the blend and each source, for validation each source's blend and its part; and the summary.
    assert len(digests(here)) == 3 + 4 * len(SHARDS) + (3 + 4) * len(SHARDS) + 1


def test_summary_counts_the_blend(world: World) -> None:
    folder = world.lake.local(world.mixture)
    summary = json.loads((folder / "index" / "index.json").read_text())
    dataset, blend = open_mixture(folder, Path(world.lake.root))
    samples = TRAINING.steps * TRAINING.global_batch
    assert summary["samples"] == blend.samples == samples
    assert sum(summary["samples_per_file"].values()) == samples
    for name, (_, weight) in SHARDS.items():
        assert abs(summary["samples_per_file"][world.prefixes[name]] - weight * samples) <= 1
    order = np.stack([dataset.dataset_index[:samples], dataset.dataset_sample_index[:samples]], axis=1)
    assert summary["order_digest"] == hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()


def test_missing_shard_and_absolute_prefix_are_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"nothing/tokens is not whole in the lake"):
        build(index_job(Path(world.lake.root), dict.fromkeys(SHARDS, "nothing/tokens"), tmp_path))
    with pytest.raises(JobError, match="relative"):
        build(index_job(Path(world.lake.root), dict.fromkeys(SHARDS, "/etc/tokens"), tmp_path))
