"""Making, or judging, what a benchmark corpus becomes: ``python -m infra.bench.tokens_stage FOLDER WHAT SPECIFICATION CORES``.

A process of its own, so that its memory can be measured, on so many of the machine's cores. It reads
``decontaminated_corpus``, and for shards the tokenizer, in the lake ``FOLDER/lake``. ``WHAT`` is ``tokenizer``, ``shards``,
``gate`` (that of the shards), or ``threads`` (how those that encode spend their time, printed as JSON). ``SPECIFICATION`` is the
JSON of the recipe's tokenizer; its name says which it is.
"""

import json
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from infra.bench.measure import keep_to_cores
from infra.bench.threads import encoding

if TYPE_CHECKING:
    from assets.recipe.catalog import Catalog

SOURCE = "corpus"


def main(folder: Path, what: str, specification: dict[str, Any]) -> None:
    import logging

    from assets.lake import Lake
    from assets.recipe.catalog import join
    from assets.shards.stage import STAGE
    from assets.stage import Work
    from assets.tokenizer.stage import STAGE as TOKENIZER

    name = specification["name"]
    lake, recipes = Lake.open(str(folder / "lake")), catalog(specification)
    stage, key = (TOKENIZER, name) if what == "tokenizer" else (STAGE, join(SOURCE, name))
    inputs = {
        asset: {of: next(lake.manifests(asset, of)) for _, of in wanted}
        for asset, wanted in groupby(stage.inputs(recipes, key), key=itemgetter(0))
    }
    identity = stage.identity(recipes, key, [found.ref for by_key in inputs.values() for found in by_key.values()])
    if what == "threads":
        text = (lake.local(inputs["tokenizer"][name]) / "tokenizer.json").read_text("utf-8")
        engine = "pieces" if specification["pretokenizer"] == "bloom" else "gigatoken"
        print(json.dumps({"threads": encoding(lake, inputs["decontaminated_corpus"][SOURCE], text, engine)}))
        return
    if what != "gate":
        with lake.write(identity) as out:
            stage.make(Work(key, recipes, lake, inputs, out, folder, logging.getLogger("bench"), no_job))
    if what == "shards":
        return
    from assets.gates.gate import judge

    made = lake.find(stage.asset, key, identity.version)
    assert stage.gate is not None
    assert made is not None
    receipt = judge(stage.gate, lake, made, recipes)
    if not receipt.passed:
        raise SystemExit(f"the gate of {made.name} did not pass: {receipt.error or receipt.failed}")


def no_job(request: object) -> NoReturn:
    """Shards are made in this process."""
    raise RuntimeError("making shards runs no job")


def catalog(specification: dict[str, Any]) -> "Catalog":
    """A recipe of one source with a tokenizer; the rest of it is not made."""
    from assets.recipe.catalog import Catalog
    from assets.recipe.model import Recipe

    value = {
        "name": "bench",
        "description": "The benchmark's corpus.",
        "sources": {
            SOURCE: {"format": "jsonl", "files": "none", "language": "fi", "cleaning": "web", "pool": "bench"},
        },
        "tokenizer": specification,
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
    keep_to_cores(int(sys.argv[4]))
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
