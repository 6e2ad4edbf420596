"""Records of a task's data files: JSONL, and BIG-bench JSON; read with errors that name file, line, key and what is allowed."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Item = tuple[str, str, dict[str, Any]]
"""The id of an item, its text, and what the evaluation needs of it."""
PASSAGE = "\f"
"""Between the passages of an item's text: source and reference, question and answer. White space, no word."""


class BenchmarkDataError(ValueError):
    """A benchmark's data file is not as it should be; the message names file, line, key, what is found and allowed."""


def records_of(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The records of a file, with their number in it (the line, or the place among the examples) and where they are."""
    if not path.name.endswith((".json", ".json.gz")):
        for number, where, record in json_lines(path):
            yield number, where, record
        return
    examples = json_file(path).get("examples")
    if not isinstance(examples, list):
        raise BenchmarkDataError(f"{path}: the key 'examples' is {kind_of(examples)}; it must be a list.")
    for number, record in enumerate(examples):
        if not isinstance(record, dict):
            raise BenchmarkDataError(f"{path}, example {number} is {kind_of(record)}; it must be an object.")
        yield number, f"{path}, example {number}", record


def value_of(record: dict[str, Any], name: str) -> Any:
    """A field of a record; ``outer.inner`` is one of the object ``outer``."""
    outer, _, inner = name.partition(".")
    if inner and name not in record:
        value = record.get(outer)
        return value_of(value, inner) if isinstance(value, dict) else None
    return record.get(name)


def strings(value: Any) -> Iterator[str]:
    """All strings in a value; of an object of numbers its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key if isinstance(inner, int | float) else inner)


def joined(record: dict[str, Any], fields: Iterable[str]) -> str:
    """The text of an item whose passages are fields of a record; those that have no text are left out."""
    passages = ("\n".join(strings(value_of(record, field))) for field in fields)
    return PASSAGE.join(passage for passage in passages if passage.strip())


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
        raise BenchmarkDataError(f"{where} is {kind_of(value)}; it must be a JSON object.")
    return value


def json_file(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    return _parse(_content(path), str(path))


def json_lines(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its line's number and its place. Blank lines are passed over."""
    for number, line in enumerate(_content(path).split(b"\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield number, where, _parse(line, where)


def string(record: dict[str, Any], key: str, where: str) -> str:
    """A field of a record that must be a string with visible characters."""
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        found = "missing" if key not in record else kind_of(value)
        raise BenchmarkDataError(f"{where}: the key {key!r} is {found}; it must be a string that is not empty.")
    return value


def identity(record: dict[str, Any], where: str) -> str:
    """The ``id`` of a record, which may be a whole number."""
    value = record.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BenchmarkDataError(f"{where}: the key 'id' is {kind_of(value)}; it must be a string or a whole number.")
    return str(value)


def kind_of(value: Any) -> str:
    """A value as an error shows it."""
    if isinstance(value, str | list | dict) and not value:
        return f"an empty {type(value).__name__}"
    return "null or missing" if value is None else f"{type(value).__name__} {value!r:.60}"
