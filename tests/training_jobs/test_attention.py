"""Attention without S x S matrices equals the plain formula, forward and backward, on CPU and by FlexAttention."""

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from training_jobs import attention
from training_jobs.attention import Alibi, alibi, alibi_slopes, causal_attention, flex_alibi

CPU = torch.device("cpu")


def inputs(
    batch: int, heads: int, length: int, size: int, groups: int | None = None, device: str = "cpu"
) -> list[Tensor]:
    """Query, key and value, which ask for gradients."""
    generator = torch.Generator().manual_seed(length)
    shapes = [(batch, each, length, size) for each in (heads, groups or heads, groups or heads)]
    return [torch.randn(shape, generator=generator).to(device).requires_grad_() for shape in shapes]


@pytest.fixture(autouse=True)
def _no_bias_of_another_block_size() -> None:
    alibi.cache_clear()


def of(heads: int, length: int) -> Alibi:
    return alibi(heads, length, torch.float32, CPU)


def plain(query: Tensor, key: Tensor, value: Tensor, slopes: Tensor | None) -> Tensor:
    """The formula as the papers write it, in float64, with all S x S scores."""
    query, key, value = query.double(), key.double(), value.double()
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    length = query.shape[2]
    place = torch.arange(length, device=query.device)
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
    if slopes is not None:
        scores = scores + slopes.double()[:, None, None] * (place[None, :] - place[:, None])
    return scores.masked_fill(place[None, :] > place[:, None], -math.inf).softmax(-1) @ value


def assert_equal(got: Tensor, expected: Tensor, given: list[Tensor], tolerance: float = 2e-6) -> None:
    """The values, and the gradients of ``given``."""
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(9)).to(got)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=tolerance * expected.abs().max().item())
    ours = torch.autograd.grad(got, given, weight)
    theirs = torch.autograd.grad(expected, given, weight.double())
    # The gradients of query and key are differences of products as large as the value's: of a single key exactly nothing is left.
    largest = max(other.abs().max().item() for other in theirs)
    for mine, other in zip(ours, theirs, strict=True):
        allowed = tolerance * (5 * other.abs().max().item() + largest)
        torch.testing.assert_close(mine, other.to(mine), rtol=0, atol=allowed)


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 56, 112])
def test_slopes_are_those_of_hugging_face(heads: int) -> None:
    theirs = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)[:, 0, 1]
    torch.testing.assert_close(alibi_slopes(heads, CPU), theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize("length", [1, 7, 16, 17, 40, 64])
@pytest.mark.parametrize("heads", [3, 4])
def test_alibi_in_blocks_of_queries(monkeypatch: pytest.MonkeyPatch, heads: int, length: int) -> None:
    monkeypatch.setattr(attention, "QUERY_BLOCK", 16)
    given = inputs(2, heads, length, 8)
    assert_equal(causal_attention(*given, of(heads, length)), plain(*given, alibi_slopes(heads, CPU)), given)


def test_alibi_over_the_real_block() -> None:
    length = attention.QUERY_BLOCK * 2 + 44
    given = inputs(1, 2, length, 16)
    assert_equal(causal_attention(*given, of(2, length)), plain(*given, alibi_slopes(2, CPU)), given)


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (6, 1)])
def test_plain_causal_attention_with_grouped_queries(heads: int, groups: int) -> None:
    given = inputs(2, heads, 33, 8, groups)
    assert_equal(causal_attention(*given), plain(*given, None), given)


class Largest(TorchDispatchMode):
    """Notes the most elements of any tensor that an operation, forward or backward, gives."""

    elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        sizes = [
            leaf.untyped_storage().nbytes() // leaf.element_size() for leaf in tree_leaves(made) if is_tensor(leaf)
        ]
        self.elements = max([self.elements, *sizes])
        return made


def is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, Tensor)


@pytest.mark.parametrize("biased", [True, False])
def test_memory_is_not_quadratic_in_the_length(biased: bool) -> None:
    heads, length, size = 2, 2048, 16
    given = inputs(1, heads, length, size)
    with Largest() as watch:
        attended = causal_attention(*given, of(heads, length) if biased else None)
        torch.autograd.grad(attended, given, torch.ones_like(attended))
    assert 0 < watch.elements <= heads * length * attention.QUERY_BLOCK
    with Largest() as watch:
        plain(*given, alibi_slopes(heads, CPU) if biased else None)
    assert watch.elements == heads * length * length


def test_flex_attention_has_the_same_bias() -> None:
    """The GPU's score function in FlexAttention's reference on CPU, which keeps the scores and knows no backward pass."""
    from torch.nn.attention.flex_attention import flex_attention

    given = [each.detach() for each in inputs(1, 6, 40, 16)]
    slopes = alibi_slopes(6, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is slow without torch.compile
        got = flex_alibi(flex_attention, *given, Alibi(slopes, None, attention._causal_blocks(40, CPU)))
    torch.testing.assert_close(got.double(), plain(*given, slopes), rtol=0, atol=1e-5)


def test_flex_attention_as_it_is_compiled_has_the_same_bias() -> None:
    """Without gradients torch compiles it for CPUs too, from the same score function as for GPUs."""
    given = [each.detach() for each in inputs(2, 6, 300, 64)]
    slopes = alibi_slopes(6, CPU)
    got = causal_attention(*given, Alibi(slopes, None, attention._causal_blocks(300, CPU)))
    torch.testing.assert_close(got.double(), plain(*given, slopes), rtol=0, atol=2e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees")
@pytest.mark.parametrize("size", [64, 86, 128])
def test_compiled_flex_attention_on_gpu(size: int) -> None:
    """FinGPT XL has heads of 86 numbers, which is no power of two. TF32 products keep ten bits."""
    given = inputs(2, 6, 300, size, device="cuda")
    gpu = torch.device("cuda")
    ours = causal_attention(*given, alibi(6, 300, torch.float32, gpu))
    assert_equal(ours, plain(*given, alibi_slopes(6, gpu)), given, tolerance=2e-3)
