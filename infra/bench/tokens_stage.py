"""Making, or judging, the shards of a benchmark corpus: ``python -m infra.bench.tokens_stage FOLDER TOKENIZER CORES [--gate]``.

A process of its own, so that its memory can be measured. It reads ``decontaminated_corpus`` and ``tokenizer`` in the lake
``FOLDER/lake`` and writes ``tokenized_shards``, on so many of the machine's cores.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from infra.bench.measure import keep_to_cores

if TYPE_CHECKING:
    from assets.recipe.catalog import Catalog

SOURCE = "corpus"


def main(folder: Path, tokenizer: str, gate: bool) -> None:
    import logging

    from assets.lake import Lake
    from assets.recipe.catalog import join
    from assets.shards.stage import STAGE
    from assets.stage import Work

    lake, key, recipes = Lake.open(str(folder / "lake")), join(SOURCE, tokenizer), catalog(tokenizer)
    inputs = {
        asset: {name: next(lake.manifests(asset, name))}
        for asset, name in (("decontaminated_corpus", SOURCE), ("tokenizer", tokenizer))
    }
    identity = STAGE.identity(recipes, key, [found.ref for by_key in inputs.values() for found in by_key.values()])
    if not gate:
        with lake.write(identity) as out:
            STAGE.make(Work(key, recipes, lake, inputs, out, folder, logging.getLogger("bench"), no_job))
        return
    from assets.gates.gate import judge

    made = lake.find(STAGE.asset, key, identity.version)
    assert STAGE.gate is not None
    assert made is not None
    receipt = judge(STAGE.gate, lake, made, recipes)
    if not receipt.passed:
        raise SystemExit(f"the gate of the shards did not pass: {receipt.error or receipt.failed}")


def no_job(request: object) -> NoReturn:
    """Shards are made in this process."""
    raise RuntimeError("making shards runs no job")


def catalog(tokenizer: str) -> "Catalog":
    """A recipe of one source with a tokenizer; the rest of it is not made."""
    from assets.recipe.catalog import Catalog
    from assets.recipe.model import Recipe

    value = {
        "name": "bench",
        "description": "The benchmark's corpus.",
        "sources": {
            SOURCE: {"format": "jsonl", "files": "none", "language": "fi", "cleaning": "web", "pool": "bench"},
        },
        "tokenizer": {"name": tokenizer, "vocab_size": 300, "sources": {"fi": [SOURCE]}, "sample_bytes": 1000},
        "pair_template": {"instructions": {"fi": ""}},
        "mixture": {"sources": {SOURCE: {"epochs": 1}}},
        "model": {"architecture": "bloom", "layers": 1, "hidden": 8, "heads": 1},
        "training": {
            **{"steps": 2, "sequence_length": 8, "global_batch": 1, "micro_batch": 1},
            **{"lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [2]},
        },
        "tasks": {"heldout": {"kind": "bits_per_character", "files": "none", "language": "fi"}},
    }
    return Catalog.of([Recipe.model_validate(value)])


if __name__ == "__main__":
    keep_to_cores(int(sys.argv[3]))
    main(Path(sys.argv[1]), sys.argv[2], "--gate" in sys.argv[4:])
