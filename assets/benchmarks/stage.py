"""The stage benchmark: one version per evaluation task. Data that is not at hand is said to be missing, never fetched."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from assets.benchmarks import gate
from assets.corpora.files import SourceFile, find_files
from assets.lake import Lake, Manifest
from assets.lake.documents import read_parquet, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.evaluation import Protected, Task
from assets.recipe.load import RecipeError
from assets.stage import Shown, Stage, Table, Work

if TYPE_CHECKING:
    import pyarrow as pa

ITEMS = "items.parquet"
ABOUT = "benchmark.json"


def available_files(catalog: Catalog, task: str) -> tuple[list[SourceFile], str]:
    """The data files of a task of the catalog; see ``files_of``."""
    return files_of(catalog.tasks[task], task)


def files_of(config: Task, name: str) -> tuple[list[SourceFile], str]:
    """The data files of a task that is called ``name``, and where some are missing, the reason.

    A task is scored on all of its data or not at all; of a protected one what is there is better than nothing.
    """
    files: list[SourceFile] = []
    reasons = []
    for pattern in config.files:
        try:
            files += find_files((pattern,), f"tasks.{name}.files")
        except RecipeError as error:
            reasons.append(str(error))
    if reasons and not isinstance(config, Protected):
        return [], reasons[0]
    return (find_files(tuple(file.uri for file in files), f"tasks.{name}.files") if files else []), " ".join(reasons)


def config(catalog: Catalog, task: str) -> dict[str, Any]:
    """What decides the items: the task and the bytes of its files, not where they lie."""
    files, reason = available_files(catalog, task)
    return {
        "task": catalog.tasks[task].model_dump(mode="json", exclude={"files"}),
        "files": {f.name: f.identity for f in files},
        "complete": not reason,
    }


def read_task(catalog: Catalog, task: str) -> "tuple[pa.Table, str]":
    """The items of a task of the catalog; see ``read_files``."""
    return read_files(catalog.tasks[task], *available_files(catalog, task))


def read_files(config: Task, files: list[SourceFile], reason: str) -> "tuple[pa.Table, str]":
    """The items of a task, read from its files (``read_items``), and where some are missing, the reason."""
    import pyarrow as pa

    from assets.benchmarks.items import read_items

    if not files:
        return pa.table({name: pa.array([], pa.string()) for name in ("id", "text", "item")}), reason
    with tempfile.TemporaryDirectory(prefix="tokka-benchmark-") as folder:
        paths = [Path(folder) / file.name for file in files]
        for file, path in zip(files, paths, strict=True):
            with fsspec.open(file.uri, "rb") as stream:
                path.write_bytes(stream.read())
        return read_items(config, paths), reason


def make(work: Work) -> None:
    """Read the items; without data, write an empty table and the reason."""
    files, _ = available_files(work.catalog, work.key)
    items, reason = read_task(work.catalog, work.key)
    if reason:
        # The gate warns of it; here is why.
        work.log.info("The data of %s is not at hand: %s It is reported as missing.", work.key, reason)
    write_table(work.out, ITEMS, items)
    # The place where it was looked for belongs to this machine, so the version does not hold it.
    what = "some of the data was not at hand" if files else "the data was not at hand"
    work.out.write_json(
        ABOUT,
        {
            "available": bool(files),
            "reason": f"{what} when this benchmark was made" if reason else "",
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
    description="The items of a benchmark, by which corpora are decontaminated and, unless it is protected, checkpoints scored.",
    keys=lambda catalog: list(catalog.tasks),
    inputs=lambda catalog, key: [],
    config=config,
    code=tuple(
        f"assets.benchmarks.{module}"
        for module in ("items", "records", "finbench", "harness", "pairs", "texts", "programs")
    ),
    group="data",
    kinds=("parquet",),
    make=make,
    gate=gate.GATE,
    show=show,
)
