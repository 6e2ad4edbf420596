"""The gate of a checkpoint: it loads, has the recipe's parameters, and computes what the trainer computed."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.checkpoints.verifier import VERIFIER
from assets.gates.expectations import at_most, none, true
from assets.gates.gate import Gate, Profiled, Row
from assets.recipe.catalog import split
from assets.recipe.jobs import VerifyJob

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

# Of the largest logit. float32 sums in another order differ by about 1e-5 of it; bf16 keeps 8 bits of mantissa.
LOGIT_TOLERANCE = {"fp32": 1e-4, "bf16": 0.03}


def bounds(catalog: Any, key: str) -> dict[str, Any]:
    return {"logit_difference": LOGIT_TOLERANCE[catalog.recipe(split(key)[0]).training.precision]}


def profile(version: Profiled) -> list[Row]:
    """One row, measured by loading the folder with Hugging Face in another process, which the checkpoints of a run share."""
    manifest = version.manifest
    recipe = version.catalog.recipe(split(manifest.partition)[0])
    folder = version.lake.local(manifest)
    with tempfile.TemporaryDirectory(prefix="tokka-verify-") as scratch:
        job = VerifyJob(checkpoint=str(folder), probe=str(folder / "probe.safetensors"), output=scratch)
        spec = Path(scratch) / "verify.json"
        spec.write_text(job.model_dump_json(), "utf-8")
        VERIFIER.verify(spec)
        found = json.loads((Path(scratch) / "verification.json").read_text("utf-8"))
    if not found["loaded"]:
        raise RuntimeError(f"{folder} does not load: {found['error']}")
    return [
        {
            "loaded": int(found["loaded"]),
            "parameters": found["parameters"],
            "parameters_missing": abs(found["parameters"] - recipe.model.parameters(recipe.tokenizer.vocab_size)),
            "logits_finite": int(found["logits_finite"]),
            "logit_difference": _share(found["max_abs_difference"], found["max_abs_logit"]),
            "vocabulary_differs": int(found["tokenizer_vocab_size"] != found["model_vocab_size"]),
        }
    ]


def _share(difference: float | None, largest: float | None) -> float | None:
    """The difference as a share of the largest logit; None, which fails the gate, where logits are not numbers."""
    return None if difference is None or not largest else difference / largest


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        true("loaded", "Hugging Face loads the folder"),
        none("parameters_missing", "the parameters are as many as the recipe's architecture has"),
        true("logits_finite", "the logits are numbers"),
        at_most(
            "logit_difference",
            bounds["logit_difference"],
            "logits on the probe batch equal the trainer's, as a share of the largest",
        ),
        none("vocabulary_differs", "tokenizer and model have the same vocabulary"),
    ]


GATE = Gate(
    code=("assets.checkpoints.gate", "assets.checkpoints.verifier", "training_jobs.verify"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("parameters", "logit_difference"),
)
