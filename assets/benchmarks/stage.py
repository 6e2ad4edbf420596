"""The stage benchmark: one version per evaluation task. Data that is not at hand is said to be missing, never fetched."""

import tempfile
from pathlib import Path
from typing import Any

import fsspec

from assets.benchmarks import gate
from assets.corpora.files import SourceFile, find_files
from assets.lake import Lake, Manifest
from assets.lake.documents import read_parquet, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.load import RecipeError
from assets.stage import Shown, Stage, Table, Work

ITEMS = "items.parquet"
ABOUT = "benchmark.json"


def available_files(catalog: Catalog, task: str) -> tuple[list[SourceFile], str]:
    """The data files of a task, and where there are none, the reason."""
    try:
        return find_files((catalog.tasks[task].files,), f"tasks.{task}.files"), ""
    except RecipeError as error:
        return [], str(error)


def config(catalog: Catalog, task: str) -> dict[str, Any]:
    """What decides the items: the task and the bytes of its files, not where they lie."""
    files, _ = available_files(catalog, task)
    return {
        "task": catalog.tasks[task].model_dump(mode="json", exclude={"files"}),
        "files": {f.name: f.identity for f in files},
    }


def make(work: Work) -> None:
    """Read the items; without data, write an empty table and the reason."""
    import pyarrow as pa

    from assets.benchmarks.items import read_items

    task = work.catalog.tasks[work.key]
    files, reason = available_files(work.catalog, work.key)
    if files:
        with tempfile.TemporaryDirectory(prefix="tokka-benchmark-") as folder:
            paths = [Path(folder) / file.name for file in files]
            for file, path in zip(files, paths, strict=True):
                with fsspec.open(file.uri, "rb") as stream:
                    path.write_bytes(stream.read())
            items = read_items(task, paths)
    else:
        work.log.warning("The data of %s is not at hand: %s It is reported as missing.", work.key, reason)
        items = pa.table({name: pa.array([], pa.string()) for name in ("id", "text", "item")})
    write_table(work.out, ITEMS, items)
    work.out.write_json(
        ABOUT,
        {
            "available": bool(files),
            # The place where it was looked for belongs to this machine, so the version does not hold it.
            "reason": "" if files else "the data was not at hand when this benchmark was made",
            "items": items.num_rows,
            "files": {file.name: file.identity for file in files},
        },
    )
    work.out.counts.update(items=items.num_rows, available=int(bool(files)))


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The first items."""
    items = read_parquet(lake, manifest, ITEMS)
    return {"items": Table([{"id": r["id"], "text": r["text"][:200]} for r in items.slice(0, 5).to_pylist()])}


STAGE = Stage(
    asset="benchmark",
    space="task",
    description="The items of an evaluation task, by which corpora are decontaminated and checkpoints scored.",
    keys=lambda catalog: list(catalog.tasks),
    inputs=lambda catalog, key: [],
    config=config,
    code=("assets.benchmarks.items", "assets.benchmarks.finbench"),
    group="data",
    kinds=("parquet",),
    make=make,
    gate=gate.GATE,
    show=show,
)
