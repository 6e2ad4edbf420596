"""Reads a task's data files into items of one shape: what decontamination must find, and what the evaluation needs."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.benchmarks.finbench import build_prompts
from assets.recipe.evaluation import BitsPerCharacter, FinBench, Protected, Task, Translation

if TYPE_CHECKING:
    import pyarrow as pa

Item = tuple[str, str, dict[str, Any]]
PASSAGE = "\f"
"""Between the passages of an item's text: source and reference, question and answer. White space, no word."""
ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


class BenchmarkDataError(ValueError):
    """A benchmark's data file is not as it should be; the message names file, line, key, what is found and allowed."""


def read_items(config: Task, paths: Sequence[Path]) -> "pa.Table":
    """Read a task's items from its local data files, in the order of ``paths``; ``config.limit`` keeps the first ones.

    Columns, all strings: ``id``, unique within the task; ``text``, everything of the item that must not occur in
    training text, its passages parted by ``PASSAGE``; ``item``, JSON of what the evaluation needs (see the readers).
    Files ending in ``.gz`` are unpacked. Raises BenchmarkDataError for data that is malformed, empty or has an id twice.
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


def items_of_files(
    place: Path, fields: Sequence[str] = (), leave_out: Sequence[Path] = ()
) -> dict[str, list[tuple[str, str]]]:
    """The (id, text) of the records of any JSONL or BIG-bench JSON file, or of all those below a folder, by file name.

    ``fields`` are as in ``Protected``; where left out, the fields of a record whose text is more than one word. Files of
    a folder that are in ``leave_out`` are not read.
    """
    paths = [place]
    if place.is_dir():
        without = {path.resolve() for path in leave_out}
        paths = sorted(p for p in place.rglob("*") if p.name.endswith(ENDINGS) and p.resolve() not in without)
    if not paths:
        raise BenchmarkDataError(f"{place} holds no file that ends in {', '.join(ENDINGS)}.")
    read: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        name = path.name.split(".")[0]
        for number, _, record in _records(path):
            chosen = fields or [key for key in record if len("\n".join(_strings(record[key])).split()) > 1]
            if text := _joined(record, chosen):
                read.setdefault(name, []).append((f"{name}/{record.get('id', number)}", text))
    return read


def _read(config: Task, paths: list[Path]) -> Iterator[Item]:
    seen: dict[str, str] = {}
    items: Iterator[tuple[str, Item]]
    if isinstance(config, Protected):
        items = _protected(config, paths)
    else:
        items = chain.from_iterable(_scored(config, path) for path in paths)
    for where, item in items:
        if item[0] in seen:
            raise BenchmarkDataError(
                f"{where}: the id {item[0]!r} is also at {seen[item[0]]}; ids are unique within a task."
            )
        seen[item[0]] = where
        yield item


def _scored(config: Task, path: Path) -> Iterator[tuple[str, Item]]:
    if isinstance(config, FinBench):
        return _finbench(config, path)
    if isinstance(config, Translation):
        return _pairs(config, path)
    assert isinstance(config, BitsPerCharacter)
    return _documents(config, path)


def _documents(config: BitsPerCharacter, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and ``text``. The item is ``{"text"}``."""
    for _, where, record in _json_lines(path):
        text = _string(record, "text", where)
        yield where, (_string(record, "id", where), text, {"text": text})


def _pairs(config: Translation, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and a key per language. The item is ``{"source", "reference"}``, its text both."""
    for _, where, record in _json_lines(path):
        source = _string(record, config.source_language, where)
        reference = _string(record, config.language, where)
        item = {"source": source, "reference": reference}
        yield where, (_string(record, "id", where), f"{source}{PASSAGE}{reference}", item)


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
        text = PASSAGE.join(filter(str.strip, [prompt.text, "\n".join(prompt.choices)]))
        yield f"{path}, example {prompt.index}", (f"{subtask}/{prompt.index}", text, item)


def _protected(config: Protected, paths: list[Path]) -> Iterator[tuple[str, Item]]:
    """JSONL, or BIG-bench JSON, whose records are its examples. Ids begin with the file's name; the item is ``{}``."""
    found: set[str] = set()
    for path in paths:
        name = path.name.split(".")[0]
        for number, where, record in _records(path):
            found.update(field for field in config.fields if _field(record, field) is not None)
            text = _joined(record, config.fields)
            if not text:
                raise BenchmarkDataError(
                    f"{where} has no text in {', '.join(config.fields)}; it has the fields {', '.join(record)}."
                )
            own = record.get(config.id) if config.id else None
            yield where, (f"{name}/{number if own is None else own}", text, {})
    if missing := [field for field in config.fields if field not in found]:
        raise BenchmarkDataError(f"No record of {', '.join(p.name for p in paths)} has the field {missing[0]!r}.")


def _records(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The records of a file, with their number in it (the line, or the place among the examples) and where they are."""
    if not path.name.endswith((".json", ".json.gz")):
        for number, where, record in _json_lines(path):
            yield number, where, record
        return
    examples = _json_file(path).get("examples")
    if not isinstance(examples, list):
        raise BenchmarkDataError(f"{path}: the key 'examples' is {_kind(examples)}; it must be a list.")
    for number, record in enumerate(examples):
        if not isinstance(record, dict):
            raise BenchmarkDataError(f"{path}, example {number} is {_kind(record)}; it must be an object.")
        yield number, f"{path}, example {number}", record


def _field(record: dict[str, Any], name: str) -> Any:
    """A field of a record; ``outer.inner`` is one of the object ``outer``."""
    outer, _, inner = name.partition(".")
    if inner and name not in record:
        value = record.get(outer)
        return _field(value, inner) if isinstance(value, dict) else None
    return record.get(name)


def _strings(value: Any) -> Iterator[str]:
    """All strings in a value; of an object of numbers its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key if isinstance(inner, int | float) else inner)


def _joined(record: dict[str, Any], fields: Iterable[str]) -> str:
    """The text of an item whose passages are fields of a record; those that have no text are left out."""
    passages = ("\n".join(_strings(_field(record, field))) for field in fields)
    return PASSAGE.join(passage for passage in passages if passage.strip())


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


def _json_lines(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its line's number and its place. Blank lines are passed over."""
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield number, where, _parse(line, where)


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
