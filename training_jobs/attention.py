"""Causal attention that keeps no S x S matrix, forward or backward: plain, or with ALiBi's bias.

On CPU ``scaled_dot_product_attention`` works block of queries by block of queries, each over the keys that it may see: the
bias it is given is block x S, and the scores stay in the kernel's tiles. On GPU FlexAttention computes the bias in the kernel.
ALiBi: Press et al. 2022, section 3. Online softmax: Dao et al. 2022 (FlashAttention), section 3.1.
"""

import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

QUERY_BLOCK = 256
"""Queries per call on CPU. 128 to 512 take about the same time; the bias of 12 heads and 2,048 keys is 25 MB."""


def alibi_slopes(heads: int, device: torch.device) -> Tensor:
    """The slope of each head, float32 [heads]: 2^(-8/n), 2^(-16/n), ... for n heads.

    Where ``heads`` is no power of two, n is the one below, and every other slope of 2n heads follows (the authors' code).
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * i / power) for i in range(1, power + 1)]
    slopes += [2.0 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]
    return torch.tensor(slopes, dtype=torch.float32, device=device)


class Alibi(NamedTuple):
    """What attention with ALiBi needs beside queries, keys and values; made once and given to every layer.

    ``slopes`` float32 [heads]. On CPU ``bias`` [1, heads, QUERY_BLOCK, length] is that of the last queries; on GPU ``blocks``
    says which blocks of keys each block of queries sees.
    """

    slopes: Tensor
    bias: Tensor | None
    blocks: Any

    def part(self, number: int, parts: int) -> "Alibi":
        """That of an equal part of the heads, for a tensor parallel rank."""
        bias = None if self.bias is None else self.bias.chunk(parts, dim=1)[number]
        return Alibi(self.slopes.chunk(parts)[number], bias, self.blocks)


@functools.lru_cache(maxsize=4)
def alibi(heads: int, length: int, dtype: torch.dtype, device: torch.device) -> Alibi:
    """ALiBi for sequences of ``length``, and activations of ``dtype``."""
    slopes = alibi_slopes(heads, device)
    if device.type == "cpu":
        return Alibi(slopes, _last_block_bias(slopes, min(QUERY_BLOCK, length), length).to(dtype), None)
    return Alibi(slopes, None, _causal_blocks(length, device))


def causal_attention(query: Tensor, key: Tensor, value: Tensor, alibi: Alibi | None = None) -> Tensor:
    """Attention of each position to those up to its own, [batch, heads, length, size] like ``query``.

    ``key`` and ``value`` have as many heads, or fewer that divide them (grouped queries). Scores are scaled by 1/sqrt(size);
    ``alibi`` adds slope x (position of the key - position of the query) to them.
    """
    if alibi is None:
        grouped = key.shape[1] != query.shape[1]
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)
    if alibi.bias is not None:
        return _in_blocks(query, key, value, alibi.bias)
    return flex_alibi(_flex(), query, key, value, alibi)


def _last_block_bias(slopes: Tensor, rows: int, length: int) -> Tensor:
    """The bias [1, heads, rows, length] of the last ``rows`` queries: of the last key 0, before it negative, unseen -inf.

    A row may be shifted, so distances count from the last key; the biases of earlier queries are then its last columns.
    """
    distance = torch.arange(1 - length, 1, device=slopes.device, dtype=torch.float32)
    bias = (slopes[:, None] * distance).view(1, -1, 1, length)
    unseen = torch.full((rows, length), float("-inf"), device=slopes.device).triu(length - rows + 1)
    return bias + unseen


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    rows, length = bias.shape[2:]
    outputs, stop = [], 0
    for block in query.split(rows, dim=2):
        stop += block.shape[2]
        mask = bias[:, :, rows - block.shape[2] :, length - stop :]
        seen_keys, seen_values = key[:, :, :stop], value[:, :, :stop]
        outputs.append(functional.scaled_dot_product_attention(block, seen_keys, seen_values, attn_mask=mask))
    return torch.cat(outputs, dim=2)


def _causal_blocks(length: int, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    def seen(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return query >= key

    return create_block_mask(seen, None, None, length, length, device=str(device))


def _flex() -> Any:
    """FlexAttention for a place within a compiled block, of which it becomes a part, or else compiled by itself."""
    from torch.nn.attention.flex_attention import flex_attention

    return flex_attention if torch.compiler.is_compiling() else _compiled_flex()


@functools.cache
def _compiled_flex() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False)


def flex_alibi(flex: Any, query: Tensor, key: Tensor, value: Tensor, alibi: Alibi) -> Tensor:
    """ALiBi by FlexAttention; ``flex`` is ``flex_attention``, compiled where no score may reach the memory."""
    slopes = alibi.slopes

    def with_bias(score: Tensor, _batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return score + slopes[head] * (k - q)

    attended: Tensor = flex(query, key, value, score_mod=with_bias, block_mask=alibi.blocks)
    return attended


@functools.lru_cache(maxsize=8)
def rotations(length: int, size: int, base: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine of RoPE's angles, float32 [length, size]: position x base^(-2i/size), the two halves alike.

    Su et al. 2021 (RoFormer), section 3.4.2; halves instead of neighbouring pairs, as Hugging Face's Llama has its weights.
    """
    frequencies = 1.0 / base ** (torch.arange(0, size, 2, dtype=torch.float32, device=device) / size)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """``x`` [batch, heads, length, size] turned by ``rotations``, in float32."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x * cosine + turned * sine).to(x.dtype)
