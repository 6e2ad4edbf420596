"""Reads the items of lm-eval's tasks from JSON Lines, and those that shots are taken from.

Records are as the data sets of the hub have them. Two that are also about in another form are brought into theirs: HellaSwag
whose context is in one piece, and TruthfulQA as its authors' table.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assets.benchmarks.records import BenchmarkDataError, joined, records_of, strings
from assets.recipe.evaluation import Harness

Doc = dict[str, Any]


def harness_items(config: Harness, paths: Sequence[Path]) -> Iterator[tuple[str, tuple[str, str, dict[str, Any]]]]:
    """Each item with its place: its id, its text, and ``{"doc", "subtask", "pool"}``.

    ``doc`` is the record as lm-eval's task wants it, ``subtask`` the value of the field in braces of ``config.task``, or "".
    ``pool`` holds what shots are taken from, ``[{"doc", "subtask"}]`` in the files' order: with the first item all of it,
    with the others nothing. Where these are the items themselves, it has them whatever the limit, each with its ``id``.
    Raises BenchmarkDataError for records that are not as they should be.
    """
    pool: list[Doc] = []
    if config.shots:
        picked = config.shots_where or config.where
        for number, where, record in _chosen(paths, picked):
            own = {} if config.shots_where else {"id": _id(config, number, record, where)}
            pool.append({**_entry(config, record, where), **own})
        if len(pool) < config.shots:
            asked = f" that have {_condition(picked)}" if picked else ""
            raise BenchmarkDataError(
                f"{_names(paths)}: {len(pool)} records{asked} to draw shots from; {config.shots} shots need as many or more."
            )
    found = False
    for number, where, record in _chosen(paths, config.where):
        text = _text(config, record)
        if not text:
            raise BenchmarkDataError(
                f"{where} has no text in {', '.join(config.fields) or 'any field'}; it has the fields {', '.join(record)}."
            )
        yield (
            where,
            (
                _id(config, number, record, where),
                text,
                {**_entry(config, record, where), "pool": [] if found else pool},
            ),
        )
        found = True
    if not found and config.where:
        raise BenchmarkDataError(f"{_names(paths)}: no record has {_condition(config.where)}, which where asks for.")


def _chosen(paths: Sequence[Path], wanted: dict[str, str]) -> Iterator[tuple[str, str, Doc]]:
    """The id, place and record of those whose fields have the wanted values."""
    for path in paths:
        name = path.name.split(".")[0]
        for number, where, record in records_of(path):
            if all(str(record.get(key, name if key == "file" else None)) == value for key, value in wanted.items()):
                yield f"{name}/{number}", where, record


def _id(config: Harness, number: str, record: Doc, where: str) -> str:
    """The file's name, and the record's own id or its number."""
    if config.id is None:
        return number
    if record.get(config.id) is None:
        raise BenchmarkDataError(f"{where} has no field {config.id!r}, which id names.")
    return f"{number.partition('/')[0]}/{record[config.id]}"


def _entry(config: Harness, record: Doc, where: str) -> Doc:
    field = config.field_of_subtask
    subtask = "" if field is None else record.get(field)
    if not isinstance(subtask, str) or (field and not re.fullmatch(r"[A-Za-z0-9_.+-]+", subtask)):
        raise BenchmarkDataError(
            f"{where}: the key {field!r} is {subtask!r:.60}; it must be a name of letters, digits and _.+-, as part of "
            f"lm-eval's task {config.task}."
        )
    return {"doc": _as_on_the_hub(record), "subtask": subtask}


def _text(config: Harness, record: Doc) -> str:
    fields = config.fields or [key for key, value in record.items() if len("\n".join(strings(value)).split()) > 1]
    return joined(record, fields)


def _as_on_the_hub(record: Doc) -> Doc:
    if "Correct Answers" in record and "mc2_targets" not in record:
        return _truthfulqa(record)
    if "endings" in record and "ctx" in record and "ctx_a" not in record:
        return _hellaswag(record)
    return record


def _truthfulqa(record: Doc) -> Doc:
    """TruthfulQA's multiple choice from the columns of its table, whose answers are parted by semicolons."""
    true, false = (
        [answer.strip() for answer in str(record[key]).split(";") if answer.strip()]
        for key in ("Correct Answers", "Incorrect Answers")
    )
    best = str(record.get("Best Answer", true[0] if true else "")).strip()
    return {
        "question": str(record["Question"]),
        "mc1_targets": {"choices": [best, *false], "labels": [1] + [0] * len(false)},
        "mc2_targets": {"choices": [*true, *false], "labels": [1] * len(true) + [0] * len(false)},
    }


def _hellaswag(record: Doc) -> Doc:
    """HellaSwag's context in two pieces: of ActivityNet the second is the sentence that is left open; WikiHow's has none."""
    context = str(record["ctx"])
    first, second = context, ""
    if not re.search(r"\[(header|title|step|substeps)\]", context):
        end = max(context.rfind(mark) for mark in (". ", "! ", "? "))
        if end >= 0:
            first, second = context[: end + 1], context[end + 2 :]
    return {**record, "ctx_a": first, "ctx_b": second}


def _condition(wanted: dict[str, str]) -> str:
    return ", ".join(f"{key} {value!r}" for key, value in wanted.items())


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
