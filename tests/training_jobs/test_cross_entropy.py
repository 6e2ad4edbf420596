"""The loss in chunks is the whole loss, forward and backward, and the logits are never there as a whole."""

import pytest
import torch
from torch.nn import functional

from training_jobs import cross_entropy
from training_jobs.cross_entropy import ChunkedCrossEntropy, loss_or_logits

from .test_attention import Largest


@pytest.mark.parametrize("rows", [1, 10, 37, 100])
def test_loss_and_gradients_in_chunks(rows: int) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(37, 8, generator=generator, requires_grad=True)
    weight = torch.randn(50, 8, generator=generator, requires_grad=True)
    labels = torch.randint(0, 50, (37,), generator=generator)
    whole = functional.cross_entropy(hidden @ weight.T, labels)
    chunked = ChunkedCrossEntropy.apply(hidden, weight, labels, rows)
    torch.testing.assert_close(chunked, whole)
    ours = torch.autograd.grad(3 * chunked, [hidden, weight])
    theirs = torch.autograd.grad(3 * whole, [hidden, weight])
    torch.testing.assert_close(ours, theirs)


def test_in_bf16_the_weights_gradient_is_summed_in_float32() -> None:
    """In many chunks: rounding each sum to eight bits would lose what the later ones add."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(400, 32, generator=generator).bfloat16().requires_grad_()
    weight = (torch.randn(60, 32, generator=generator) / 4).bfloat16().requires_grad_()
    labels = torch.randint(0, 60, (400,), generator=generator)
    chunked = ChunkedCrossEntropy.apply(hidden, weight, labels, 4)
    exact = [value.detach().float().requires_grad_() for value in (hidden, weight)]
    whole = functional.cross_entropy(exact[0] @ exact[1].T, labels)
    torch.testing.assert_close(chunked, whole, rtol=5e-3, atol=0)
    for ours, theirs in zip(
        torch.autograd.grad(chunked, [hidden, weight]), torch.autograd.grad(whole, exact), strict=True
    ):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=0.02 * theirs.abs().max().item())


def test_the_logits_of_a_large_vocabulary_are_never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cross_entropy.CHUNK_BYTES, "cpu", 1 << 20)
    vocabulary, batch, length = 20_000, 2, 256
    hidden = torch.randn(batch, length, 4, requires_grad=True)
    weight = torch.randn(vocabulary, 4, requires_grad=True)
    labels = torch.zeros(batch, length, dtype=torch.int64)
    with Largest() as watch:
        torch.autograd.grad(loss_or_logits(hidden, weight, labels), [hidden, weight])
    assert 0 < watch.elements <= (1 << 20) // 4
    assert loss_or_logits(hidden, weight, None).shape == (batch, length, vocabulary)
