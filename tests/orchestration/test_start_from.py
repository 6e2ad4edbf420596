"""A run that starts from another run's checkpoint reads the version that the event log names, and it is part of its identity."""

import dagster as dg
import pytest

from assets.lake import Identity, Lake
from assets.pretraining.stage import STAGE
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from orchestration.assets_from_stages import _from_other_runs, build_all
from orchestration.lineage import NotMaterializedError
from orchestration.profile import Profile
from tests.conftest import RECIPE, changed

CHECKPOINT = "tiny--step-0000004"


@pytest.fixture
def catalog():
    more = changed(RECIPE, name="more", model__start_from={"recipe": "tiny", "step": 4})
    return Catalog.of([Recipe.model_validate(RECIPE), Recipe.model_validate(more)])


@pytest.fixture
def profile(tmp_path):
    return Profile(
        lake_uri=str(tmp_path / "lake"), launcher_name="local", data_engine="native", scratch_folder=str(tmp_path)
    )


def test_the_checkpoint_is_an_input_that_dagster_has_no_circle_for(catalog):
    assert ("checkpoint", CHECKPOINT) in STAGE.inputs(catalog, "more")
    assert ("checkpoint", CHECKPOINT) not in STAGE.inputs(catalog, "tiny")
    assets, checks = build_all(catalog)
    dg.Definitions.validate_loadable(dg.Definitions(assets=assets, asset_checks=checks, resources={
        "profile": dg.ResourceDefinition.none_resource(), "lake_inputs": dg.mem_io_manager,
    }))  # fmt: skip


def test_the_version_of_the_event_log_is_read(catalog, profile):
    lake = Lake.open(profile.lake_uri)
    refs = []
    for text in ("older", "newer"):
        with lake.write(Identity("checkpoint", CHECKPOINT, {"text": text}, "test")) as out:
            out.write_json("config.json", {"text": text})
        refs.append(
            lake.find("checkpoint", CHECKPOINT, Identity("checkpoint", CHECKPOINT, {"text": text}, "test").version)
        )
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_asset_context(partition_key="more", instance=instance, resources={"profile": profile})
        with pytest.raises(NotMaterializedError, match=CHECKPOINT):
            _from_other_runs(context, STAGE, catalog)
        for manifest in (refs[1], refs[0]):
            metadata = {"version": manifest.version, "digest": manifest.digest}
            event = dg.AssetMaterialization("checkpoint", partition=CHECKPOINT, metadata=metadata)
            instance.report_runless_asset_event(event)
        found = _from_other_runs(context, STAGE, catalog)
        assert found == {"checkpoint": {CHECKPOINT: refs[0]}}
        plain = dg.build_asset_context(partition_key="tiny", instance=instance, resources={"profile": profile})
        assert _from_other_runs(plain, STAGE, catalog) == {}


def test_another_checkpoint_is_another_version(catalog):
    from assets.lake import InputRef

    refs = [InputRef(asset="checkpoint", partition=CHECKPOINT, version="v", digest=digit * 64) for digit in "01"]
    versions = {STAGE.identity(catalog, "more", [ref]).version for ref in refs}
    assert len(versions) == 2


def test_a_folder_counts_by_its_digest_and_not_by_its_place():
    def version(**start):
        recipe = Recipe.model_validate(changed(RECIPE, model__start_from=start))
        return STAGE.identity(Catalog.of([recipe]), "tiny", []).version

    first = version(folder="/data/base", digest="0" * 64)
    assert version(folder="s3://models/base", digest="0" * 64) == first
    assert version(folder="/data/base", digest="1" * 64) != first
