"""A small catalog and lake to run the stages in, without Dagster."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets.gates.gate import judge
from assets.lake import Identity, Lake, Manifest, Receipt
from assets.lake.documents import document_schema, write_parts
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.stage import Stage, Work


def recipe(sources: dict[str, dict[str, Any]], **more: Any) -> Recipe:
    """A recipe with these sources; what is left out is the least that a recipe needs."""
    plain = {"format": "jsonl", "files": "none", "language": "en", "license": "x", "cleaning": "web", "pool": "all"}
    pairs = {"format": "pairs_jsonl", "pair_language": "fi", "cleaning": "pairs"}
    return Recipe.model_validate(
        {
            "name": "small",
            "description": "",
            "sources": {name: plain | (pairs if "pairs" in name else {}) | s for name, s in sources.items()},
            "tokenizer": {"name": "t", "vocab_size": 300, "sources": {}, "sample_bytes": 1},
            "pair_template": {"instructions": {"en": "", "fi": ""}},
            "mixture": {"sources": {min(sources): {"epochs": 1}}},
            "model": {"layers": 1, "hidden": 8, "heads": 1},
            "training": {
                "steps": 1,
                "sequence_length": 8,
                "global_batch": 1,
                "micro_batch": 1,
                "lr": 1,
                "min_lr": 0,
                "warmup_steps": 0,
                "checkpoints": [1],
            },
            "tasks": {"task": {"kind": "bits_per_character", "files": "none", "language": "en"}},
            **more,
        }
    )


def at_once(
    table: pa.Table, function: Callable[[pa.Table], pa.Table], schema: pa.Schema, threads: bool = False
) -> pa.Table:
    """What the data engine's ``map_rows`` gives, without the engine: for properties that are tried on hundreds of small
    cases. The function is not replaced.
    """
    return function(table).cast(schema) if table.num_rows else schema.empty_table()


@dataclass
class World:
    """A lake with its catalog, and the versions made so far by (asset, partition)."""

    lake: Lake
    catalog: Catalog
    versions: dict[tuple[str, str], Manifest] = field(default_factory=dict)

    def corpus(
        self, source: str, texts: Iterable[str | tuple[str, str]], part_rows: int = 4, asset: str = "clean_corpus"
    ) -> Manifest:
        """Write a corpus of documents, or of pairs given as (text, translation)."""
        rows = [
            {
                "id": f"{source}:{number}",
                "text": text if isinstance(text, str) else text[0],
                "translation": None if isinstance(text, str) else text[1],
                "source": source,
                "language": "en",
                "license": "x",
                "meta": f'{{"n": {number}}}',
            }
            for number, text in enumerate(texts)
        ]
        tables = [
            pa.Table.from_pylist(rows[i : i + part_rows], document_schema()) for i in range(0, len(rows), part_rows)
        ]
        identity = Identity(asset, source, {"parts": len(tables)}, "test")
        with self.lake.write(identity) as out:
            out.counts["documents"] = write_parts(out, tables)
        return self.keep(identity)

    def run(self, stage: Stage, key: str) -> Manifest:
        """Make a version of a stage from the versions made so far."""
        inputs: dict[str, dict[str, Manifest]] = {}
        for asset, partition in stage.inputs(self.catalog, key):
            inputs.setdefault(asset, {})[partition] = self.versions[asset, partition]
        refs = [manifest.ref for of_asset in inputs.values() for manifest in of_asset.values()]
        identity = stage.identity(self.catalog, key, refs)
        with self.lake.write(identity) as out:
            stage.make(self.work(key, inputs, out))
        return self.keep(identity)

    def work(self, key: str, inputs: Any, out: Any) -> Work:
        """What a stage's function is given."""
        return Work(
            key=key,
            catalog=self.catalog,
            lake=self.lake,
            inputs=inputs,
            out=out,
            scratch=Path(self.lake.root).parent / "scratch",
            log=logging.getLogger("test"),
            run_job=lambda request: None,
        )

    def judge(self, stage: Stage, manifest: Manifest) -> Receipt:
        """The receipt of the stage's gate."""
        assert stage.gate is not None
        return judge(stage.gate, self.lake, manifest, self.catalog)

    def damaged(self, manifest: Manifest, damage: dict[str, pa.Table], **counts: int) -> Manifest:
        """A copy of a version in which some files hold other rows."""
        identity = Identity(
            manifest.asset, manifest.partition, {"damage": sorted(damage)}, "test", tuple(manifest.inputs)
        )
        with self.lake.write(identity) as out:
            for entry in manifest.files:
                target = out.stage(entry.path)
                if entry.path in damage:
                    pq.write_table(damage[entry.path], target)
                else:
                    target.write_bytes(self.lake.fs.cat_file(self.lake.path(manifest, entry.path)))
            out.counts.update(manifest.counts | counts)
        return self.keep(identity, remember=False)

    def keep(self, identity: Identity, remember: bool = True) -> Manifest:
        """The version just written; with ``remember`` what runs next reads it."""
        manifest = self.lake.find(identity.asset, identity.partition, identity.version)
        assert manifest is not None
        if remember:
            self.versions[identity.asset, identity.partition] = manifest
        return manifest
