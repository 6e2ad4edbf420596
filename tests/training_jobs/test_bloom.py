"""The trainer's BLOOM against Hugging Face's: the same logits, loss and gradients."""

import functools

import pytest
import torch

from assets.recipe.architecture import Model
from training_jobs import attention, bloom
from training_jobs.sharding import compile_blocks

from .networks import assert_same_model, started


@pytest.mark.parametrize("heads", [1, 4, 6])
@pytest.mark.parametrize("length", [33, 64])
def test_logits_loss_and_all_gradients_equal_hugging_face(
    heads: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "QUERY_BLOCK", 16)
    attention.alibi.cache_clear()
    assert_same_model(started(Model(layers=3, hidden=48, heads=heads, init_std=0.2), 301), length)


def test_over_several_blocks_of_the_real_size() -> None:
    attention.alibi.cache_clear()
    assert_same_model(started(Model(layers=1, hidden=32, heads=2, init_std=0.2), 97), attention.QUERY_BLOCK + 100)


def test_the_layout_is_that_of_the_released_models() -> None:
    """What Poro's config.json says, beyond the sizes."""
    config = started(Model(layers=1, hidden=16, heads=2), 64).config
    assert not config.apply_residual_connection_post_layernorm and config.tie_word_embeddings
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 3)
    assert config.hidden_dropout == config.attention_dropout == 0.0


def test_the_gpus_way_in_compiled_blocks_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention within blocks that are compiled as the trainer does it, each in one piece, forward and backward.

    Torch refuses its backward pass on CPU, although the operator has a reference, which stands for the GPU's kernel here.
    """
    network = started(Model(layers=2, hidden=64, heads=4, init_std=0.2), 97)
    tokens = torch.randint(0, 97, (2, 301), generator=torch.Generator().manual_seed(0))
    inputs, labels, parameters = tokens[:, :-1], tokens[:, 1:], list(network.parameters())
    expected = network(inputs, labels)
    gradients = torch.autograd.grad(expected, parameters)

    def on_gpu(heads: int, length: int, _dtype: torch.dtype, device: torch.device) -> attention.Alibi:
        return attention.Alibi(attention.alibi_slopes(heads, device), None, attention._causal_blocks(length, device))

    monkeypatch.setattr("torch.nn.attention.flex_attention._validate_device", lambda *_: None)
    monkeypatch.setattr(bloom, "alibi", on_gpu)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    compile_blocks(network.blocks)
    with torch.no_grad():
        network(inputs[:, :64])  # as the probe is
    loss = network(inputs, labels)
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(torch.autograd.grad(loss, parameters), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_bf16_stays_near_float32() -> None:
    """bf16 keeps 8 bits. ALiBi's distances count from the last key, so near keys keep their exact bias."""
    network = started(Model(layers=2, hidden=64, heads=4, init_std=0.05), 301)
    tokens = torch.randint(0, 301, (2, 600), generator=torch.Generator().manual_seed(0))
    exact = network(tokens)
    rounded = network.to(torch.bfloat16)(tokens).float()
    assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()
