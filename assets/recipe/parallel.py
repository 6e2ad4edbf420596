"""Which ways to spread a pretraining over GPUs fit into their memory, and which of them costs least.

Costs are compared in this order. Recomputed blocks are computed 4 instead of 3 times (half of them: 3.5), which no fast network
gives back; tensor parallel ranks exchange activations twice a block (Shoeybi et al. 2019, section 3); sharding over all ranks
gathers the weights over the network between nodes, over a node inside it (Zhao et al. 2023, section 3.2.2), and the recipe's own
choice goes first; a larger micro batch makes larger products.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assets.recipe.memory import Layout, fits, layouts, memory
from assets.recipe.model import Recipe

ShardOver = Literal["all", "node"]
TENSOR = (1, 2, 4, 8, 16)
"""Sizes of a tensor parallel group that are tried; none goes over the end of a node."""
RECOMPUTATION = {"none": 1.0, "half": 7 / 6, "full": 4 / 3}
"""Operations of a step's blocks beside those without recomputation."""


@dataclass(frozen=True)
class Way:
    """A layout with the bytes per GPU that it needs, by part."""

    layout: Layout
    shard_over: ShardOver
    ranks: int
    parts: dict[str, int]

    @property
    def bytes(self) -> int:
        """Bytes per GPU in all."""
        return sum(self.parts.values())


class DivisionError(ValueError):
    """GPUs, nodes, batch and heads do not divide. The message is one sentence."""


def check(recipe: Recipe, gpus: int, nodes: int, tensor: int, shard_over: ShardOver) -> None:
    """Raise DivisionError where a recipe cannot be spread like this."""
    heads, groups = recipe.model.heads, recipe.model.key_value_heads
    for what, size in (("GPUs", gpus), ("heads", heads), ("kv_heads", groups)):
        if size % tensor:
            allowed = ", ".join(map(str, divisors(math.gcd(gpus, heads, groups))))
            raise DivisionError(
                f"{size} {what} cannot be divided by tensor_parallel, which is {tensor}; it may be {allowed} here."
            )
    ranks, batch = gpus // tensor, recipe.training.global_batch
    if batch % ranks:
        raise DivisionError(
            f"the global batch of {batch:,} samples cannot be divided by {ranks:,} data parallel ranks."
        )
    if gpus % nodes:
        near = sorted(divisors(gpus), key=lambda n: (abs(n - nodes), n))[:2]
        raise DivisionError(
            f"{gpus:,} GPUs cannot be divided by {nodes:,} nodes; {' or '.join(map(str, sorted(near)))} would do."
        )
    if shard_over == "node" and ranks % nodes:
        raise DivisionError(
            f"shard_over: node needs {ranks:,} data parallel ranks to be a multiple of {nodes:,} nodes."
        )


def divisors(number: int) -> list[int]:
    """All divisors, the smallest first."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def nodes_for(gpus: int, per_node: int) -> int:
    """The least number of nodes with ``per_node`` GPUs at most, the same number on each."""
    return next(n for n in divisors(gpus) if gpus <= n * per_node)


def ways(recipe: Recipe, gpus: int, nodes: int, tensor: int, shard_over: ShardOver) -> Iterator[Way]:
    """The layouts with this tensor parallelism and sharding, those that compute least first. Raises DivisionError."""
    check(recipe, gpus, nodes, tensor, shard_over)
    ranks = gpus // tensor
    copies = nodes if shard_over == "node" else 1
    training = recipe.training
    for layout in layouts(training.global_batch, ranks // copies, copies, tensor, training.precision == "bf16"):
        yield Way(
            layout,
            shard_over,
            ranks,
            memory(recipe.model, recipe.tokenizer.vocab_size, training.sequence_length, layout),
        )


def own_way(recipe: Recipe, gpus: int, nodes: int) -> Way | None:
    """The recipe's own micro batch and recomputation on so many GPUs; None where they cannot be."""
    training = recipe.training
    try:
        found = ways(recipe, gpus, nodes, training.tensor_parallel, training.shard_over)
        own = (training.micro_batch, training.activation_checkpointing)
        return next((w for w in found if (w.layout.micro_batch, w.layout.checkpointing) == own), None)
    except DivisionError:
        return None


def every_way(recipe: Recipe, gpus: int, nodes: int, tensor: int | None = None) -> list[Way]:
    """All ways there are, the cheapest first; with ``tensor`` only those with such groups."""
    found: list[Way] = []
    own = recipe.training.shard_over
    for size in (tensor,) if tensor else TENSOR:
        if gpus % nodes or (gpus // nodes) % size:
            continue
        kinds: tuple[ShardOver, ...] = ("all", "node") if nodes > 1 else (own,)
        for shard_over in kinds:
            try:
                found += ways(recipe, gpus, nodes, size, shard_over)
            except DivisionError:
                continue
    return sorted(
        found,
        key=lambda way: (
            RECOMPUTATION[way.layout.checkpointing],
            way.layout.tensor,
            way.shard_over != own,
            -way.layout.micro_batch,
        ),
    )


def cheapest(found: list[Way], capacity: int) -> Way | None:
    """The first of the ways that fits into ``capacity`` bytes a GPU."""
    return next((way for way in found if fits(way.parts, capacity)), None)


def fitting_gpus(recipe: Recipe, gpus: int, per_node: int, capacity: int) -> list[int]:
    """The numbers of GPUs on which something fits, the nearest below ``gpus`` and the nearest above; those that there are."""
    numbers = sorted({ranks * size for ranks in divisors(recipe.training.global_batch) for size in TENSOR} - {gpus})

    def fit(number: int) -> bool:
        return cheapest(every_way(recipe, number, nodes_for(number, per_node)), capacity) is not None

    below = next((n for n in reversed(numbers) if n < gpus and fit(n)), None)
    above = next((n for n in numbers if n > gpus and fit(n)), None)
    return [n for n in (below, above) if n is not None]
