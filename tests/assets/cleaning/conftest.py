"""A lake with a raw corpus, cleaned by the stage without Dagster."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assets.cleaning.stage import STAGE
from assets.corpora.stage import STAGE as RAW
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.stage import Stage, Work

SOURCE = "corpus"


@dataclass(frozen=True)
class Corpus:
    """A cleaned corpus with everything around it."""

    lake: Lake
    catalog: Catalog
    raw: Manifest
    clean: Manifest

    def table(self, folder: str = "documents") -> list[dict[str, Any]]:
        import pyarrow as pa

        from assets.lake.documents import read_parts

        rows: list[dict[str, Any]] = pa.concat_tables(
            list(read_parts(self.lake, self.clean, folder=folder))
        ).to_pylist()
        return rows


def catalog_of(file: Path, **source: Any) -> Catalog:
    """A catalog with one recipe with one source."""
    declared = {
        "format": "jsonl",
        "files": str(file),
        "language": "fi",
        "license": "CC0-1.0",
        "cleaning": "documentation",
        "pool": "prose",
    }
    recipe = {
        "name": "tiny",
        "description": "one source",
        "sources": {SOURCE: declared | source},
        "tokenizer": {"name": "tiny", "vocab_size": 300, "sources": {"fi": [SOURCE]}, "sample_bytes": 1000},
        "pair_template": {"instructions": {"fi": "Translate into Finnish: ", "en": "Translate into English: "}},
        "mixture": {"sources": {SOURCE: {"epochs": 1}}},
        "model": {"architecture": "bloom", "layers": 1, "hidden": 8, "heads": 1},
        "training": {
            **{"steps": 2, "sequence_length": 8, "global_batch": 1, "micro_batch": 1},
            **{"lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [2]},
        },
        "tasks": {"heldout": {"kind": "bits_per_character", "files": str(file), "language": "fi"}},
    }
    return Catalog.of([Recipe.model_validate(recipe)])


def run(stage: Stage, lake: Lake, catalog: Catalog, inputs: dict[str, Manifest], scratch: Path) -> Manifest:
    """Make a version by a stage's function, or find it where it is there."""
    identity = stage.identity(catalog, SOURCE, [manifest.ref for manifest in inputs.values()])
    found = lake.find(identity.asset, identity.partition, identity.version)
    if found is not None:
        return found
    with lake.write(identity) as out:
        stage.make(
            Work(
                key=SOURCE,
                catalog=catalog,
                lake=lake,
                inputs={name: {SOURCE: manifest} for name, manifest in inputs.items()},
                out=out,
                scratch=scratch,
                log=logging.getLogger("test"),
                run_job=lambda request: None,
            )
        )
    made = lake.find(identity.asset, identity.partition, identity.version)
    assert made is not None
    return made


Cleaner = Callable[..., Corpus]


@pytest.fixture
def cleaned(tmp_path: Path) -> Cleaner:
    """Clean records, or the file of a corpus, in a lake of the test's own: ``cleaned(records_or_file, **source)``."""

    def clean(documents: list[dict[str, Any]] | Path, lake: str = "lake", **source: Any) -> Corpus:
        file = documents if isinstance(documents, Path) else tmp_path / "corpus.jsonl"
        if not isinstance(documents, Path):
            file.write_text("".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents), "utf-8")
        catalog = catalog_of(file, **source)
        there = Lake.open(str(tmp_path / lake))
        raw = run(RAW, there, catalog, {}, tmp_path)
        return Corpus(there, catalog, raw, run(STAGE, there, catalog, {"raw_corpus": raw}, tmp_path))

    return clean
