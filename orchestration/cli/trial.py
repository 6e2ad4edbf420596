"""``tokka try``: a cleaning profile, and if asked deduplication and decontamination, on any file outside the graph."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import TypeAdapter, ValidationError

from assets.cleaning.profiles import PROFILES, Profile
from assets.corpora.documents import storable
from orchestration.cli.output import err, fail

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.recipe.data import Filter

LANGUAGE_FIELDS = ("language", "lang", "declared_lang")
LICENCE = "LicenseRef-unstated"


@dataclass
class Outcome:
    """What became of a document; ``reasons`` names all that speak against it, or what was done to it where it is kept."""

    id: str
    text: str
    translation: str | None
    reasons: list[str] = field(default_factory=list)
    kept: bool = True

    def drop(self, reason: str) -> None:
        self.kept = False
        self.reasons.append(reason)

    def line(self) -> str:
        """The JSON line."""
        value: dict[str, Any] = {
            "id": self.id,
            "decision": "keep" if self.kept else "drop",
            "reasons": self.reasons,
            "text": self.text,
        }
        if self.translation is not None:
            value["translation"] = self.translation
        return json.dumps(value, ensure_ascii=False)


def try_command(
    profile: str,
    file: str,
    language: str | None,
    pair_language: str | None,
    text_field: str | None,
    without: list[str],
    settings: list[str],
    filters: list[str],
    with_dedup: bool,
    against: list[str],
    limit: int | None,
) -> None:
    """Print one JSON line for each document, in the order of the file."""
    chosen = _profile(profile, without, settings, filters)
    if (profile == "pairs") != (pair_language is not None):
        fail("the profile 'pairs' needs --language and --pair-language, and no other profile takes --pair-language.")
    documents, unreadable = _documents(file, language, pair_language, text_field, limit)
    outcomes = _clean(documents, chosen, pair_language)
    if with_dedup:
        _deduplicate(outcomes)
    if against:
        _decontaminate(outcomes, against, file)
    for place in sorted(unreadable):
        outcomes.insert(place, unreadable[place])
    for outcome in outcomes:
        typer.echo(outcome.line())


def _profile(name: str, without: list[str], settings: list[str], filters: list[str]) -> Profile:
    from assets.cleaning.models import model_steps
    from assets.recipe.load import RecipeError

    if name not in PROFILES:
        fail(f"there is no cleaning profile {name!r}; the profiles are: {', '.join(PROFILES)}.")
    thresholds: dict[str, dict[str, float]] = {}
    for setting in settings:
        target, _, value = setting.partition("=")
        step, _, key = target.partition(".")
        try:
            thresholds.setdefault(step, {})[key] = float(value)
        except ValueError:
            fail(f"--set {setting}: it must be STEP.THRESHOLD=NUMBER, such as digits.at_most=0.2.")
    declared = [_filter(text) for text in filters]
    if name == "pairs" and any(each.kind == "kenlm" for each in declared):
        fail("--filter: a filter of the kind kenlm reads one language; it belongs to documents, not to pairs.")
    try:
        steps = model_steps(declared, "--filter")
        return PROFILES[name].leaving_out(tuple(without)).with_thresholds(thresholds).with_steps(steps)
    except RecipeError as error:
        fail(str(error))
    except ValidationError as error:
        fail(f"profile {name!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.")
    except ValueError as error:
        fail(f"profile {name!r}: {error}.")


def _filter(text: str) -> "Filter":
    """A filter as a recipe writes it, in YAML's braces; a model's relative path starts at the working directory."""
    import yaml

    from assets.recipe.data import Filter

    form = "a mapping as in a recipe, such as {kind: kenlm, model: fi.binary, max_perplexity: 100000}"
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        fail(f"--filter {text}: it must be {form}.")
    try:
        declared: Filter = TypeAdapter(Filter).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"][1:]))
        fail(f"--filter {text}: {key and f'{key}: '}{first['msg']}; it must be {form}.")
    return declared.model_copy(update={"model": _uri(declared.model)})


def _uri(path: str) -> str:
    """A path from the working directory on, or a URI."""
    return path if "://" in path else str(Path(path).expanduser().resolve())


def _documents(
    file: str, language: str | None, pair_language: str | None, text_field: str | None, limit: int | None
) -> "tuple[pa.Table, dict[int, Outcome]]":
    """The file's documents as ``document_schema``, and by its place in the file what became of a record that is none.

    Where no record can be read it is the file, or what was said about it, that is wrong: then the first one's fault is said.
    """
    import itertools

    import pyarrow as pa

    from assets.lake.documents import document_schema

    rows: list[dict[str, str | None]] = []
    unreadable: dict[int, Outcome] = {}
    first = ""
    for place, (line, record) in enumerate(itertools.islice(_records(file), limit)):
        row = record if isinstance(record, str) else _row(line, record, language, pair_language, text_field)
        if isinstance(row, str):
            first = first or row
            own = None if isinstance(record, str) else record.get("id")
            unreadable[place] = Outcome(storable(str(line if own is None else own)), "", None)
            unreadable[place].drop(f"unreadable: {row}")
        else:
            rows.append(row)
    if first and not rows:
        fail(f"{first}.")
    return pa.Table.from_pylist(rows, document_schema()), unreadable


def _records(file: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The records with their lines; of one that cannot be read what is wrong. ``-`` is JSONL from standard input."""
    from assets.corpora.files import find_files
    from assets.corpora.readers import Fault, read_records
    from assets.recipe.load import RecipeError

    with ExitStack() as stack:
        if file == "-":
            copied = stack.enter_context(tempfile.NamedTemporaryFile(prefix="stdin-", suffix=".jsonl"))
            shutil.copyfileobj(sys.stdin.buffer, copied)
            copied.flush()
            file = copied.name
        try:
            found = find_files((_uri(file),), "FILE")
        except RecipeError as error:
            fail(str(error))
        for each in found:
            for record in read_records(each, _format(each.name)):
                if isinstance(record, Fault):
                    yield record.line, f"{record.file}, line {record.line}: {record.what}"
                else:
                    yield record


def _format(name: str) -> str:
    """The format that a file's name tells; what has no known ending is plain text, one document."""
    stem = name.removesuffix(".gz").removesuffix(".zst").removesuffix(".xz").removesuffix(".bz2")
    ending = stem.rpartition(".")[2].lower()
    return {"jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl", "parquet": "parquet"}.get(ending, "text")


def _row(
    line: int, record: dict[str, Any], language: str | None, pair_language: str | None, text_field: str | None
) -> dict[str, str | None] | str:
    """A row of ``document_schema``, or what is wrong with a record that has no text."""
    declared = language or next((str(record[name]) for name in LANGUAGE_FIELDS if record.get(name)), None)
    if declared is None:
        fail(f"record {line} says no language (in {', '.join(LANGUAGE_FIELDS)}); give one with --language.")
    sides: dict[str, Any] = {"text": record.get(text_field or (pair_language or "text"))}
    if pair_language is not None:
        sides["translation"] = record.get(declared)
    for side, value in sides.items():
        if not isinstance(value, str):
            known = ", ".join(map(str, record))
            return f"record {line} has no {side} (its fields are {known}); name the field with --text-field"
    own = record.get("id")
    return {
        "id": storable(str(line if own is None else own)),
        "source": "trial",
        "language": declared,
        "license": storable(str(record.get("license") or LICENCE)),
        "translation": None,
        "url": None,
        "meta": None,
        **{side: storable(value) for side, value in sides.items()},
    }


def _clean(documents: "pa.Table", profile: Profile, pair_language: str | None) -> list[Outcome]:
    from assets.cleaning.texts import Languages
    from assets.cleaning.trial import try_profile
    from assets.recipe.load import RecipeError

    declared = documents["language"].to_pylist()
    languages = [Languages(pair_language, each) if pair_language else Languages(each) for each in declared]
    try:
        tried = try_profile(documents, languages, profile)
    except RecipeError as error:
        fail(str(error))
    rows = zip(documents["id"].to_pylist(), tried.to_pylist(), strict=True)
    return [
        Outcome(id_, row["text"], row["translation"], list(row["reasons"]), not row["reasons"]) for id_, row in rows
    ]


def _kept(outcomes: list[Outcome]) -> "tuple[list[Outcome], pa.Table]":
    """The outcomes that are kept so far, and their documents."""
    import pyarrow as pa

    kept = [outcome for outcome in outcomes if outcome.kept]
    columns = {
        "id": [outcome.id for outcome in kept],
        "source": ["trial"] * len(kept),
        "text": [outcome.text for outcome in kept],
        "translation": [outcome.translation for outcome in kept],
    }
    return kept, pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def _deduplicate(outcomes: list[Outcome]) -> None:
    """Drop what repeats an earlier document of the file."""
    from assets.dedup.search import find_duplicates
    from assets.recipe.data import Dedup

    kept, table = _kept(outcomes)
    for found in find_duplicates(lambda: [table], Dedup()):
        kept[found.document].drop(f"{found.kind}_duplicate of {kept[found.survivor].id}")


def _decontaminate(outcomes: list[Outcome], against: list[str], file: str) -> None:
    """Drop or cut what holds text of the benchmarks, the tried file itself left out; the reasons say so."""
    from assets.decontamination.documents import decontaminate
    from assets.recipe.data import Decontamination

    kept, table = _kept(outcomes)
    benchmarks: dict[str, list[tuple[str, str]]] = {}
    for name in against:
        benchmarks |= _benchmarks(name, Path(file))
    for outcome, row in zip(kept, decontaminate(table, benchmarks, Decontamination()).to_pylist(), strict=True):
        outcome.reasons += [
            f"contamination: {match['benchmark']}, item {match['item']}, {match['words']} words"
            for match in row["matches"]
        ]
        outcome.kept = row["decision"] != "dropped"
        outcome.text = row["text"] if outcome.kept else outcome.text


def _benchmarks(name: str, tried: Path) -> dict[str, list[tuple[str, str]]]:
    """The (id, text) of the items of a task, of all tasks of a recipe, of a suite, of all recipes (``all``), or of files."""
    from assets.benchmarks.items import BenchmarkDataError, items_of_files
    from assets.benchmarks.stage import files_of, read_files
    from assets.recipe.load import load_catalog, recipe_folders
    from assets.recipe.suites import suite_paths
    from orchestration.cli.suites import open_suite

    catalog = load_catalog()
    suites = suite_paths(recipe_folders())
    if name == "all":
        tasks = catalog.tasks
    elif name in catalog.recipes:
        tasks = catalog.recipes[name].tasks
    elif name in catalog.tasks:
        tasks = {name: catalog.tasks[name]}
    elif name in suites:
        tasks = open_suite(name).tasks
    elif Path(name).exists():
        try:
            return items_of_files(Path(name), leave_out=(tried,))
        except BenchmarkDataError as error:
            fail(str(error))
    else:
        known = ", ".join(("all", *catalog.recipes, *sorted(suites), *sorted(catalog.tasks)))
        fail(
            f"--against {name}: there is no such recipe, suite, task, file or folder; recipes, suites and tasks are: {known}."
        )
    items: dict[str, list[tuple[str, str]]] = {}
    for label, task in sorted(tasks.items()):
        try:
            table, reason = read_files(task, *files_of(task, label))
        except BenchmarkDataError as error:
            fail(str(error))
        if reason:
            err.print(f"tokka: the data of {label} is not whole: {reason}", markup=False)
        items[label] = list(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    return items
