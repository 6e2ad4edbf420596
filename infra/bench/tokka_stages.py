"""One stage of Tokka's data plane over a benchmark corpus, without Dagster: ``python -m infra.bench.tokka_stages``.

``FOLDER STAGE [--gate]`` makes the version of STAGE in the lake ``FOLDER/lake`` from ``FOLDER/corpus``, or with
``--gate`` judges it. Each call is a process of its own, so that its memory can be measured.
"""

import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

from assets.graph import BY_ASSET
from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.stage import Stage, Work

SOURCE = "corpus"
POOL = "bench"
KEYS = {"duplicates": POOL}


def recipe(folder: Path) -> dict[str, Any]:
    """A recipe of one source, cleaned as web text."""
    language = (folder / "language").read_text().strip()
    return {
        "name": "bench",
        "description": "The benchmark's corpus.",
        "sources": {
            SOURCE: {
                "format": "jsonl",
                "files": str(folder / "corpus" / "*.jsonl"),
                "language": language,
                "cleaning": "web",
                "pool": POOL,
            }
        },
        "tokenizer": {"name": "bench", "vocab_size": 300, "sources": {language: [SOURCE]}, "sample_bytes": 1000},
        "pair_template": {"instructions": {"fi": "Käännä suomeksi: "}},
        "mixture": {"sources": {SOURCE: {"epochs": 1}}},
        "model": {"architecture": "bloom", "layers": 1, "hidden": 8, "heads": 1},
        "training": {
            **{"steps": 2, "sequence_length": 8, "global_batch": 1, "micro_batch": 1},
            **{"lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [2]},
        },
        "tasks": {
            "heldout": {"kind": "bits_per_character", "files": str(folder / "heldout.jsonl"), "language": language},
        },
    }


def catalog(folder: Path) -> Catalog:
    """The recipe alone; what is beyond the data plane is not made."""
    return Catalog.of([Recipe.model_validate(recipe(folder))])


def newest(lake: Lake, asset: str, key: str) -> Manifest:
    """The one version of an asset's partition."""
    (found,) = lake.manifests(asset, key)
    return found


def make(stage: Stage, lake: Lake, recipes: Catalog, key: str) -> None:
    """Make the version of a stage from the versions in the lake."""
    inputs: dict[str, dict[str, Manifest]] = {}
    for asset, upstream in stage.inputs(recipes, key):
        inputs.setdefault(asset, {})[upstream] = newest(lake, asset, upstream)
    identity = stage.identity(recipes, key, [m.ref for by_key in inputs.values() for m in by_key.values()])
    scratch = Path(lake.root) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)

    def no_job(request: object) -> NoReturn:
        raise RuntimeError("no stage of the data plane runs a job")

    with lake.write(identity) as out:
        stage.make(Work(key, recipes, lake, inputs, out, scratch, logging.getLogger("bench"), no_job))


def main(folder: Path, asset: str, gate: bool) -> None:
    stage, lake, recipes = BY_ASSET[asset], Lake.open(str(folder / "lake")), catalog(folder)
    key = KEYS.get(asset, "heldout" if asset == "benchmark" else SOURCE)
    if not gate:
        make(stage, lake, recipes, key)
        return
    from assets.gates.gate import judge

    assert stage.gate is not None
    receipt = judge(stage.gate, lake, newest(lake, asset, key), recipes)
    for failed in receipt.failed:
        print(f"{failed.column} = {failed.observed}, allowed {failed.allowed}: {failed.meaning}")
    if receipt.error:
        raise SystemExit(receipt.error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "--gate" in sys.argv[3:])
