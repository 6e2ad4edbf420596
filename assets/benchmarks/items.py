"""Reads a task's data files into items of one shape: what decontamination must find, and what the evaluation needs."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.benchmarks.finbench import build_prompts
from assets.recipe.evaluation import BitsPerCharacter, FinBench, Task, Translation

if TYPE_CHECKING:
    import pyarrow as pa

Item = tuple[str, str, dict[str, Any]]


class BenchmarkDataError(ValueError):
    """A benchmark's data file is not as it should be; the message names file, line, key, what is found and allowed."""


def read_items(config: Task, paths: Sequence[Path]) -> "pa.Table":
    """Read a task's items from its local data files, in the order of ``paths``; ``config.limit`` keeps the first ones.

    Columns, all strings: ``id``, unique within the task; ``text``, everything of the item that must not occur in
    training text; ``item``, JSON of what the evaluation needs (see the readers). Files ending in ``.gz`` are unpacked.
    Raises BenchmarkDataError for data that is malformed, empty or has an id twice.
    """
    import pyarrow as pa

    if not paths:
        raise BenchmarkDataError(f"No file was given for a task of the kind {config.kind}; it needs at least one.")
    ids: list[str] = []
    texts: list[str] = []
    items: list[str] = []
    for id_, text, item in _read(config, [Path(path) for path in paths]):
        if config.limit is not None and len(ids) == config.limit:
            break
        ids.append(id_)
        texts.append(text)
        items.append(json.dumps(item, ensure_ascii=False))
    if not ids:
        raise BenchmarkDataError(f"{', '.join(str(p) for p in paths)} has no item; a benchmark needs at least one.")
    return pa.table({"id": ids, "text": texts, "item": items}, schema=_schema(pa))


def _schema(pa: Any) -> "pa.Schema":
    return pa.schema([("id", pa.string()), ("text", pa.string()), ("item", pa.string())])


def _read(config: Task, paths: list[Path]) -> Iterator[Item]:
    seen: dict[str, str] = {}
    for path in paths:
        if isinstance(config, FinBench):
            items = _finbench(config, path)
        elif isinstance(config, Translation):
            items = _pairs(config, path)
        else:
            items = _documents(config, path)
        for where, item in items:
            if item[0] in seen:
                raise BenchmarkDataError(
                    f"{where}: the id {item[0]!r} is also at {seen[item[0]]}; ids are unique within a task."
                )
            seen[item[0]] = where
            yield item


def _documents(config: BitsPerCharacter, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and ``text``. The item is ``{"text"}``."""
    for where, record in _json_lines(path):
        text = _string(record, "text", where)
        yield where, (_string(record, "id", where), text, {"text": text})


def _pairs(config: Translation, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and a key per language. The item is ``{"source", "reference"}``, its text both, on lines."""
    for where, record in _json_lines(path):
        source = _string(record, config.source_language, where)
        reference = _string(record, config.language, where)
        item = {"source": source, "reference": reference}
        yield where, (_string(record, "id", where), f"{source}\n{reference}", item)


def _finbench(config: FinBench, path: Path) -> Iterator[tuple[str, Item]]:
    """BIG-bench JSON, a subtask per file. The item is ``{"subtask", "context", "choices", "target_scores"}``.

    Prompts are built before any limit cuts items off, so that an item's prompt does not depend on the limit.
    """
    task = _json_file(path)
    examples = task.get("examples")
    if not isinstance(examples, list) or not examples:
        raise BenchmarkDataError(
            f"{path}: the key 'examples' is {_kind(examples)}; it must be a list of at least one example."
        )
    if "multiple_choice_grade" not in task.get("metrics", []):
        raise BenchmarkDataError(
            f"{path}: the key 'metrics' is {task.get('metrics')!r}; it must hold 'multiple_choice_grade'."
        )
    for i, example in enumerate(examples):
        _check_example(example, f"{path}, example {i}")
    try:
        prompts = build_prompts(task, config.shots)
    except ValueError as error:
        raise BenchmarkDataError(f"{path} {error}.") from error
    subtask = path.name.split(".")[0]
    for prompt in prompts:
        item = {
            "subtask": subtask,
            "context": prompt.context,
            "choices": prompt.choices,
            "target_scores": prompt.target_scores,
        }
        # Some tasks ask for the more sensible of the choices and have no other input.
        text = prompt.text if prompt.text.strip() else "\n".join(prompt.choices)
        yield f"{path}, example {prompt.index}", (f"{subtask}/{prompt.index}", text, item)


def _check_example(example: Any, where: str) -> None:
    if not isinstance(example, dict):
        raise BenchmarkDataError(f"{where} is {_kind(example)}; it must be an object with 'input' and 'target_scores'.")
    if not isinstance(example.get("input"), str):
        raise BenchmarkDataError(f"{where}: the key 'input' is {_kind(example.get('input'))}; it must be a string.")
    scores = example.get("target_scores")
    if not isinstance(scores, dict) or len(scores) < 2:
        raise BenchmarkDataError(
            f"{where}: the key 'target_scores' is {_kind(scores)}; it must map two or more choices to scores."
        )
    for choice, score in scores.items():
        if not choice or isinstance(score, bool) or not isinstance(score, int | float):
            raise BenchmarkDataError(
                f"{where}: 'target_scores' has {choice!r}: {score!r}; no choice may be empty, scores must be numbers."
            )


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        raise BenchmarkDataError(f"{path} is not a whole gzip file: {error}. Fetch it again.") from error


def _parse(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError as error:  # of UTF-8 or of JSON
        raise BenchmarkDataError(f"{where} is not JSON in UTF-8: {error}.") from error
    if not isinstance(value, dict):
        raise BenchmarkDataError(f"{where} is {_kind(value)}; it must be a JSON object.")
    return value


def _json_file(path: Path) -> dict[str, Any]:
    return _parse(_content(path), str(path))


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its place. Blank lines are passed over."""
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _parse(line, where)


def _string(record: dict[str, Any], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        found = "missing" if key not in record else _kind(value)
        raise BenchmarkDataError(f"{where}: the key {key!r} is {found}; it must be a string that is not empty.")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, str | list | dict) and not value:
        return f"an empty {type(value).__name__}"
    return "null or missing" if value is None else f"{type(value).__name__} {value!r:.60}"
