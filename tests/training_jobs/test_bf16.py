"""Runs in bf16: the weights are kept in float32 and computed in bf16, and all that holds in float32 holds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from assets.recipe.reliability import Saving
from assets.recipe.training import Model

from .conftest import MODEL, TRAINING, World
from .forked import finish, start
from .test_resume import assert_same, steps_logged
from .test_sharding import LLAMA, losses

BF16 = TRAINING.model_copy(update={"precision": "bf16", "saving": Saving(every_steps=2)})
LAST = f"output/checkpoints/step-{TRAINING.steps:07d}"


@pytest.fixture(scope="module")
def rounded(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in bf16 that went through without a break."""
    folder = tmp_path_factory.mktemp("bf16")
    finish(world.job(folder, training=BF16), folder)
    return folder


def test_it_learns_as_float32_does_within_rounding(finished: Path, rounded: Path) -> None:
    assert losses(rounded) == pytest.approx(losses(finished), rel=0.03)
    assert losses(rounded) != losses(finished)


def test_killed_and_resumed_it_is_the_same_run(world: World, rounded: Path, tmp_path: Path) -> None:
    ranks = start(world.job(tmp_path, training=BF16), tmp_path)
    ranks.until(lambda: steps_logged(tmp_path) >= 13)
    ranks.kill()
    assert "going on from step" in finish(world.job(tmp_path, training=BF16), tmp_path)
    assert_same(tmp_path, rounded)


def test_its_checkpoint_is_in_bf16_and_hugging_face_computes_the_same(rounded: Path) -> None:
    weights = load_file(rounded / LAST / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    model = AutoModelForCausalLM.from_pretrained(rounded / LAST, dtype="auto", local_files_only=True)
    assert model.dtype == torch.bfloat16
    probe = load_file(rounded / LAST / "probe.safetensors")
    with torch.no_grad():
        logits = model(probe["input_ids"]).logits.float()
    assert (logits - probe["logits"]).abs().max() < 0.03 * probe["logits"].abs().max()


@pytest.mark.parametrize("model", [MODEL, LLAMA], ids=["bloom", "llama"])
@pytest.mark.parametrize(
    ("changes", "nodes"),
    [
        ({"data_parallel": 1, "tensor_parallel": 2}, 1),
        ({"shard_over": "node"}, 2),
        ({"activation_checkpointing": "full"}, 1),
        ({"compile": True, "data_parallel": 1}, 1),
    ],
    ids=["tensor parallel", "hybrid", "recomputed", "compiled"],
)
def test_other_ways_to_spread_and_compute_it(
    world: World, tmp_path: Path, model: Model, changes: dict[str, Any], nodes: int
) -> None:
    short = TRAINING.model_copy(update={"steps": 6, "checkpoints": (6,)})
    plain, other = tmp_path / "plain", tmp_path / "other"
    finish(world.job(plain, training=short, model=model), plain)
    finish(
        world.job(other, training=short.model_copy(update={"precision": "bf16", **changes}), model=model), other, nodes
    )
    assert losses(other) == pytest.approx(losses(plain), rel=0.03)
