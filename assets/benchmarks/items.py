"""Reads a task's data files into items of one shape: what decontamination must find, and what the evaluation needs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.benchmarks.finbench import build_prompts
from assets.benchmarks.harness import harness_items
from assets.benchmarks.pairs import few_shot_pairs
from assets.benchmarks.programs import problems
from assets.benchmarks.records import (
    PASSAGE,
    BenchmarkDataError,
    Item,
    joined,
    json_file,
    json_lines,
    kind_of,
    records_of,
    string,
    strings,
    value_of,
)
from assets.benchmarks.texts import beginnings, lines
from assets.recipe.evaluation import (
    BitsPerCharacter,
    CharacterPerplexity,
    Continuation,
    FewShotTranslation,
    FinBench,
    Harness,
    Programming,
    Protected,
    Task,
    Translation,
)

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


def read_items(config: Task, paths: Sequence[Path]) -> "pa.Table":
    """Read a task's items from its local data files, in the order of ``paths``; ``config.limit`` keeps the first ones, of
    each subtask where there are several.

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
    taken: Counter[str] = Counter()
    for id_, text, item in _read(config, [Path(path) for path in paths]):
        subtask = item.get("subtask", "")
        if config.limit is not None and taken[subtask] == config.limit:
            continue
        taken[subtask] += 1
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
        for number, _, record in records_of(path):
            chosen = fields or [key for key in record if len("\n".join(strings(record[key])).split()) > 1]
            if text := joined(record, chosen):
                read.setdefault(name, []).append((f"{name}/{record.get('id', number)}", text))
    return read


def _read(config: Task, paths: list[Path]) -> Iterator[Item]:
    seen: dict[str, str] = {}
    items: Iterator[tuple[str, Item]]
    if isinstance(config, Protected):
        items = _protected(config, paths)
    elif isinstance(config, Harness):
        items = harness_items(config, paths)
    elif isinstance(config, FewShotTranslation):
        items = few_shot_pairs(config, paths)
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
    if isinstance(config, CharacterPerplexity):
        return lines(config, path)
    if isinstance(config, Continuation):
        return beginnings(config, path)
    if isinstance(config, Programming):
        return problems(config, path)
    assert isinstance(config, BitsPerCharacter)
    return _documents(config, path)


def _documents(config: BitsPerCharacter, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and ``text``. The item is ``{"text"}``."""
    for _, where, record in json_lines(path):
        text = string(record, "text", where)
        yield where, (string(record, "id", where), text, {"text": text})


def _pairs(config: Translation, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and a key per language. The item is ``{"source", "reference"}``, its text both."""
    for _, where, record in json_lines(path):
        source = string(record, config.source_language, where)
        reference = string(record, config.language, where)
        item = {"source": source, "reference": reference}
        yield where, (string(record, "id", where), f"{source}{PASSAGE}{reference}", item)


def _finbench(config: FinBench, path: Path) -> Iterator[tuple[str, Item]]:
    """BIG-bench JSON, a subtask per file. The item is ``{"subtask", "context", "choices", "target_scores"}``.

    Prompts are built before any limit cuts items off, so that an item's prompt does not depend on the limit.
    """
    task = json_file(path)
    examples = task.get("examples")
    if not isinstance(examples, list) or not examples:
        raise BenchmarkDataError(
            f"{path}: the key 'examples' is {kind_of(examples)}; it must be a list of at least one example."
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
        for number, where, record in records_of(path):
            found.update(field for field in config.fields if value_of(record, field) is not None)
            text = joined(record, config.fields)
            if not text:
                raise BenchmarkDataError(
                    f"{where} has no text in {', '.join(config.fields)}; it has the fields {', '.join(record)}."
                )
            own = record.get(config.id) if config.id else None
            yield where, (f"{name}/{number if own is None else own}", text, {})
    if missing := [field for field in config.fields if field not in found]:
        raise BenchmarkDataError(f"No record of {', '.join(p.name for p in paths)} has the field {missing[0]!r}.")


def _check_example(example: Any, where: str) -> None:
    if not isinstance(example, dict):
        raise BenchmarkDataError(
            f"{where} is {kind_of(example)}; it must be an object with 'input' and 'target_scores'."
        )
    if not isinstance(example.get("input"), str):
        raise BenchmarkDataError(f"{where}: the key 'input' is {kind_of(example.get('input'))}; it must be a string.")
    scores = example.get("target_scores")
    if not isinstance(scores, dict) or len(scores) < 2:
        raise BenchmarkDataError(
            f"{where}: the key 'target_scores' is {kind_of(scores)}; it must map two or more choices to scores."
        )
    for choice, score in scores.items():
        if not choice or isinstance(score, bool) or not isinstance(score, int | float):
            raise BenchmarkDataError(
                f"{where}: 'target_scores' has {choice!r}: {score!r}; no choice may be empty, scores must be numbers."
            )
