"""What the UI is given of a gate: its expectations, and where it failed what there is to look at."""

from dataclasses import replace
from typing import Any

import dagster as dg

from assets.cleaning.stage import STAGE as CLEAN
from assets.corpora.stage import STAGE as RAW
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.stage import Table
from orchestration.show import check_metadata, materialization_metadata
from tests.conftest import RECIPE, changed, judged, make_version
from tests.workplace import DEMO


def cleaned(lake: Lake, removed: float) -> tuple[Manifest, dict[str, Any]]:
    """The cleaned pages of a demo corpus, and the metadata of their gate, which allows ``removed`` of them to go."""
    source = {
        "files": str(DEMO / "gnome_help_fi.jsonl.gz"),
        "bounds": {"removed": removed, "removed_by_reason": {"mixed_language": 1}},
    }
    catalog = Catalog.of(
        [Recipe.model_validate(changed(RECIPE, **{f"sources__docs_fi__{k}": v for k, v in source.items()}))]
    )
    raw = make_version(RAW, lake, catalog, "docs_fi")
    clean = make_version(CLEAN, lake, catalog, "docs_fi", {"raw_corpus": {"docs_fi": raw}})
    return clean, dict(check_metadata(CLEAN, lake, clean, judged(CLEAN, lake, clean, catalog), "receipt.json"))


def test_a_gate_that_passes_shows_its_expectations(lake):
    _, metadata = cleaned(lake, 1.0)
    assert {record["passed"] for record in rows(metadata["expectations"])} == {"yes"}
    assert not [name for name in metadata if name.startswith(("bounds", "chart", "evidence"))]


def test_a_gate_that_fails_shows_above_all_what_failed_with_the_plots_and_samples_of_the_version(lake):
    _, metadata = cleaned(lake, 0.05)
    (failed,) = rows(metadata["bounds not kept"])
    assert failed["column"] == "removed_share" and failed["allowed"] == "<= 0.05" and float(failed["observed"]) > 0.05
    assert "](data:image/png;base64," in metadata["chart/Documents removed by cleaning"].value
    assert {record["reason"] for record in rows(metadata["evidence/reasons"])} >= {"mixed_language"}
    # The UI sorts them by name.
    names = sorted(metadata)
    assert names[0] == "bounds not kept" and names.index("evidence/reasons") < names.index("expectations")


def test_a_version_whose_files_are_not_there_is_no_error(lake):
    clean, _ = cleaned(lake, 0.05)
    for entry in clean.files:
        lake.fs.rm_file(lake.path(clean, entry.path))
    receipt = lake.receipt(clean.ref)
    assert receipt is not None
    metadata = check_metadata(CLEAN, lake, clean, receipt, "receipt.json")
    assert rows(metadata["bounds not kept"])
    assert str(metadata["evidence"].value).startswith("There is none: FileNotFoundError")


def test_a_table_under_the_name_of_a_count_is_shown(lake):
    clean, _ = cleaned(lake, 1.0)
    stage = replace(CLEAN, show=lambda lake, manifest: {"documents": Table([{"task": "heldout", "score": 1.5}])})
    metadata = materialization_metadata(stage, lake, clean, reused=False)
    assert rows(metadata["documents"]) == [{"task": "heldout", "score": 1.5}]
    assert metadata["documents_in"].value == clean.counts["documents_in"]


def rows(value: Any) -> list[dict[str, Any]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]
