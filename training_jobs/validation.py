"""The loss on what each source keeps for validation."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from training_jobs.job import write_whole
from training_jobs.sharding import reshard

VALIDATION = "validation.jsonl"


def validation_losses(
    network: nn.Module, sets: Mapping[str, Any], micro_batch: int, rank: int, ranks: int, device: torch.device
) -> dict[str, float]:
    """The mean loss by source, in nats per token. All ranks call this; ``rank`` is the one of ``ranks`` by data.

    The samples are dealt out in ``rounds``. A rank that gets none in the last one takes part with a sample that does not count,
    since the sharded model computes on all ranks or on none.
    """
    sums = torch.zeros(len(sets), 2, dtype=torch.float64, device=device)
    with torch.no_grad():
        for row, dataset in enumerate(sets.values()):
            for first, size in rounds(len(dataset), ranks, micro_batch):
                start = first + rank * size
                numbers = range(start, min(start + size, len(dataset)))
                items = [dataset[index] for index in numbers or [0]]
                tokens, labels = (
                    torch.stack([item[name] for item in items]).to(device) for name in ("tokens", "labels")
                )
                counted = torch.tensor([len(numbers)], dtype=torch.float64, device=device)
                sums[row] += torch.cat([network(tokens, labels).double().view(1) * counted, counted])
    reshard(network)
    dist.all_reduce(sums)
    return {name: total / count for name, (total, count) in zip(sets, sums.tolist(), strict=True)}


def rounds(samples: int, ranks: int, micro_batch: int) -> list[tuple[int, int]]:
    """The rounds in which ``samples`` are dealt out: the first sample of each, and how many a rank gets.

    ``micro_batch`` while there are enough for all ranks, then one: batches of all sizes would each be compiled.
    """
    whole = samples // (ranks * micro_batch) * ranks * micro_batch
    return [(first, micro_batch) for first in range(0, whole, ranks * micro_batch)] + [
        (first, 1) for first in range(whole, samples, ranks)
    ]


def read_lines(path: Path, step: int) -> list[dict[str, Any]]:
    """The lines of a ``validation.jsonl`` up to ``step``; a last line that was torn is left out."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [row for row in rows if row["step"] <= step]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a ``validation.jsonl``: by step the loss of each source."""
    write_whole(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
