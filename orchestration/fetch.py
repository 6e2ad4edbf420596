"""Fetches the data of lm-eval's tasks from the hub, with the library datasets, into the files that a suite names."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.recipe.evaluation import Harness, Task
from assets.recipe.load import RecipeError, expand


class FetchError(Exception):
    """Data that cannot be fetched; the message says why."""


def fetch(config: Task) -> Iterator[Path]:
    """The files of a task that are not there yet, fetched one by one.

    A file that is called ``anything_SPLIT.jsonl.gz`` gets that split of the data set that lm-eval's task names, a record a
    line; of a task of subtasks that is the configuration "all". A file is there as a whole or not at all.
    """
    if not isinstance(config, Harness) or config.definition is not None:
        raise FetchError(f"a task of the kind {config.kind} has no data set of lm-eval's; put its files in place.")
    for uri in config.files:
        try:
            path = Path(expand(uri))
        except RecipeError as error:
            raise FetchError(str(error)) from error
        if "://" in str(uri) or any(c in uri for c in "*?[") or not path.name.endswith(".jsonl.gz"):
            raise FetchError(f"{uri} is no local file that ends in .jsonl.gz; put it in place.")
        if not path.is_file():
            _write(path, _split(config, path.name.removesuffix(".jsonl.gz").rpartition("_")[2], path))
            yield path


def _split(config: Harness, split: str, path: Path) -> Any:
    """A split of the data set of lm-eval's task."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import datasets

    from eval_jobs.tasks.harness import task_config

    try:
        asked = task_config(config)
    except ValueError as error:
        raise FetchError(str(error)) from error
    known = [asked.get(f"{which}_split") for which in ("test", "validation", "training", "fewshot")]
    if split not in known:
        raise FetchError(
            f"{path.name} names no split of lm-eval's task {config.task}; it has "
            f"{', '.join(dict.fromkeys(name for name in known if name))}."
        )
    name = "all" if config.field_of_subtask else asked.get("dataset_name")
    try:
        return datasets.load_dataset(asked["dataset_path"], name, split=split)
    except Exception as error:  # of the network, the hub, or the data: datasets has no common class for them
        raise FetchError(
            f"{asked['dataset_path']}{f' ({name})' if name else ''}, {split}, could not be fetched: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


def _write(path: Path, records: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Without a time in the header the same records are the same bytes.
        with part.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream:
            for record in records:
                stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
