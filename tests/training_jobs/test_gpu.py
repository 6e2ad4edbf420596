"""On a GPU: the models beside Hugging Face's, and whole runs, killed and resumed. ``infra/bench/gpu.sh`` runs them."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM

from assets.recipe.reliability import Saving
from assets.recipe.training import Model
from training_jobs.launchers.records import read_record
from training_jobs.sharding import compile_blocks, recompute

from .conftest import TRAINING, World, submit, wait
from .networks import hugging_face, started

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch sees"),
]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# FlexAttention's kernels ask for heads of 16 numbers at least.
BLOOM = Model(layers=2, hidden=128, heads=4)
LLAMA = Model(architecture="llama", layers=2, hidden=128, heads=4, kv_heads=2, feed_forward=256)


@pytest.mark.parametrize("model", [BLOOM, LLAMA], ids=["bloom", "llama"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("again", ["none", "full"])
def test_loss_and_gradients_are_hugging_faces(model: Model, compiled: bool, again: str) -> None:
    """In float32 against the eager model. FlexAttention's products keep ten bits (TF32)."""
    network = started(model.model_copy(update={"init_std": 0.1}), 1000)
    theirs = hugging_face(network).to(DEVICE)
    network.to(DEVICE)
    if compiled:
        torch.compiler.reset()
        compile_blocks(network.blocks)
    recompute(network.blocks, again)
    tokens = torch.randint(0, 1000, (2, 301), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    with torch.no_grad():
        network(inputs[:, :64])  # as the probe is
    expected = functional.cross_entropy(theirs(inputs).logits.flatten(0, 1), labels.flatten())
    expected.backward()
    loss = network(inputs, labels)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        largest = gradients[name].abs().max().item()
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=0.02 * largest + 1e-5, msg=name)


def metrics(folder: Path) -> list[dict[str, Any]]:
    path = folder / "output" / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("model", [BLOOM, LLAMA], ids=["bloom", "llama"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_is_killed_and_goes_on(world: World, tmp_path: Path, model: Model, compiled: bool) -> None:
    """The job itself in bf16 on one rank: what is lost is done again, and Hugging Face computes what it has exported."""
    ways = {"precision": "bf16", "data_parallel": 1, "compile": compiled, "saving": Saving(every_steps=4)}
    training = TRAINING.model_copy(update=ways)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    launcher, job = submit(world.job(straight, model=model, training=training), straight)
    assert wait(launcher, job, 600) == 0, launcher.logs(job)

    launcher, job = submit(world.job(broken, model=model, training=training), broken)
    deadline = time.monotonic() + 600
    while len(metrics(broken)) < 10:
        assert time.monotonic() < deadline and not launcher.poll(job).ended, launcher.logs(job)
        time.sleep(0.002)
    os.killpg(int(read_record(job).native.split()[0]), signal.SIGKILL)
    launcher, job = submit(world.job(broken, model=model, training=training), broken)
    assert wait(launcher, job, 600) == 0, launcher.logs(job)
    assert "going on from step" in launcher.logs(job)
    losses = [[line["loss"] for line in metrics(folder)] for folder in (straight, broken)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3) and losses[0][-1] < losses[0][0] - 1
    summaries = [json.loads((folder / "output" / "summary.json").read_text()) for folder in (straight, broken)]
    assert summaries[0]["consumed_digest"] == summaries[1]["consumed_digest"]
    assert all(summary["peak_memory_bytes"] > 0 and summary["cost"]["tflops"] > 0 for summary in summaries)

    last = broken / "output" / "checkpoints" / f"step-{training.steps:07d}"
    theirs = AutoModelForCausalLM.from_pretrained(last, dtype=torch.float32, local_files_only=True)
    probe = load_file(last / "probe.safetensors")
    with torch.no_grad():
        logits = theirs(probe["input_ids"]).logits
    assert (logits - probe["logits"]).abs().max() < 0.05 * probe["logits"].abs().max()
