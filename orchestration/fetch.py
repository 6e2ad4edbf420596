"""Fetches evaluation data, with the library datasets, into the files that a suite names: lm-eval's tasks, and FIN-bench."""

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assets.recipe.evaluation import FinBench, Harness, Task
from assets.recipe.load import RecipeError, expand

FINBENCH = (
    "https://raw.githubusercontent.com/LumiOpen/lm-evaluation-harness/finnish/lm_eval/datasets/bigbench_resources"
)
"""Where the files of FIN-bench lie that the Poro 34B paper was scored on."""


class FetchError(Exception):
    """Data that cannot be fetched; the message says why."""


def fetch(config: Task) -> Iterator[Path]:
    """The files of a task that are not there yet, fetched one by one.

    FIN-bench's are taken as they are from the repository of the paper's harness, or from ``TOKKA_FINBENCH``. Of a task of
    lm-eval's a file that is called ``anything_SPLIT.jsonl.gz`` gets that split of the data set that lm-eval's task names, a
    record a line; of a task of subtasks that is the configuration "all". A file is there as a whole or not at all.
    """
    if isinstance(config, FinBench):
        for path in _missing(config, ".json"):
            _place(path, [_finbench(path.name, config)])
            yield path
        return
    if not isinstance(config, Harness) or config.definition is not None:
        raise FetchError(f"a task of the kind {config.kind} has no data set of lm-eval's; put its files in place.")
    for path in _missing(config, ".jsonl.gz"):
        _place(path, _packed(_split(config, path.name.removesuffix(".jsonl.gz").rpartition("_")[2], path)))
        yield path


def _missing(config: Task, ending: str) -> Iterator[Path]:
    """The local files of a task that are not there."""
    for uri in config.files:
        try:
            path = Path(expand(uri))
        except RecipeError as error:
            raise FetchError(str(error)) from error
        if "://" in str(uri) or any(c in uri for c in "*?[") or not path.name.endswith(ending):
            raise FetchError(f"{uri} is no local file that ends in {ending}; put it in place.")
        if not path.is_file():
            yield path


def _finbench(name: str, config: FinBench) -> bytes:
    """A file of FIN-bench, which has been read as one."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import datasets

    from assets.benchmarks.items import read_items

    place = f"{os.environ.get('TOKKA_FINBENCH') or FINBENCH}/{name}"
    with TemporaryDirectory() as folder:
        got = Path(folder) / name
        try:
            got.write_bytes(Path(datasets.DownloadManager().download(place)).read_bytes())
            read_items(config, [got])
        except Exception as error:  # as below; and what was got may be another thing than the data
            raise FetchError(f"{place} could not be fetched: {_first_line(error)}") from error
        return got.read_bytes()


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
            f"{asked['dataset_path']}{f' ({name})' if name else ''}, {split}, could not be fetched: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _packed(records: Any) -> Iterator[bytes]:
    """Records as lines, gzipped piece by piece. Without a time in the header the same records are the same bytes."""
    pack = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    for each in records:
        yield pack.compress(json.dumps(each, ensure_ascii=False).encode() + b"\n")
    yield pack.flush()


def _place(path: Path, content: Iterable[bytes]) -> None:
    """Write a file piece by piece, which is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as stream:
            stream.writelines(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
