"""`tokka bench train` and the GPU's script, on a tiny model: all three trainers learn the same from the same batches."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from assets.recipe.load import load_recipe
from infra.bench import gpu, train, turns
from infra.bench.measure import CommandFailedError
from infra.bench.peer import Batches
from tests.training_jobs.conftest import MODEL, SEQUENCE, VOCABULARY, World, world

__all__ = ["world"]
STEPS, WARMUP = 6, 2


def test_the_models_size_and_the_recipe_of_its_data(tmp_path: Path) -> None:
    assert train.MODEL.parameters(train.VOCABULARY) == pytest.approx(25e6, rel=0.002)
    path = tmp_path / f"{train.RECIPE}.yaml"
    path.write_text(yaml.safe_dump(train._recipe(steps=7)), "utf-8")
    recipe = load_recipe(path)
    assert recipe.training == train.training(7)
    assert recipe.model.parameters(recipe.tokenizer.vocab_size) == train.MODEL.parameters(train.VOCABULARY)
    assert recipe.tokenizer.name == train.TOKENIZER


def test_three_trainers_agree(world: World, tmp_path: Path) -> None:
    said: list[str] = []
    data = train.Data(world.lake, world.mixture, world.tokenizer, VOCABULARY)
    plan = train.training(STEPS, SEQUENCE, lr=1e-2)
    result = train.compare(data, MODEL, plan, 1, WARMUP, tmp_path / "runs", said.append)
    assert result["losses_agree"], result["loss_difference"]
    # The bare loop differs from the job by the order of a few sums at most.
    assert result["loss_difference"]["bare"] < 1e-5
    assert len(said) == len(train.MODULES) + 1
    turns = result["ratios"].pop("tokka_over_bare_loop_in_turns")
    assert turns["pairs"] == STEPS - 1 - WARMUP and turns["seconds"] > 0
    assert min(turns["cpu"], turns["cpu_in_all"]) > 0
    for name in train.MODULES:
        figures = result[name]
        assert 0 < figures["fastest"] <= figures["seconds_per_step"] and figures["cpu_seconds_per_step"] > 0
        assert figures["tokens_per_second"] == pytest.approx(
            train.RANKS * SEQUENCE / figures["seconds_per_step"], rel=0.02
        )
    for ratio in result["ratios"].values():
        assert ratio["median_of_rounds"] > 0 and len(ratio["rounds"]) == 1
    assert 0 <= result["data_share_of_slowest_step"] < 1
    json.dumps(result)

    lines = [json.loads(line) for line in (tmp_path / "runs" / "bare-0" / "lines.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[-1]["loss"] < lines[0]["loss"]
    batches = np.load(tmp_path / "runs" / "batches.npy")
    assert batches.shape == (STEPS, train.RANKS, SEQUENCE + 1)
    sample = Batches(str(tmp_path / "runs" / "batches.npy"))[3]
    assert sample["tokens"].tolist() == batches[1, 1, :-1].tolist()
    assert sample["labels"].tolist() == batches[1, 1, 1:].tolist()


def test_a_trainer_that_fails_says_why(world: World, tmp_path: Path) -> None:
    data = train.Data(world.lake, world.mixture, world.tokenizer, VOCABULARY + 1)
    with pytest.raises(CommandFailedError, match=f"vocab_size = {VOCABULARY}"):
        train.compare(data, MODEL, train.training(STEPS, SEQUENCE), 1, WARMUP, tmp_path, print)


def test_the_gpus_script_runs_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKKA_PEAK_TFLOPS", "0.1")
    output = tmp_path / "gpu.json"
    gpu.main(
        [
            *("--device", "cpu", "--size", "tiny", "--sequence", "32", "--largest", "2"),
            *("--steps", "2", "--warmup", "1", "--no-compile", "--output", str(output)),
        ]
    )
    found = json.loads(output.read_text("utf-8"))
    assert found["device"] == "cpu" and list(found["sizes"]) == ["tiny"]
    size = found["sizes"]["tiny"]
    for kind in ("tokka", "eager"):
        assert [row["micro_batch"] for row in size[kind]] == [1, 2]
        for row in size[kind]:
            assert row["tokens_per_second"] > 0 and row["mfu"] == pytest.approx(row["tflops"] / 0.1, rel=1e-3)
            assert row["loss"] == pytest.approx(np.log(512), abs=0.3)
    assert size["times_eager"] == pytest.approx(
        size["best"]["tokka"]["tokens_per_second"] / size["best"]["eager"]["tokens_per_second"], abs=1e-3
    )
    assert isinstance(size["targets"]["mfu"]["reached"], bool)


def test_without_a_gpu_the_script_says_what_to_do() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(SystemExit, match="There is no GPU that torch can use"):
        gpu.main([])


def test_processor_time_is_that_of_all_threads_and_no_ticks() -> None:
    before = turns.processor_seconds(os.getpid())
    sum(range(10_000))  # far shorter than a tick of ten milliseconds
    after = turns.processor_seconds(os.getpid())
    assert 0 < after - before < 0.05
    assert after == pytest.approx(time.process_time(), abs=0.05)
