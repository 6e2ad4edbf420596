"""Which versions a step is given."""

from pathlib import Path

import dagster as dg

from assets.lake import Manifest
from orchestration.lineage import of_one_model
from tests.orchestration.automation.place import Place

KEY = "tiny--step-0000004"


def given(place: Place, *inputs: tuple[str, str]) -> dict[str, dict[str, Manifest]]:
    """The versions that the event log names."""
    found: dict[str, dict[str, Manifest]] = {}
    for asset, key in inputs:
        ref = place.ref(asset, key)
        assert ref is not None
        found.setdefault(asset, {})[key] = place.lake.manifest(ref)
    return found


def test_a_model_is_scored_with_what_it_was_trained_on_though_the_data_went_on(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Place(tmp_path, instance)
        place.road("checkpoint")
        inputs = [("checkpoint", KEY), ("mixture", "tiny"), ("decontaminated_corpus", "docs_fi")]
        before = given(place, *inputs)
        assert of_one_model(place.lake, "evaluation", before) == before
        place.make("decontaminated_corpus", "docs_fi", "2")
        place.make("mixture", "tiny", "2")
        after = given(place, *inputs)
        assert after != before
        assert of_one_model(place.lake, "evaluation", after) == before
        # What is not of a model takes what is current.
        data = given(place, ("decontaminated_corpus", "docs_fi"))
        assert of_one_model(place.lake, "tokenized_shards", data) == data


def test_a_checkpoint_has_the_tokenizer_of_its_run(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Place(tmp_path, instance)
        place.road("pretraining_run")
        inputs = [("pretraining_run", "tiny"), ("tokenizer", "tiny-bpe")]
        before = given(place, *inputs)
        place.make("tokenizer", "tiny-bpe", "2")
        assert of_one_model(place.lake, "checkpoint", given(place, *inputs)) == before


def test_what_the_model_never_read_is_the_current_version(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Place(tmp_path, instance)
        place.road("checkpoint")
        place.recipe["tasks"]["later"] = place.recipe["tasks"]["heldout_fi"]
        place.make("benchmark", "later")
        inputs = given(place, ("checkpoint", KEY), ("benchmark", "later"), ("benchmark", "heldout_fi"))
        assert of_one_model(place.lake, "evaluation", inputs) == inputs
