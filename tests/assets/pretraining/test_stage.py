"""The stage of a pretraining run: what it asks its job to do, and what it leaves behind."""

import json
from pathlib import Path

import pytest

from assets.lake import Identity
from assets.pretraining.stage import STAGE
from assets.recipe.catalog import Catalog, step_name
from assets.recipe.jobs import PretrainingJob
from assets.recipe.model import Recipe
from tests.assets.pretraining.test_gate import GOOD
from tests.conftest import changed, make_version


def put_inputs(lake):
    found = {}
    for asset, partition in (("mixture", "tiny"), ("tokenizer", "tiny-bpe")):
        who = Identity(asset, partition, {}, "test")
        with lake.write(who) as out:
            out.write_json("x.json", {})
        found[asset] = {partition: lake.find(asset, partition, who.version)}
    return found


@pytest.mark.parametrize(("place", "accelerator"), [("scratch", "cpu"), ("lake", "cuda")])
def test_states_lie_where_the_recipe_says_and_go_when_the_run_is_done(lake, tmp_path, recipe_value, place, accelerator):
    saving = {"place": place, "every_minutes": 5}
    watching = {"restarts": 2, "preemptions": 9}
    recipe = changed(recipe_value, training__saving=saving, training__watching=watching)
    catalog = Catalog.of([Recipe.model_validate(recipe)])
    scratch = tmp_path / "scratch" / "0123456789abcdef"
    scratch.mkdir(parents=True)
    asked = []

    def run(request):
        """What the job leaves behind: a state, and its output."""
        job = PretrainingJob.model_validate_json(request.spec.read_bytes())
        asked.append((request, job))
        state = Path(job.states or job.work) / "step-0000002"
        state.mkdir(parents=True)
        (state / "state.json").write_text("{}")
        output = Path(job.output)
        (output / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in GOOD["metrics"]))
        (output / "summary.json").write_text(json.dumps(GOOD["summary"] | {"seconds": 1.0}))
        (output / "environment.json").write_text(json.dumps({"accelerator": accelerator}))
        for step in (0, 4):
            (output / "checkpoints" / step_name(step)).mkdir(parents=True)
            (output / "checkpoints" / step_name(step) / "model.safetensors").write_bytes(b"weights")

    made = make_version(STAGE, lake, catalog, "tiny", put_inputs(lake), scratch, run)
    ((request, job),) = asked
    assert request.restarts == {6: 2, 137: 2, 75: 9}
    uri = f"{lake.uri}/.states/tiny-0123456789abcdef"
    assert job.states == (uri if place == "lake" else "") and request.writes == (
        (Path(uri),) if place == "lake" else ()
    )
    assert not Path(uri).exists()
    assert made.cost["rank_hours"] > 0
    assert made.cost["gpu_hours"] == (made.cost["rank_hours"] if accelerator == "cuda" else 0.0)
    names = {file.path for file in made.files}
    assert "summary.json" in names and not any("state" in name for name in names)
    # Neither is part of what decides the weights.
    assert made.config == STAGE.config(Catalog.of([Recipe.model_validate(recipe_value)]), "tiny")
