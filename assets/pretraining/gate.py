"""The gate of a pretraining run: loss finite and falling, tokens as planned, no sample repeated or left out."""

import hashlib
import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import step_name

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation


def consumed_digest(samples: int) -> str:
    """SHA-256 over the global sample ids 0 to samples - 1, each as a little-endian int64: every sample once, in order."""
    import numpy as np

    digest = hashlib.sha256()
    for start in range(0, samples, 1 << 20):
        digest.update(np.arange(start, min(start + (1 << 20), samples), dtype="<i8").tobytes())
    return digest.hexdigest()


def profile(version: Profiled) -> list[Row]:
    """One row, from the metrics and the summary that the job wrote."""
    manifest = version.manifest
    training = version.catalog.recipe(manifest.partition).training
    summary = version.lake.read_json(manifest, "summary.json")
    raw = version.lake.fs.cat_file(version.lake.path(manifest, "metrics.jsonl")).decode()
    metrics = [json.loads(line) for line in raw.splitlines()]
    steps = [m["step"] for m in metrics]
    losses = [m["loss"] for m in metrics]
    tail = max(1, len(losses) // 10)
    expected = {f"checkpoints/{step_name(step)}/model.safetensors" for step in training.checkpoints}
    return [
        {
            "losses_not_finite": sum(not math.isfinite(loss) for loss in losses),
            "loss_change": sum(losses[-tail:]) / tail - sum(losses[:tail]) / tail if losses else None,
            "last_loss": losses[-1] if losses else None,
            "tokens_missing": abs(summary["tokens"] - training.tokens),
            "steps_missing": abs(summary["steps"] - training.steps),
            "steps_out_of_order": sum(b <= a for a, b in pairwise(steps)),
            "samples_differ": int(
                summary["consumed_digest"] != consumed_digest(training.steps * training.global_batch)
            ),
            "checkpoints_missing": len(expected - {entry.path for entry in manifest.files}),
            "tokens_per_second": summary["tokens_per_second"],
        }
    ]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("losses_not_finite", "every logged loss is a number"),
        at_most("loss_change", 0.0, "the loss falls: mean of the last tenth minus mean of the first"),
        none("tokens_missing", "the tokens consumed are those planned"),
        none("steps_missing", "all planned steps were taken"),
        none("steps_out_of_order", "no step is logged twice or before an earlier one"),
        none("samples_differ", "every sample was consumed once and in order, across resumes too"),
        none("checkpoints_missing", "every checkpoint of the recipe is there"),
    ]


GATE = Gate(
    code=("assets.pretraining.gate",),
    profile=profile,
    expectations=expectations,
    numbers=("last_loss", "loss_change", "tokens_per_second"),
)
