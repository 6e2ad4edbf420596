"""Steps out of the ordinary: what is recognised, what follows, and real runs over damaged data."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.lake import Lake
from assets.pretraining.gate import consumed_digest
from assets.recipe.reliability import Anomalies, Saving
from training_jobs.anomalies import Anomaly, Plan, RewindError, decide, judge
from training_jobs.data import open_mixture
from training_jobs.job import NOT_FINITE, JobError

from .conftest import SHARDS, TRAINING, World
from .forked import finish, start
from .test_resume import assert_same, metrics, steps_logged, summary

BATCH = TRAINING.global_batch
POLICY = Anomalies(window=4)
GOOD = [(3.0, (8, 12)), (3.2, (12, 16))]


def found(policy: Anomalies = POLICY, losses: Any = GOOD, norm: float = 1.0, bad: Any = (), recent: Any = ()) -> Any:
    return judge(policy, 2, losses, norm, bad, recent)


def test_what_is_recognised() -> None:
    assert found() is None and found(recent=[3.0] * 4) is None
    nan = found(losses=[(math.nan, (8, 12)), (3.0, (12, 16))])
    assert nan.kind == "not_finite" and nan.sentence == "The loss is not finite in step 2, in the samples 8 to 11"
    assert found(norm=math.inf).sentence == "The gradient norm is not finite in step 2, in the samples 8 to 15"
    assert found(norm=1001.0).kind == "gradient_norm" and found(norm=1000.0) is None
    assert found(Anomalies(gradient_norm_bounds=(2, 3))).kind == "gradient_norm"
    assert found(bad=[(12, 16)]).kind == "bad_tokens"
    spike = found(losses=[(4.6, (8, 12)), (4.6, (12, 16))], recent=[9.0, 3.0, 3.0, 3.0])
    assert spike.kind == "loss_spike" and "4.6, above 1.5 times 3, the median of the last 4 steps" in spike.sentence
    assert found(losses=[(99.0, (8, 12))], recent=[3.0]) is None, "too few steps for a median"


@given(
    loss=st.floats(allow_nan=True, allow_infinity=True),
    norm=st.floats(allow_nan=True, allow_infinity=True),
    recent=st.lists(st.floats(0.1, 20), max_size=8),
)
def test_what_passes_is_finite_and_within_bounds(loss: float, norm: float, recent: list[float]) -> None:
    if judge(POLICY, 1, [(loss, (0, 4))], norm, [], recent) is None:
        assert math.isfinite(loss) and 0 <= norm <= 1000
        assert len(recent) < 2 or loss <= 1.5 * np.median(recent) * (1 + 1e-12)


def test_what_follows() -> None:
    anomaly = Anomaly("loss_spike", 9, "A spike", ((64, 72),))
    assert decide(Anomalies(loss_spike="note"), anomaly, 99, 99) == "note"
    assert decide(Anomalies(max_skips=2), anomaly, 1, 0) == "skip"
    with pytest.raises(RewindError):
        decide(Anomalies(loss_spike="rewind"), anomaly, 99, 2)
    for policy, limit in (
        (Anomalies(loss_spike="stop"), "A spike. Lower"),
        (Anomalies(max_skips=2), "The limit of 2 skipped steps is reached"),
        (Anomalies(loss_spike="rewind", max_rewinds=1), "The limit of 1 rewind is reached"),
    ):
        with pytest.raises(JobError, match=limit) as stopped:
            decide(policy, anomaly, 2, 1)
        assert stopped.value.code == NOT_FINITE
    for wrong in (
        {"not_finite": "note"},
        {"gradient_norm_bounds": (3, 2)},
        {"spike_factor": 1.0},
        {"loss_spike": "go"},
    ):
        with pytest.raises(ValidationError):
            Anomalies.model_validate(wrong)


def test_a_plan_leaves_out_what_lies_between() -> None:
    plan = Plan().after(Anomaly("loss_spike", 9, "A spike", ((64, 72),)), good=6)
    assert [step for step in range(1, 12) if plan.leaves_out(step)] == [7, 8, 9]
    assert Plan.read(plan.as_json()) == plan


# Real runs


def places(part: Any, number: int) -> list[tuple[int, int]]:
    """Where the tokens of a sample lie in the .bin file of a GPTDataset: (offset, length) in tokens."""
    row = int(part.shuffle_index[number])
    (first, start), (last, stop) = part.sample_index[row].tolist(), part.sample_index[row + 1].tolist()
    pointers, lengths, found = part.dataset.index.sequence_pointers, part.dataset.sequence_lengths, []
    for position in range(first, last + 1):
        document = int(part.document_index[position])
        low = start if position == first else 0
        high = stop + 1 if position == last else int(lengths[document])
        found.append((int(pointers[document]) // 2 + low, high - low))
    return found


def damaged(world: World, folder: Path, steps: list[int], how: Any, samples: int = BATCH) -> World:
    """A copy of the lake in which the first ``samples`` of some steps (from 1) hold other token ids."""
    shutil.copytree(world.lake.root, folder)
    lake = Lake.open(str(folder))
    dataset, _ = open_mixture(world.lake.local(world.mixture), Path(world.lake.root))
    rng = np.random.default_rng(3)
    files = {path: np.memmap(path, dtype="<u2", mode="r+") for path in folder.rglob("*.bin")}
    prefixes = {
        source: path
        for source, prefix in world.prefixes.items()
        for path in files
        if str(path).endswith(f"{prefix}.bin")
    }
    assert set(prefixes) == set(SHARDS)
    for step in steps:
        for sample in range((step - 1) * BATCH, (step - 1) * BATCH + samples):
            part = dataset.datasets[int(dataset.dataset_index[sample])]
            path = next(
                p
                for p in files
                if str(p).endswith(part.dataset.path_prefix.split(world.lake.root)[-1].lstrip("/") + ".bin")
            )
            for offset, length in places(part, int(dataset.dataset_sample_index[sample])):
                files[path][offset : offset + length] = how(rng, length)
    for file in files.values():
        file.flush()
    return World(lake, world.mixture, world.tokenizer, world.prefixes)


def noise(rng: Any, length: int) -> Any:
    return rng.integers(24, 504, length)


def beyond(rng: Any, length: int) -> Any:
    return np.full(length, 60000)


def gate_digest(ours: dict[str, Any]) -> str:
    left_out = [tuple(a["samples"]) for a in ours["anomalies"] if a["action"] != "note"]
    return consumed_digest(TRAINING.steps * BATCH, left_out)


def test_token_ids_outside_the_vocabulary_are_named_and_left_out(world: World, tmp_path: Path) -> None:
    lake = damaged(world, tmp_path / "lake", [5], beyond, samples=1)
    log = finish(lake.job(tmp_path), tmp_path)
    ours = summary(tmp_path)
    named = {anomaly["step"]: anomaly for anomaly in ours["anomalies"]}
    # What follows a damaged sample begins with its last token, and may be of another step.
    assert 5 in named and all(a["kind"] == "bad_tokens" and a["action"] == "skip" for a in named.values())
    assert "Token ids outside the vocabulary in step 5, in the samples 32 to 33" in log
    assert [line["step"] for line in metrics(tmp_path)] == [s for s in range(1, 25) if s not in named]
    assert ours["consumed_digest"] == gate_digest(ours) and ours["steps"] == 24
    assert ours["samples"] == (24 - len(named)) * BATCH


SPIKY = {"window": 8, "spike_factor": 1.1}


@pytest.fixture(scope="session")
def noisy(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A lake whose samples of step 18 are noise."""
    return damaged(world, tmp_path_factory.mktemp("noisy") / "lake", [18], noise)


def test_a_spike_is_left_out_also_after_a_kill(noisy: World, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"anomalies": Anomalies(**SPIKY), "saving": Saving(every_steps=4)})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finish(noisy.job(straight, training=training), straight)
    (anomaly,) = [a for a in summary(straight)["anomalies"] if a["step"] == 18]
    assert anomaly["kind"] == "loss_spike" and anomaly["samples"] == [136, 144]
    assert summary(straight)["consumed_digest"] == gate_digest(summary(straight))
    ranks = start(noisy.job(broken, training=training), broken)
    ranks.until(lambda: steps_logged(broken) >= 18)
    ranks.kill()
    finish(noisy.job(broken, training=training), broken)
    assert_same(broken, straight)


def test_back_to_the_last_good_state_also_after_a_kill(noisy: World, tmp_path: Path) -> None:
    policy = Anomalies(**SPIKY, loss_spike="rewind")
    training = TRAINING.model_copy(update={"anomalies": policy, "saving": Saving(every_steps=5)})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    log = finish(noisy.job(straight, training=training), straight)
    assert "back to the state of step 15; the steps since are left out" in log
    ours = summary(straight)
    assert [(a["step"], a["action"]) for a in ours["anomalies"]] == [(step, "rewind") for step in (16, 17, 18)]
    assert [line["step"] for line in metrics(straight)] == [s for s in range(1, 25) if s not in (16, 17, 18)]
    assert ours["consumed_digest"] == gate_digest(ours)
    ranks = start(noisy.job(broken, training=training), broken)
    ranks.until(lambda: (broken / "work" / "states" / "plan.json").exists() and steps_logged(broken) >= 17)
    ranks.kill()
    finish(noisy.job(broken, training=training), broken)
    assert_same(broken, straight)


def test_the_limits_stop_the_run(noisy: World, tmp_path: Path) -> None:
    for name, policy, sentence in (
        ("stop", Anomalies(**SPIKY, loss_spike="stop"), "the median of the last 8 steps, in step 18"),
        ("skips", Anomalies(**SPIKY, max_skips=0), "The limit of 0 skipped steps is reached"),
        ("rewinds", Anomalies(**SPIKY, loss_spike="rewind", max_rewinds=0), "The limit of 0 rewinds is reached"),
    ):
        folder = tmp_path / name
        ranks = start(noisy.job(folder, training=TRAINING.model_copy(update={"anomalies": policy})), folder)
        assert ranks.wait() == [NOT_FINITE, NOT_FINITE], ranks.log
        assert sentence in ranks.log and not (folder / "output" / "summary.json").exists()


def test_gradient_norms_out_of_bounds(world: World, tmp_path: Path) -> None:
    """The first steps have the steepest gradients: a bound below theirs leaves out some of them."""
    policy = Anomalies(gradient_norm_bounds=(0.0, 2.0), gradient_norm="note")
    finish(world.job(tmp_path, training=TRAINING.model_copy(update={"anomalies": policy})), tmp_path)
    steep = [line["step"] for line in metrics(tmp_path) if line["gradient_norm"] > 2]
    assert [a["step"] for a in summary(tmp_path)["anomalies"]] == steep
    assert json.loads((tmp_path / "output" / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 24
    assert summary(tmp_path)["samples"] == TRAINING.steps * BATCH


def test_weights_that_are_lost_stop_the_run(world: World, tmp_path: Path) -> None:
    training = TRAINING.model_copy(
        update={"lr": 1e30, "warmup_steps": 0, "anomalies": Anomalies(not_finite="rewind", max_rewinds=1)}
    )
    ranks = start(world.job(tmp_path, training=training), tmp_path)
    assert ranks.wait() == [NOT_FINITE, NOT_FINITE], ranks.log
    assert "back to the state of step 0" in ranks.log and "The limit of 1 rewind is reached" in ranks.log
