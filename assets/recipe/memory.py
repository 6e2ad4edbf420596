"""How much memory a GPU needs for pretraining, by part, and which settings fit into it.

Counted in bytes of tensors; what allocators and libraries take beside is left to ``HEADROOM``. Weights, gradients and
optimizer states: Rajbhandari et al. 2020 (ZeRO), section 5, with all three sharded; what is gathered: Zhao et al. 2023 (PyTorch
FSDP), section 3.2. Activations: Korthikanti et al. 2022 (Reducing Activation Recomputation), section 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets.recipe.architecture import Model

Checkpointing = Literal["none", "half", "full"]
HEADROOM = 0.1
"""Share of a GPU's memory that a plan leaves free: context, communication buffers, fragmentation."""
LOGITS_CHUNK = 512 << 20
"""Bytes of float32 logits at a time, on a GPU (training_jobs.cross_entropy)."""
LARGE = 1_000_000_000
"""From so many parameters on, a block's gathered weights are freed after use (training_jobs.sharding)."""


@dataclass(frozen=True)
class Layout:
    """How a model is spread: ranks that share one copy of the weights, tensor parallel ranks, and what a rank works on."""

    shards: int
    tensor: int
    micro_batch: int
    accumulation: int
    checkpointing: Checkpointing
    bf16: bool = True


def activation_bytes(model: Model, length: int, micro_batch: int, tensor: int, number: int = 2) -> int:
    """What one block keeps for its backward pass, with ``number`` bytes a number and no dropout.

    BLOOM: sbh (8 + 24/t) bytes in bf16: Korthikanti's sbh (10 + 24/t + 5as/(ht)) without the two dropout masks and without
    the scores, of which attention keeps one float32 sum per query and head. Llama: sbh (8 + (4 + 4k/h + 8f/h)/t), counted the
    same way: the inputs of norms, projections, attention and SwiGLU's three factors, with keys of width k and an MLP of f.
    """
    h, positions = model.hidden, length * micro_batch
    keys = model.key_value_heads * model.head_size
    split = 12 * h if model.architecture == "bloom" else 2 * h + 2 * keys + 4 * model.mlp_width
    sums = 4 * model.heads * positions // tensor
    return number * positions * (4 * h + split // tensor) + sums


def memory(model: Model, vocab_size: int, length: int, layout: Layout) -> dict[str, int]:
    """Bytes per GPU by part.

    Sharded are float32 weights, gradients and the two moments of Adam, 16 bytes a parameter over ``shards`` ranks; tensor
    parallel ranks divide the blocks besides, and each has embeddings and output head whole. Gathered in the precision of the
    passes are embeddings and output head all the time, and two blocks (the one at work and the next) or, below LARGE
    parameters, all; gradients of one block and the ends are there before they are scattered. While passes accumulate, FSDP
    keeps the float32 gradients of the whole model on each rank.
    """
    number = 2 if layout.bf16 else 4
    tensor, total = layout.tensor, model.parameters(vocab_size)
    block = model.block_parameters() // tensor
    ends = total - model.layers * model.block_parameters()
    held = model.layers * block + ends
    blocks = 2 if total > LARGE else model.layers
    one = activation_bytes(model, length, layout.micro_batch, tensor, number)
    stored = number * length * layout.micro_batch * model.hidden
    again = {"none": 0, "half": -(-model.layers // 2), "full": model.layers}[layout.checkpointing]
    # Beside the blocks: the embeddings before and after their norm, the last norm's input and output.
    activations = (model.layers - again) * one + again * stored + (one if again else 0) + 4 * stored
    # Logits and their gradient in float32 and in the precision of the passes, and the float32 gradient of the output head.
    rows = min(max(1, LOGITS_CHUNK // (4 * vocab_size)), length * layout.micro_batch)
    return {
        "weights": 4 * held // layout.shards,
        "gradients": 4 * held // layout.shards,
        "optimizer states": 8 * held // layout.shards,
        "gathered weights": number * (blocks * block + ends),
        "gathered gradients": 4 * held if layout.accumulation > 1 else (number + 4) * (block + ends),
        "activations": activations,
        "logits chunk": rows * vocab_size * 2 * (4 + number) + 4 * vocab_size * model.hidden,
    }


def fits(parts: dict[str, int], capacity: int) -> bool:
    """Whether the parts leave the headroom of a GPU with ``capacity`` bytes."""
    return sum(parts.values()) <= capacity * (1 - HEADROOM)


def layouts(global_batch: int, shards: int, copies: int, tensor: int, bf16: bool) -> Iterator[Layout]:
    """The layouts of a run, those that compute least and in the largest passes first."""
    share = global_batch // (shards * copies)
    sizes = [size for size in range(share, 0, -1) if share % size == 0]
    checkpointings: tuple[Checkpointing, ...] = ("none", "half", "full")
    for checkpointing in checkpointings:
        for size in sizes:
            yield Layout(shards, tensor, size, share // size, checkpointing, bf16)
