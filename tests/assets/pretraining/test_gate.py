"""The gate of a pretraining run: one good run, and one for each thing that it must stop."""

import copy
import hashlib
import json
import math
import struct

import pytest

from assets.lake import Identity
from assets.pretraining.cost import known_figures
from assets.pretraining.gate import consumed_digest
from assets.pretraining.stage import STAGE, read_metrics
from assets.recipe.catalog import Catalog, step_name
from assets.recipe.cost import CostAssumptions
from assets.recipe.model import Recipe
from assets.recipe.training import Model
from assets.stage import Plot, Table
from tests.conftest import RECIPE, changed, failed_columns, judged
from training_jobs import progress
from training_jobs.cost import Gauge, Matrices

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
        "anomalies": [],
        "tokens_per_second": 100.0,
        "cost": Gauge(
            Matrices.of(Model(layers=2, hidden=32, heads=4), 512),
            SEQUENCE,
            devices=2,
            device="a CPU",
            precision="fp32",
            assumptions=CostAssumptions(power_watts=60, grid_kg_per_kwh=0.03),
        ).cost(SAMPLES * SEQUENCE, 3600.0, None),
    },
    "checkpoints": [0, STEPS],
}


def put_run(lake, run, name="good", recipe="tiny"):
    """A pretraining run in the lake, written as the job writes it."""
    who = Identity("pretraining_run", recipe, {"run": name}, "test")
    with lake.write(who) as out:
        lines = "".join(json.dumps(line) + "\n" for line in run["metrics"])
        out.stage("metrics.jsonl").write_text(lines, "utf-8")
        out.write_json("summary.json", run["summary"])
        for step in run["checkpoints"]:
            out.stage(f"checkpoints/{step_name(step)}/model.safetensors").write_bytes(b"weights")
    return lake.find("pretraining_run", recipe, who.version)


def test_a_good_run_passes_and_is_shown(lake, catalog):
    run = put_run(lake, GOOD)
    receipt = judged(STAGE, lake, run, catalog)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert receipt.numbers == {"last_loss": 2.0, "loss_change": -3.0, "tokens_per_second": 100.0}
    assert [m["step"] for m in read_metrics(lake, run)] == [1, 2, 3, 4]
    shown = STAGE.show(lake, run)
    assert isinstance(shown["loss"], Plot) and shown["last_loss"] == 2.0
    assert isinstance(shown["cost"], Table)
    cost = {row["what"]: (row["value"], row["rests on"]) for row in shown["cost"].rows}
    assert cost["energy in kWh"] == ("0.12", "60 W per device (TOKKA_POWER_WATTS) x 2 x time; PUE 1")
    assert cost["CO2 in kg"] == ("0.0036", "0.03 kg per kWh")
    assert cost["hours over all ranks"][0] == "2"
    assert cost["MFU"] == ("not known", "not known for a CPU; set TOKKA_PEAK_TFLOPS (per device) for a utilisation")
    assert known_figures(GOOD["summary"]).keys() == {"tflops", "tflops_recomputed", "energy_kwh", "co2_kg"}


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


def a_step_neither_logged_nor_left_out(run):
    del run["metrics"][1]


def left_out(step, kind="loss_spike", action="skip"):
    samples = [(step - 1) * BATCH, step * BATCH]
    return {"step": step, "kind": kind, "action": action, "samples": samples, "sentence": f"A spike in step {step}"}


def without(run, *steps):
    """The run as the job writes it when it leaves out some steps."""
    run["metrics"] = [line for line in run["metrics"] if line["step"] not in steps]
    kept = [step for step in range(1, STEPS + 1) if step not in steps]
    run["summary"]["anomalies"] = [left_out(step) for step in steps]
    run["summary"]["tokens"] = len(kept) * BATCH * SEQUENCE
    ranges = [[(step - 1) * BATCH, step * BATCH] for step in kept]
    run["summary"]["consumed_digest"] = progress.consumed_digest(ranges)


def a_quarter_left_out(run):
    without(run, 2)


def left_out_but_trained_on(run):
    run["summary"]["anomalies"] = [left_out(2)]


def left_out_with_other_samples(run):
    without(run, 2)
    run["summary"]["anomalies"][0]["samples"] = [0, 2 * BATCH]


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
        (a_step_neither_logged_nor_left_out, "steps_unaccounted"),
        (a_quarter_left_out, "share_left_out"),
        (left_out_but_trained_on, "steps_unaccounted"),
        (left_out_with_other_samples, "samples_differ"),
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


@pytest.mark.parametrize(
    ("losses", "passes"),
    [
        ([4.1, 4.0, 4.2, 4.1, 4.0, 4.2], True),
        ([4.1, 4.0, 4.2, 4.1, 4.2, 4.2], True),  # 0.07 higher, and the steps lie 0.1 apart
        ([4.1, 4.0, 4.2, 4.8, 4.9, 5.1], False),
        ([4.1, 4.0, 4.2, 40.0, 90.0, 100.0], False),
        ([2.0, 2.0, 2.0, 2.1, 2.1, 2.1], False),
        ([2.0, 2.1], True),  # too few to tell
    ],
)
def test_a_run_from_a_checkpoint_may_stay_where_it_is_but_not_rise(lake, losses, passes):
    first = Recipe.model_validate(RECIPE)
    start = {"recipe": first.name, "step": max(first.training.checkpoints)}
    steps = {"training__steps": len(losses), "training__checkpoints": [0, len(losses)]}
    second = changed(RECIPE, name="more", model__start_from=start, **steps)
    catalog = Catalog.of([first, Recipe.model_validate(second)])
    run = copy.deepcopy(GOOD)
    run["metrics"] = [{"step": n, "loss": loss, "tokens": n * BATCH * SEQUENCE} for n, loss in enumerate(losses, 1)]
    samples = BATCH * len(losses)
    run["summary"] |= {"steps": len(losses), "tokens": samples * SEQUENCE, "samples": samples}
    run["summary"]["consumed_digest"] = consumed_digest(samples)
    run["checkpoints"] = [0, len(losses)]
    receipt = judged(STAGE, lake, put_run(lake, run, "more", "more"), catalog)
    assert receipt.passed == passes, (receipt.error, receipt.failed)
    assert failed_columns(receipt) == (set() if passes else {"loss_rise"})


def test_a_run_without_any_logged_step_is_stopped(lake, catalog):
    receipt = judged(STAGE, lake, put_run(lake, {**GOOD, "metrics": []}, "empty"), catalog)
    assert failed_columns(receipt) == {"loss_change", "steps_unaccounted"}


@pytest.mark.parametrize("samples", [0, 1, SAMPLES, (1 << 20) - 1, 1 << 20, (1 << 20) + 3])
def test_the_digest_is_over_every_sample_number_once_in_order(samples):
    direct = hashlib.sha256(b"".join(struct.pack("<q", number) for number in range(samples))).hexdigest()
    assert consumed_digest(samples) == direct == progress.consumed_digest([[0, samples]])


def test_the_digest_leaves_out_what_is_named():
    ranges = [(4, 8), (12, 16)]
    kept = [*range(4), *range(8, 12)]
    direct = hashlib.sha256(b"".join(struct.pack("<q", number) for number in kept)).hexdigest()
    assert consumed_digest(16, ranges) == consumed_digest(16, ranges[::-1]) == direct
    assert direct == progress.consumed_digest([[0, 4], [8, 12]])
    assert consumed_digest(8, [(0, 8)]) == consumed_digest(0)


def test_left_out_steps_that_are_few_and_named_only_warn(lake, catalog, monkeypatch):
    run = copy.deepcopy(GOOD)
    without(run, 3)
    # Of 4 steps no number that is above 0 is few.
    monkeypatch.setattr("assets.pretraining.gate.FEW", 0.25)
    version = put_run(lake, run, "left-out")
    receipt = judged(STAGE, lake, version, catalog)
    assert receipt.passed and [e.column for e in receipt.failed] == ["steps_left_out"], (receipt.error, receipt.failed)
    shown = STAGE.show(lake, version)
    assert isinstance(shown["anomalies"], Table) and shown["anomalies"].rows[0]["samples"] == "[8, 12]"


def test_validation_losses_are_shown(lake, catalog):
    who = Identity("pretraining_run", "tiny", {"run": "validated"}, "test")
    with lake.write(who) as out:
        out.stage("metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in GOOD["metrics"]), "utf-8")
        out.write_json("summary.json", GOOD["summary"])
        rows = [{"step": step, "losses": {"fi": 5.0 - step, "en": 4.0 - step}} for step in (0, STEPS)]
        out.stage("validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    shown = STAGE.show(lake, lake.find("pretraining_run", "tiny", who.version))
    assert isinstance(shown["validation"], Plot) and shown["validation"].png.startswith(b"\x89PNG")


def test_how_states_are_saved_and_ranks_are_watched_makes_no_other_version(catalog):
    base = STAGE.config(catalog, "tiny")["training"]
    assert not {"saving", "watching", "log_every"} & set(base)
    assert {"anomalies", "activation_checkpointing", "compile", "shard_over", "data_parallel"} <= set(base)


def test_a_resumed_run_that_went_on_without_a_gap_has_the_same_digest():
    runs = []
    for start in range(0, SAMPLES, BATCH):
        progress.add_ranges(runs, [(start, start + 2), (start + 2, start + BATCH)])
    assert runs == [[0, SAMPLES]]
    assert progress.consumed_digest(runs) == consumed_digest(SAMPLES)


def test_the_code_that_makes_the_weights_decides_the_version():
    makers = {
        "attention",
        "bloom",
        "cross_entropy",
        "data",
        "export",
        "language_model",
        "llama",
        "model",
        "pretrain",
        "start",
        "trainer",
    }
    assert {f"training_jobs.{name}" for name in makers} <= set(STAGE.code)
