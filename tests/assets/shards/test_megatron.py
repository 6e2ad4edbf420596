"""Shards in several files, read by Megatron-Core unchanged: each file alone, and all of them blended."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.shards.indexed import read_shard
from assets.shards.parts import shard_prefixes
from assets.shards.stage import STAGE
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import PAIRS, RECIPE, changed, make_version, passing_receipt


@pytest.fixture
def shards(lake: Lake, catalog: Catalog, corpora: dict[str, Manifest]) -> dict[str, Manifest]:
    """Both sources' shards, in files of 2,000 bytes."""
    small = Catalog.of([Recipe.model_validate(changed(RECIPE, tokenizer__shard_bytes=2_000))])
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})
    passing_receipt(lake, tokenizer)
    return {
        source: make_version(
            STAGE, lake, small, f"{source}--tiny-bpe",
            {"decontaminated_corpus": {source: corpus}, "tokenizer": {"tiny-bpe": tokenizer}},
        )
        for source, corpus in corpora.items()
    }  # fmt: skip


def paths(lake: Lake, shards: dict[str, Manifest]) -> list[str]:
    return [str(lake.local(made) / prefix) for made in shards.values() for prefix in shard_prefixes(made)]


def test_indexed_dataset_reads_every_file(lake: Lake, shards: dict[str, Manifest]) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    documents = 0
    for prefix in paths(lake, shards):
        mine, theirs = read_shard(Path(prefix)), IndexedDataset(prefix)
        assert theirs.index.dtype == np.uint16 and len(theirs) == len(mine.lengths)
        assert np.array_equal(theirs.sequence_lengths, mine.lengths)
        assert np.array_equal(theirs.document_indices, np.arange(len(mine.lengths) + 1))
        assert all(np.array_equal(theirs[n], mine.document(n)) for n in range(len(theirs)))
        documents += len(theirs)
    assert documents == 120 + 2 * len(PAIRS)


def test_the_blended_dataset_draws_samples_from_all_files(lake: Lake, shards: dict[str, Manifest]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
        from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

        from training_jobs.data import TokenizerFacts

    prefixes = paths(lake, shards)
    sizes = [len(read_shard(Path(prefix)).tokens) for prefix in prefixes]
    assert len(prefixes) > 4
    config = GPTDatasetConfig(
        random_seed=1, sequence_length=8, blend=(prefixes, [n / sum(sizes) for n in sizes]), split="1,0,0",
        tokenizer=TokenizerFacts(400, 2), reset_position_ids=False,
        reset_attention_mask=False, eod_mask_loss=False,
    )  # fmt: skip
    samples = sum(sizes) // 8
    train, _, _ = BlendedMegatronDatasetBuilder(GPTDataset, [samples, 0, 0], lambda: True, config).build()
    counts = np.bincount(train.dataset_index[:samples], minlength=len(prefixes))
    assert np.allclose(counts / samples, [n / sum(sizes) for n in sizes], atol=2 / samples)
    held = np.concatenate([read_shard(Path(prefix)).tokens for prefix in prefixes])
    for number in (0, samples // 2, samples - 1):
        tokens = train[number]["tokens"].numpy()
        assert tokens.shape == (8,) and np.isin(tokens, held).all()
