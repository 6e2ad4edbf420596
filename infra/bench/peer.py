"""What the peers of ``tokka bench train`` share: their specification, the batches, and the lines they write."""

import json
import time
from pathlib import Path
from typing import Any

from assets.recipe.base import Config
from assets.recipe.training import Model, Training


class PeerJob(Config):
    """Train ``model`` from the Hugging Face folder ``weights`` on ``batches``, and write a line per step into ``lines``.

    ``batches``: a .npy file, int64 [steps, global_batch, sequence_length + 1].
    """

    model: Model
    vocab_size: int
    training: Training
    weights: str
    batches: str
    lines: str


class Batches:
    """The batches of one rank as a map-style dataset of samples: item ``i`` is sample ``i`` of all, in the job's order.

    ``tokens`` and ``labels``: int64 tensors [sequence_length], the labels shifted by one.
    """

    def __init__(self, path: str) -> None:
        import numpy as np

        array = np.load(path, mmap_mode="r", allow_pickle=False)
        self.samples = array.reshape(-1, array.shape[-1])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        sample = torch.from_numpy(self.samples[index].copy())
        return {"tokens": sample[:-1], "labels": sample[1:]}


class Lines:
    """Writes ``step``, ``loss`` and ``seconds`` since the start as JSON Lines, as ``metrics.jsonl`` has them; rank 0 only."""

    def __init__(self, path: str, writes: bool) -> None:
        self.path, self.writes = Path(path), writes
        self.begin = time.perf_counter()

    def start(self) -> None:
        self.begin = time.perf_counter()

    def write(self, step: int, loss: float) -> None:
        if self.writes:
            line = {"step": step, "loss": loss, "seconds": time.perf_counter() - self.begin}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
