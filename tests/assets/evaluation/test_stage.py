"""What an evaluation reads, and what it asks of its job: protected benchmarks are not scored, contaminated items are named."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.decontamination.stage import matches_schema
from assets.evaluation.contamination import SHARE, contaminated_items
from assets.evaluation.stage import STAGE
from assets.lake import Identity, Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed, make_version

KEY = "tiny--step-0000004"
PROTECTED = {"kind": "protected", "files": ["a.jsonl", "b.jsonl"], "fields": ["question"]}
CATALOG = Catalog.of([Recipe.model_validate(changed(RECIPE, tasks__quiz=PROTECTED))])


def put(lake: Lake, asset: str, partition: str, matches: list[tuple[str, str, float]] | None = None) -> Manifest:
    who = Identity(asset, partition, {}, "test")
    with lake.write(who) as out:
        out.counts.update(step=4, tokens=64, items=3)
        if matches is not None:
            rest = {"document": "d", "words": 13, "dropped": True, "excerpt": ""}
            rows = [{**rest, "benchmark": b, "item": i, "share": share} for b, i, share in matches]
            pq.write_table(pa.Table.from_pylist(rows, matches_schema()), out.stage("matches.parquet"))
    made = lake.find(asset, partition, who.version)
    assert made is not None
    return made


@pytest.fixture
def corpora(lake: Lake) -> dict[str, Manifest]:
    found = {
        "docs_fi": [("heldout_fi", "b", SHARE), ("heldout_fi", "c", SHARE - 0.01), ("quiz", "q", 1.0)],
        "docs_pairs": [("heldout_fi", "a", 1.0), ("heldout_fi", "b", 0.5), ("heldout_fi", "b", 0.6)],
    }
    return {source: put(lake, "decontaminated_corpus", source, matches) for source, matches in found.items()}


def test_an_item_is_contaminated_from_a_share_of_a_passage_on(lake: Lake, corpora: dict[str, Manifest]) -> None:
    assert contaminated_items(lake, corpora.values(), ["heldout_fi", "other"]) == {
        "heldout_fi": ["a", "b"],
        "other": [],
    }
    assert contaminated_items(lake, [], ["heldout_fi"]) == {"heldout_fi": []}


def test_what_is_read_are_scored_benchmarks_and_the_corpora_of_the_mixture() -> None:
    assert STAGE.inputs(CATALOG, KEY) == [
        ("checkpoint", KEY),
        ("mixture", "tiny"),
        ("benchmark", "heldout_fi"),
        ("decontaminated_corpus", "docs_fi"),
        ("decontaminated_corpus", "docs_pairs"),
    ]
    assert list(STAGE.config(CATALOG, KEY)["tasks"]) == ["heldout_fi"]
    assert STAGE.gate is not None and STAGE.gate.bounds(CATALOG, KEY)["tasks"] == ["heldout_fi"]


def test_the_job_is_told_which_items_are_contaminated(lake: Lake, corpora: dict[str, Manifest], tmp_path: Path) -> None:
    asked: list[Any] = []

    def run_job(request: Any) -> None:
        asked.append(json.loads(request.spec.read_text("utf-8")))
        (tmp_path / "output").mkdir()

    single = {asset: {key: put(lake, asset, key)} for asset, key in (("checkpoint", KEY), ("mixture", "tiny"))}
    inputs = {**single, "benchmark": {"heldout_fi": put(lake, "benchmark", "heldout_fi")}}
    inputs["decontaminated_corpus"] = corpora
    make_version(STAGE, lake, CATALOG, KEY, inputs, scratch=tmp_path, run_job=run_job)
    (job,) = asked
    assert {name: task["contaminated"] for name, task in job["tasks"].items()} == {"heldout_fi": ["a", "b"]}
