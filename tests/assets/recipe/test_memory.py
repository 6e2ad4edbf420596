"""Memory by part, against numbers counted by hand."""

import pytest

from assets.recipe.architecture import Model
from assets.recipe.memory import Layout, activation_bytes, fits, layouts, memory

PORO = Model(preset="poro-34b")


def test_activations_of_a_block_are_those_of_korthikanti_without_dropout_and_scores():
    """GPT-3 has s = 2048, b = 1, h = 12288, a = 96: sbh (34 - 2) and a float32 sum per query and head."""
    model = Model(layers=96, hidden=12288, heads=96)
    assert activation_bytes(model, 2048, 1, tensor=1) == 32 * 2048 * 12288 + 4 * 96 * 2048
    # Tensor parallel over 8: sbh (10 - 2 + 24/8).
    assert activation_bytes(model, 2048, 1, tensor=8) == 11 * 2048 * 12288 + 4 * 96 * 2048 // 8


def test_activations_of_a_llama_block():
    """Viking 33B: norms, inputs, queries and outputs 12 h, keys and values 4 x 1,024, SwiGLU 8 x 20,480 bytes a position."""
    model = Model(preset="viking-33b")
    expected = 4096 * (12 * 7168 + 4 * 1024 + 8 * 20480 + 4 * 56)
    assert activation_bytes(model, 4096, 1, tensor=1) == expected


def test_poro_on_512_gpus():
    """By hand: N = 34,216,949,760; a block 616,655,872; embeddings and norms 917,532,672."""
    parts = memory(
        PORO, 128_000, 2048, Layout(shards=512, tensor=1, micro_batch=4, accumulation=1, checkpointing="full")
    )
    assert parts["weights"] == parts["gradients"] == 34_216_949_760 * 4 // 512
    assert parts["optimizer states"] == 34_216_949_760 * 8 // 512
    assert parts["gathered weights"] == 2 * (2 * 616_655_872 + 917_532_672)
    assert parts["gathered gradients"] == 6 * (616_655_872 + 917_532_672)
    stored = 2 * 2048 * 4 * 7168
    assert parts["activations"] == 54 * stored + 8192 * (32 * 7168 + 4 * 56) + 4 * stored
    rows = (512 << 20) // (4 * 128_000)
    assert parts["logits chunk"] == rows * 128_000 * 12 + 4 * 128_000 * 7168
    assert fits(parts, 64_000_000_000)
    assert not fits(parts, 28_000_000_000)


def test_accumulation_keeps_the_gradients_of_the_whole_model():
    layout = Layout(shards=512, tensor=1, micro_batch=1, accumulation=4, checkpointing="full")
    assert memory(PORO, 128_000, 2048, layout)["gathered gradients"] == 4 * 34_216_949_760


def test_tensor_parallel_ranks_divide_blocks_and_not_embeddings():
    one = memory(PORO, 128_000, 2048, Layout(shards=64, tensor=1, micro_batch=1, accumulation=1, checkpointing="full"))
    two = memory(PORO, 128_000, 2048, Layout(shards=64, tensor=2, micro_batch=1, accumulation=1, checkpointing="full"))
    assert one["weights"] == 4 * 34_216_949_760 // 64
    assert two["weights"] == 4 * (54 * 308_327_936 + 917_532_672) // 64
    assert two["gathered weights"] == 2 * (2 * 308_327_936 + 917_532_672)
    assert two["logits chunk"] == one["logits chunk"]


@pytest.mark.parametrize(("checkpointing", "kept", "stored"), [("none", 54, 0), ("half", 27, 27), ("full", 0, 54)])
def test_recomputed_blocks_keep_their_input_alone(checkpointing, kept, stored):
    layout = Layout(shards=512, tensor=1, micro_batch=1, accumulation=1, checkpointing=checkpointing)
    one, entry = activation_bytes(PORO, 2048, 1, 1), 2 * 2048 * 7168
    expected = kept * one + stored * entry + (one if stored else 0) + 4 * entry
    assert memory(PORO, 128_000, 2048, layout)["activations"] == expected


def test_layouts_divide_the_batch_and_begin_with_those_that_compute_least():
    found = list(layouts(global_batch=24, shards=2, copies=2, tensor=1, bf16=True))
    assert [(each.micro_batch, each.accumulation) for each in found[:4]] == [(6, 1), (3, 2), (2, 3), (1, 6)]
    assert [each.checkpointing for each in found] == ["none"] * 4 + ["half"] * 4 + ["full"] * 4
