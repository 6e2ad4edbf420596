"""The trainer's Llama against Hugging Face's: the same logits, loss and gradients."""

import pytest
import torch

from assets.recipe.architecture import Model

from .networks import assert_same_model, started


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_heads": 2},
        {"kv_heads": 1, "tied_embeddings": True},
        {"rope_theta": 500_000.0, "layer_norm_epsilon": 1e-3},
    ],
)
@pytest.mark.parametrize("length", [33, 64])
def test_logits_loss_and_all_gradients_equal_hugging_face(options: dict[str, float], length: int) -> None:
    model = Model(architecture="llama", layers=3, hidden=48, heads=4, feed_forward=112, init_std=0.2, **options)
    assert_same_model(started(model, 301), length)


def test_bf16_stays_near_float32() -> None:
    model = Model(architecture="llama", layers=2, hidden=64, heads=4, kv_heads=2, feed_forward=96, init_std=0.05)
    network = started(model, 301)
    tokens = torch.randint(0, 301, (2, 600), generator=torch.Generator().manual_seed(0))
    exact = network(tokens)
    rounded = network.to(torch.bfloat16)(tokens).float()
    assert (rounded - exact).abs().max() < 0.03 * exact.abs().max()
