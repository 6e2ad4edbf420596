"""The gate of a pretraining run: one good run, and one for each thing that it must stop."""

import copy
import hashlib
import json
import math
import struct

import pytest

from assets.lake import Identity
from assets.pretraining.gate import consumed_digest
from assets.pretraining.stage import STAGE, read_metrics
from assets.recipe.catalog import step_name
from assets.stage import Plot
from tests.conftest import failed_columns, judged
from training_jobs import progress

STEPS, BATCH, SEQUENCE = 4, 4, 16
SAMPLES = STEPS * BATCH

GOOD = {
    "metrics": [
        {"step": step, "loss": 6.0 - step, "learning_rate": 0.001, "tokens": step * BATCH * SEQUENCE}
        for step in range(1, STEPS + 1)
    ],
    "summary": {
        "steps": STEPS,
        "tokens": SAMPLES * SEQUENCE,
        "samples": SAMPLES,
        "consumed_digest": progress.consumed_digest([[0, SAMPLES]]),
        "last_loss": 2.0,
        "tokens_per_second": 100.0,
    },
    "checkpoints": [0, STEPS],
}


def put_run(lake, run, name="good"):
    """A pretraining run in the lake, written as the job writes it."""
    who = Identity("pretraining_run", "tiny", {"run": name}, "test")
    with lake.write(who) as out:
        lines = "".join(json.dumps(line) + "\n" for line in run["metrics"])
        out.stage("metrics.jsonl").write_text(lines, "utf-8")
        out.write_json("summary.json", run["summary"])
        for step in run["checkpoints"]:
            out.stage(f"checkpoints/{step_name(step)}/model.safetensors").write_bytes(b"weights")
    return lake.find("pretraining_run", "tiny", who.version)


def test_a_good_run_passes_and_is_shown(lake, catalog):
    run = put_run(lake, GOOD)
    receipt = judged(STAGE, lake, run, catalog)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert receipt.numbers == {"last_loss": 2.0, "loss_change": -3.0, "tokens_per_second": 100.0}
    assert [m["step"] for m in read_metrics(lake, run)] == [1, 2, 3, 4]
    shown = STAGE.show(lake, run)
    assert isinstance(shown["loss"], Plot) and shown["last_loss"] == 2.0


def loss_not_a_number(run):
    run["metrics"][2]["loss"] = math.nan


def loss_infinite(run):
    run["metrics"][2]["loss"] = math.inf


def last_loss_not_a_number(run):
    run["metrics"][-1]["loss"] = math.nan


def loss_rising(run):
    for line in run["metrics"]:
        line["loss"] = 1.0 + line["step"]


def tokens_missing(run):
    run["summary"]["tokens"] -= SEQUENCE


def tokens_too_many(run):
    run["summary"]["tokens"] += SEQUENCE


def steps_missing(run):
    run["summary"]["steps"] -= 1


def a_step_logged_twice(run):
    run["metrics"].insert(2, dict(run["metrics"][1]))


def steps_out_of_order(run):
    run["metrics"][1], run["metrics"][2] = run["metrics"][2], run["metrics"][1]


def samples_repeated(run):
    run["summary"]["consumed_digest"] = progress.consumed_digest([[0, 8], [4, 16]])


def samples_repeated_instead_of_others(run):
    run["summary"]["consumed_digest"] = progress.consumed_digest([[0, 8], [4, 12]])


def samples_skipped(run):
    run["summary"]["consumed_digest"] = progress.consumed_digest([[0, 8], [12, 16]])


def samples_in_another_order(run):
    run["summary"]["consumed_digest"] = progress.consumed_digest([[8, 16], [0, 8]])


def first_checkpoint_missing(run):
    run["checkpoints"].remove(0)


def last_checkpoint_missing(run):
    run["checkpoints"].remove(STEPS)


@pytest.mark.parametrize(
    ("damage", "column"),
    [
        (loss_not_a_number, "losses_not_finite"),
        (loss_infinite, "losses_not_finite"),
        (last_loss_not_a_number, "losses_not_finite"),
        (loss_rising, "loss_change"),
        (tokens_missing, "tokens_missing"),
        (tokens_too_many, "tokens_missing"),
        (steps_missing, "steps_missing"),
        (a_step_logged_twice, "steps_out_of_order"),
        (steps_out_of_order, "steps_out_of_order"),
        (samples_repeated, "samples_differ"),
        (samples_repeated_instead_of_others, "samples_differ"),
        (samples_skipped, "samples_differ"),
        (samples_in_another_order, "samples_differ"),
        (first_checkpoint_missing, "checkpoints_missing"),
        (last_checkpoint_missing, "checkpoints_missing"),
    ],
)
def test_a_damaged_run_is_stopped(lake, catalog, damage, column):
    run = copy.deepcopy(GOOD)
    damage(run)
    receipt = judged(STAGE, lake, put_run(lake, run, damage.__name__), catalog)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_a_run_without_any_logged_step_is_stopped(lake, catalog):
    receipt = judged(STAGE, lake, put_run(lake, {**GOOD, "metrics": []}, "empty"), catalog)
    assert failed_columns(receipt) == {"loss_change"}


@pytest.mark.parametrize("samples", [0, 1, SAMPLES, (1 << 20) - 1, 1 << 20, (1 << 20) + 3])
def test_the_digest_is_over_every_sample_number_once_in_order(samples):
    direct = hashlib.sha256(b"".join(struct.pack("<q", number) for number in range(samples))).hexdigest()
    assert consumed_digest(samples) == direct == progress.consumed_digest([[0, samples]])


def test_a_resumed_run_that_went_on_without_a_gap_has_the_same_digest():
    runs = []
    for start in range(0, SAMPLES, BATCH):
        progress.add_ranges(runs, [(start, start + 2), (start + 2, start + BATCH)])
    assert runs == [[0, SAMPLES]]
    assert progress.consumed_digest(runs) == consumed_digest(SAMPLES)


def test_the_code_that_makes_the_weights_decides_the_version():
    makers = {"bloom", "data", "export", "model", "pretrain", "trainer"}
    assert {f"training_jobs.{name}" for name in makers} <= set(STAGE.code)
