"""The gate of a pretraining run: loss finite and falling, tokens as planned, no sample repeated or left out.

The loss of a run that starts from a checkpoint may fall by less than its steps differ: it must not rise by more than they do.
"""

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import Catalog, step_name

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation


FEW = 0.01
"""Share of the steps that may be left out as out of the ordinary; a run that needs more has a fault elsewhere."""
ERRORS = 3.0
"""Standard errors by which the loss of a run that starts from a checkpoint may be higher at its end."""


def bounds(catalog: Catalog, recipe: str) -> dict[str, Any]:
    return {"continues": catalog.recipe(recipe).model.start_from is not None}


def consumed_digest(samples: int, left_out: Sequence[tuple[int, int]] = ()) -> str:
    """SHA-256 over the global sample ids 0 to samples - 1 without the ranges [start, stop) that were ``left_out``, each as a
    little-endian int64: every sample once, in order."""
    import numpy as np

    digest = hashlib.sha256()
    position = 0
    for low, high in (*sorted(left_out), (samples, samples)):
        for start in range(position, low, 1 << 20):
            digest.update(np.arange(start, min(start + (1 << 20), low), dtype="<i8").tobytes())
        position = max(position, high)
    return digest.hexdigest()


def rise(losses: Sequence[float]) -> float:
    """What the loss rises beyond chance: the mean of the last steps minus that of the first, less ``ERRORS`` standard errors of
    this difference (Welch 1947); above 0 it rises. Each side has a tenth of the steps, but three where there are as many.

    >>> round(rise([4.0, 4.2, 4.1, 4.0, 4.2, 4.1]), 2)
    -0.24
    >>> round(rise([4.0, 4.2, 4.1, 7.0, 8.2, 9.1]), 2)
    2.17
    """
    side = min(len(losses) // 2, max(3, len(losses) // 10))
    if side < 2:  # too few to tell
        return 0.0
    first, last = losses[:side], losses[-side:]
    error = math.sqrt((statistics.variance(first) + statistics.variance(last)) / side)
    return statistics.fmean(last) - statistics.fmean(first) - ERRORS * error


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
    planned = training.steps * training.global_batch
    # A range that does not lie within the run would make the digest of any other set of samples look planned.
    skipped = [anomaly for anomaly in summary["anomalies"] if anomaly["action"] != "note"]
    left_out = [(int(start), int(stop)) for start, stop in (anomaly["samples"] for anomaly in skipped)]
    named = {anomaly["step"] for anomaly in skipped}
    whole_steps = all(
        (start, stop) == ((step - 1) * training.global_batch, step * training.global_batch)
        for (start, stop), step in zip(left_out, (anomaly["step"] for anomaly in skipped), strict=True)
    )
    # The weights of a large model lie in several files.
    weights = [PurePosixPath(e.path) for e in manifest.files if fnmatch(e.path, "checkpoints/*/model*.safetensors")]
    missing = {step_name(step) for step in training.checkpoints} - {path.parent.name for path in weights}
    return [
        {
            "losses_not_finite": sum(not math.isfinite(loss) for loss in losses),
            "loss_change": sum(losses[-tail:]) / tail - sum(losses[:tail]) / tail if losses else None,
            "loss_rise": rise(losses) if losses else None,
            "last_loss": losses[-1] if losses else None,
            "tokens_missing": abs(
                summary["tokens"] - training.tokens + len(named) * training.global_batch * training.sequence_length
            ),
            "steps_missing": abs(summary["steps"] - training.steps),
            "steps_unaccounted": len(set(range(1, training.steps + 1)) ^ (set(steps) | named))
            + len(named & set(steps)),
            "share_left_out": len(named) / training.steps,
            "steps_left_out": len(named),
            "steps_out_of_order": sum(b <= a for a, b in pairwise(steps)),
            "samples_differ": int(not whole_steps or summary["consumed_digest"] != consumed_digest(planned, left_out)),
            "checkpoints_missing": len(missing),
            "tokens_per_second": summary["tokens_per_second"],
        }
    ]


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("losses_not_finite", "every logged loss is a number"),
        at_most(
            "loss_rise",
            0.0,
            f"the loss does not rise by more than {ERRORS:g} standard errors of its last and first steps",
        )
        if bounds["continues"]
        else at_most("loss_change", 0.0, "the loss falls: mean of the last tenth minus mean of the first"),
        none("tokens_missing", "the tokens consumed are those planned, but for the steps left out"),
        none("steps_missing", "the run went to its last step"),
        none("steps_unaccounted", "every step is either logged or named among those left out"),
        at_most("share_left_out", FEW, "few steps were left out as out of the ordinary"),
        none("steps_left_out", "no step was left out as out of the ordinary", "warning"),
        none("steps_out_of_order", "no step is logged twice or before an earlier one"),
        none(
            "samples_differ",
            "every sample was consumed once and in order, across resumes too, but those left out that are named",
        ),
        none("checkpoints_missing", "every checkpoint of the recipe is there"),
    ]


GATE = Gate(
    code=("assets.pretraining.gate",),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("last_loss", "loss_change", "tokens_per_second"),
)
