"""Ways to spread and to compute the same model: the losses are those of plain data parallelism."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from assets.recipe.reliability import Saving
from assets.recipe.training import Model

from .conftest import MODEL, TRAINING, World
from .forked import finish, start
from .test_resume import metrics, summary

STEPS = 6
SHORT = TRAINING.model_copy(update={"steps": STEPS, "checkpoints": (STEPS,)})


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in metrics(folder)]


@pytest.fixture(scope="module")
def plain(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    finish(world.job(folder, training=SHORT), folder)
    return folder


@pytest.mark.parametrize("blocks", ["half", "full"])
def test_recomputed_activations_change_nothing(world: World, plain: Path, tmp_path: Path, blocks: str) -> None:
    training = SHORT.model_copy(update={"activation_checkpointing": blocks})
    finish(world.job(tmp_path, training=training), tmp_path)
    assert losses(tmp_path) == losses(plain)
    weights = f"output/checkpoints/step-{STEPS:07d}/model.safetensors"
    assert (tmp_path / weights).read_bytes() == (plain / weights).read_bytes()


def test_recomputed_activations_take_less_memory() -> None:
    """What the backward pass of a block keeps, in saved tensors, is its input only."""
    import torch
    from torch.autograd.graph import saved_tensors_hooks

    from training_jobs.language_model import build
    from training_jobs.sharding import recompute

    def kept(every: str) -> int:
        torch.manual_seed(0)
        network = build(MODEL, 64)
        recompute(network.blocks, every)
        numbers = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal numbers
            numbers += tensor.numel()
            return tensor

        with saved_tensors_hooks(count, lambda tensor: tensor):
            network(torch.ones(2, 32, dtype=torch.int64), torch.ones(2, 32, dtype=torch.int64))
        return numbers

    assert kept("full") < kept("half") < kept("none")


@pytest.mark.parametrize(
    ("changes", "nodes"),
    [
        ({"shard_over": "node", "data_parallel": 2}, 2),
        ({"shard_over": "node", "data_parallel": 4, "micro_batch": 1}, 2),
    ],
)
def test_hybrid_sharding_over_nodes(
    world: World, plain: Path, tmp_path: Path, changes: dict[str, Any], nodes: int
) -> None:
    training = SHORT.model_copy(update=changes)
    finish(world.job(tmp_path, training=training), tmp_path, nodes)
    assert losses(tmp_path) == pytest.approx(losses(plain), rel=1e-4)
    norms = [[line["gradient_norm"] for line in metrics(folder)] for folder in (tmp_path, plain)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    assert summary(tmp_path)["consumed_digest"] == summary(plain)["consumed_digest"]


@pytest.mark.parametrize(("data", "tensor", "again"), [(1, 1, "none"), (1, 2, "half"), (2, 1, "full")])
def test_compiled_blocks_train_equal(
    world: World, plain: Path, tmp_path: Path, data: int, tensor: int, again: str
) -> None:
    """After the first checkpoint and its validation, which have other shapes."""
    ways = {"data_parallel": data, "tensor_parallel": tensor, "activation_checkpointing": again}
    training = SHORT.model_copy(update={"compile": True, "checkpoints": (0, STEPS), **ways})
    finish(world.job(tmp_path, training=training), tmp_path)
    assert losses(tmp_path) == pytest.approx(losses(plain), rel=1e-3)


LLAMA = Model(architecture="llama", layers=2, hidden=32, heads=4, kv_heads=2, feed_forward=64)


@pytest.mark.parametrize("model", [MODEL, LLAMA], ids=["bloom", "llama"])
@pytest.mark.parametrize(("data", "tensor"), [(1, 2), (2, 2)])
def test_tensor_parallel_ranks_train_equal(world: World, tmp_path: Path, model: Model, data: int, tensor: int) -> None:
    plain, cut = tmp_path / "plain", tmp_path / "cut"
    finish(world.job(plain, training=SHORT, model=model), plain)
    training = SHORT.model_copy(update={"data_parallel": data, "tensor_parallel": tensor})
    finish(world.job(cut, training=training, model=model), cut)
    assert losses(cut) == pytest.approx(losses(plain), rel=1e-4)
    for name in ("gradient_norm", "tokens"):
        ours, theirs = ([line[name] for line in metrics(folder)] for folder in (cut, plain))
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert summary(cut)["consumed_digest"] == summary(plain)["consumed_digest"]
    weights = [load_file(folder / f"output/checkpoints/step-{STEPS:07d}/model.safetensors") for folder in (cut, plain)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=2e-4), name


def test_a_state_of_tensor_parallel_ranks_is_read_by_others(world: World, plain: Path, tmp_path: Path) -> None:
    often = SHORT.model_copy(update={"saving": Saving(every_steps=2)})
    ranks = start(
        world.job(tmp_path, training=often.model_copy(update={"data_parallel": 1, "tensor_parallel": 2})), tmp_path
    )
    ranks.until((tmp_path / "work" / "states" / "step-0000002" / "state.json").exists)
    ranks.kill()
    assert "going on from step" in finish(world.job(tmp_path, training=often), tmp_path)
    assert losses(tmp_path) == pytest.approx(losses(plain), rel=1e-4)


def test_tensor_parallel_ranks_that_do_not_divide_the_heads_are_refused(world: World, tmp_path: Path) -> None:
    training = SHORT.model_copy(update={"data_parallel": 1, "tensor_parallel": 2})
    model = Model(layers=2, hidden=36, heads=3)
    ranks = start(world.job(tmp_path, training=training, model=model), tmp_path)
    assert ranks.wait() == [3, 3] and "tensor_parallel (2) must divide the model's heads (3)" in ranks.log
