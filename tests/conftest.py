"""What several test modules share: small recipes and a lake to put versions into."""

import logging
from pathlib import Path
from typing import Any

import pytest

from assets.gates.gate import judge
from assets.lake import Lake, Manifest, Receipt
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.stage import Stage, Work

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "description": "A recipe for tests.",
    "sources": {
        "docs_fi": {
            "format": "jsonl", "files": "docs_fi.jsonl", "language": "fi", "license": "MIT",
            "cleaning": "documentation", "pool": "tiny",
        },
        "docs_pairs": {
            "format": "pairs_jsonl", "files": "docs_pairs.jsonl", "language": "fi", "pair_language": "en",
            "license": "MIT", "cleaning": "pairs", "pool": "tiny",
        },
    },
    "tokenizer": {
        "name": "tiny-bpe", "vocab_size": 400, "sample_bytes": 1_000_000,
        "sources": {"fi": ["docs_fi", "docs_pairs"], "en": ["docs_pairs"]},
    },
    "pair_template": {"instructions": {"fi": "Translate into Finnish: ", "en": "Translate into English: "}},
    "mixture": {"sources": {"docs_fi": {"epochs": 2}, "docs_pairs": {"epochs": 1}}},
    "model": {"layers": 2, "hidden": 32, "heads": 4},
    "training": {
        "steps": 4, "sequence_length": 16, "global_batch": 4, "micro_batch": 2, "data_parallel": 2,
        "lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [0, 4],
    },
    "tasks": {"heldout_fi": {"kind": "bits_per_character", "files": "heldout_fi.jsonl", "language": "fi"}},
}  # fmt: skip


def changed(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of a nested dictionary; a key ``a__b`` changes ``value["a"]["b"]``."""
    import copy

    result = copy.deepcopy(value)
    for key, new in changes.items():
        *path, last = key.split("__")
        inner = result
        for part in path:
            inner = inner[part]
        inner[last] = new
    return result


@pytest.fixture
def recipe_value() -> dict[str, Any]:
    """The mapping of a small valid recipe."""
    return changed(RECIPE)


@pytest.fixture
def catalog() -> Catalog:
    """A catalog of the one small recipe."""
    return Catalog.of([Recipe.model_validate(RECIPE)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"))


def make_version(
    stage: Stage,
    lake: Lake,
    catalog: Catalog,
    key: str,
    inputs: dict[str, dict[str, Manifest]] | None = None,
    scratch: Path | None = None,
    run_job: Any = None,
) -> Manifest:
    """Make a version of a stage, without Dagster."""
    given = inputs or {}
    refs = [manifest.ref for by_key in given.values() for manifest in by_key.values()]
    identity = stage.identity(catalog, key, refs)
    with lake.write(identity) as out:
        stage.make(
            Work(
                key=key, catalog=catalog, lake=lake, inputs=given, out=out, scratch=scratch or Path("unused"),
                log=logging.getLogger("test"), run_job=run_job,
            )
        )  # fmt: skip
    made = lake.find(stage.asset, key, identity.version)
    assert made is not None
    return made


def judged(stage: Stage, lake: Lake, manifest: Manifest, catalog: Catalog) -> Receipt:
    """The receipt of a stage's gate for a version."""
    assert stage.gate is not None
    return judge(stage.gate, lake, manifest, catalog)


def failed_columns(receipt: Receipt) -> set[str]:
    """The columns of the critical expectations that failed."""
    return {e.column for e in receipt.failed if e.severity == "critical"}
