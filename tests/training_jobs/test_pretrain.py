"""Pretraining end to end on two ranks: files, falling loss, killed and resumed, refusals."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from assets.lake import InputRef
from assets.recipe.reliability import Anomalies
from training_jobs.cost import Matrices

from .conftest import MODEL, SEQUENCE, TRAINING, VOCABULARY, World, receipt_for, run_module

SAMPLES = TRAINING.steps * TRAINING.global_batch


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "output" / "metrics.jsonl").read_text().splitlines()]


def summary(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "output" / "summary.json").read_text())
    return found


def test_files_of_a_run(finished: Path) -> None:
    output = finished / "output"
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    parts = ("model.safetensors", "config.json", "generation_config.json", "probe.safetensors")
    checkpoints = {f"checkpoints/step-{step:07d}/{part}" for step in TRAINING.checkpoints for part in parts}
    assert names == checkpoints | {
        "metrics.jsonl",
        "validation.jsonl",
        "summary.json",
        "config.json",
        "environment.json",
    }

    weights = load_file(output / "checkpoints" / "step-0000024" / "model.safetensors")
    assert "lm_head.weight" not in weights
    assert sum(value.numel() for value in weights.values()) == MODEL.parameters(VOCABULARY)
    probe = load_file(output / "checkpoints" / "step-0000000" / "probe.safetensors")
    assert probe["input_ids"].dtype == torch.int64 and probe["input_ids"].shape == (2, SEQUENCE)
    assert probe["logits"].dtype == torch.float32 and probe["logits"].shape == (2, SEQUENCE, VOCABULARY)
    config = (output / "config.json").read_text()
    assert json.loads(config)["derived"]["parameters"] == MODEL.parameters(VOCABULARY)
    assert str(finished) not in config


def test_loss_falls_and_every_sample_is_used_once(finished: Path) -> None:
    lines, found = metrics(finished), summary(finished)
    assert [line["step"] for line in lines] == list(range(1, TRAINING.steps + 1))
    assert lines[0]["loss"] == pytest.approx(np.log(VOCABULARY), abs=0.2)
    assert lines[-1]["loss"] < lines[0]["loss"] - 1
    assert lines[-1]["tokens"] == found["tokens"] == TRAINING.tokens
    assert max(line["learning_rate"] for line in lines) == pytest.approx(TRAINING.lr)
    assert found["consumed_digest"] == hashlib.sha256(np.arange(SAMPLES, dtype="<i8").tobytes()).hexdigest()
    assert found["loss_finite"] is True


def test_cost_of_a_run(world: World, finished: Path) -> None:
    lines, found = metrics(finished), summary(finished)
    per_token = Matrices.of(MODEL, VOCABULARY).flops_per_token(SEQUENCE, recomputation=False)
    for line in lines:
        assert line["tflops"] == pytest.approx(line["tokens_per_second"] * per_token / 1e12, rel=1e-3)
        assert 0 <= line["data_seconds"] <= line["seconds"] and line["mfu"] is None
    cost = found["cost"]
    assert isinstance(cost, dict)
    assert cost["rank_hours"] == pytest.approx(2 * found["seconds"] / 3600, rel=1e-3)
    assert cost["energy_kwh"] == pytest.approx(cost["rank_hours"] * 0.05 * 1.5, rel=1e-3)
    assert cost["energy_from"].startswith("50 W per device")
    assert cost["co2_kg"] == pytest.approx(cost["energy_kwh"] * 0.1, rel=1e-3)
    assert f"model FLOPs: {cost['formula']}; peak: {cost['peak']}" in (finished / "job.log").read_text()
    assert "pue" not in (finished / "output" / "config.json").read_text()


def test_refuses_an_input_without_a_receipt(world: World, tmp_path: Path) -> None:
    other = world.lake.find("tokenized_shards", "fi--tiny", world.prefixes["fi"].split("/")[2])
    assert other is not None and world.lake.receipt(other) is None
    spec = tmp_path / "spec.json"
    spec.write_text(world.job(tmp_path, tokenizer=other.ref).model_dump_json())
    done = run_module("training_jobs.pretrain", spec)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1 and "may not be used: its gate has not run" in done.stderr

    world.lake.write_receipt(receipt_for(other.ref, passed=False))
    done = run_module("training_jobs.pretrain", spec)
    assert done.returncode == 4 and "its gate failed" in done.stderr


def test_refuses_what_does_not_fit(world: World, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    unknown = InputRef(asset="mixture", partition="tiny", version="0" * 16, digest="0" * 64)
    other = InputRef(asset="tokenizer", partition="tiny", version="1" * 16, digest="1" * 64)
    risks = {unknown.name: "a test", other.name: "a test"}
    for changes, sentence in (
        ({"mixture": unknown, "accepted_risks": risks}, "is not in the lake"),
        ({"tokenizer": other, "accepted_risks": risks}, f"but the run was given {other.name}"),
        ({}, "asks for 2 ranks (data_parallel x tensor_parallel), but 1 were started"),
        ({"vocab_size": 600, "training": TRAINING.model_copy(update={"data_parallel": 1})}, "vocab_size = 512"),
    ):
        spec.write_text(world.job(tmp_path, **changes).model_dump_json())
        done = run_module("training_jobs.pretrain", spec)
        assert done.returncode == 3 and sentence in done.stderr, done.stderr
    assert run_module("training_jobs.pretrain", tmp_path / "missing.json").returncode == 2


def test_stops_at_a_loss_that_is_not_finite(world: World, tmp_path: Path) -> None:
    """One rank, started without a launcher."""
    training = TRAINING.model_copy(
        update={
            "data_parallel": 1,
            "micro_batch": 4,
            "lr": 1e30,
            "warmup_steps": 0,
            "anomalies": Anomalies(not_finite="stop"),
        }
    )
    spec = tmp_path / "spec.json"
    spec.write_text(world.job(tmp_path, training=training).model_dump_json())
    done = run_module("training_jobs.pretrain", spec)
    assert done.returncode == 5, done.stderr
    assert "is not finite in step 2, in the samples 8 to 1" in done.stderr
    assert not (tmp_path / "output" / "summary.json").exists()
