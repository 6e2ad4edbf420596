"""``tokka eval``."""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assets.recipe.base import Config
from assets.recipe.evaluation import Average, Harness, Protected, ScoredTask, Translation
from assets.recipe.load import RecipeError
from orchestration.cli.output import Exit, duration, err, fail, out, print_json, print_table
from orchestration.cli.suites import open_suite

if TYPE_CHECKING:
    from eval_jobs.model import CheckpointLM
    from eval_jobs.score import TaskInput

LONGEST = 4096
"""Tokens that a model reads at most where nothing else is said; few prompts of the suites are longer."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def eval_command(
    model: str,
    suites: list[str],
    include: str | None,
    tasks: list[str],
    limit: int | None,
    output: str | None,
    max_length: int | None,
    as_json: bool,
) -> None:
    """Score a Hugging Face folder on suites, outside the graph."""
    folder = Path(model).expanduser()
    own_length, positions = check_checkpoint(folder)
    if max_length is not None and positions is not None and max_length > positions:
        fail(f"--max-length is {max_length}; the checkpoint reads at most {positions} tokens (its config.json).")
    longest = max_length or own_length
    versions, configs, averages = _wanted(suites, include)
    if unknown := sorted(set(tasks) - set(configs)):
        fail(f"there is no task {unknown[0]!r}; the tasks are: {', '.join(sorted(configs))}.")
    chosen = {name: config for name, config in configs.items() if not tasks or name in tasks}
    if limit is not None:
        chosen = {n: c.model_copy(update={"limit": min(limit, c.limit or limit)}) for n, c in chosen.items()}
    with tempfile.TemporaryDirectory(prefix="tokka-eval-") as temporary:
        place = Path(output).expanduser() if output else Path(temporary)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(f"--output {place}: {error.strerror}.")
        results = _score(folder, chosen, longest, place)
    scores = {name: task["metrics"] for name, task in results["tasks"].items()}
    value = {
        "model": str(folder),
        "suites": versions,
        "limit": limit,
        "max_length": longest,
        **results,
        "averages": {name: _average(name, average, results["tasks"], scores) for name, average in averages.items()},
        "output": str(place) if output else None,
    }
    if output:
        (place / "evaluation.json").write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print_json(value) if as_json else _print(value)
    states = {task["status"] for task in results["tasks"].values()}
    if "failed" in states:
        raise typer.Exit(Exit.JOB_FAILED)
    if "missing" in states:
        raise typer.Exit(Exit.GATE_FAILED)


def check_checkpoint(folder: Path) -> tuple[int, int | None]:
    """Leave with a sentence where ``folder`` is no checkpoint that can be scored; else how many tokens it is read with where
    nothing is asked for, and at most; None where its configuration does not bound that, as with ALiBi.
    """
    if not folder.is_dir():
        fail(f"there is no folder {folder}.")
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError:
        fail(f"{folder} has no config.json; a checkpoint has it beside tokenizer.json and model.safetensors.")
    except ValueError as error:
        fail(f"{folder / 'config.json'} is not JSON: {error}.")
    if not isinstance(config, dict):
        fail(f"{folder / 'config.json'} is {type(config).__name__}; it must be a JSON object.")
    if not list(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickles:
            fail(
                f"{folder} has its weights as a pickle ({pickles[0]}), which can run code when it is read; convert them "
                "to safetensors where you trust them."
            )
        fail(f"{folder} has no weights; they are in model.safetensors.")
    if not (folder / "tokenizer.json").is_file():
        fail(f"{folder} has no tokenizer.json; a checkpoint has it beside config.json and model.safetensors.")
    keys = ("max_position_embeddings", "n_positions", "seq_length")
    found = {key: config[key] for key in keys if isinstance(config.get(key), int) and config[key] > 0}
    positions = found.get("max_position_embeddings", found.get("n_positions"))
    return min(next(iter(found.values()), LONGEST), LONGEST), positions


def _wanted(suites: list[str], include: str | None) -> tuple[dict[str, int], dict[str, ScoredTask], dict[str, Average]]:
    """The versions of the suites, and all tasks and averages."""
    if not suites and include is None:
        from assets.recipe.load import recipe_folders
        from assets.recipe.suites import suite_paths

        names = ", ".join(sorted(suite_paths(recipe_folders())))
        fail(f"name what to score: --suite with one of {names}, or --include with a folder of tasks.")
    versions: dict[str, int] = {}
    tasks: dict[str, ScoredTask] = {}
    averages: dict[str, Average] = {}
    for name in dict.fromkeys(suites):
        suite = open_suite(name)
        versions[name] = suite.version
        scored = {task: config for task, config in suite.tasks.items() if not isinstance(config, Protected)}
        _add(tasks, scored, name)
        _add(averages, suite.averages, name)
    if include is not None:
        _add(tasks, _included(include), f"the folder {include}")
    return versions, tasks, averages


def _add(known: dict[str, Any], new: Mapping[str, Config], owner: str) -> None:
    for name, value in new.items():
        if known.setdefault(name, value) != value:
            fail(f"{owner} has {name!r}, which a suite before it has with another meaning; score them one by one.")


def _included(folder: str) -> dict[str, ScoredTask]:
    """The tasks of one's own in a folder, by their names."""
    from pydantic import ValidationError

    from assets.recipe.own_tasks import own_tasks

    place = str(Path(folder).expanduser().resolve())
    try:
        names = list(own_tasks(Path(place)))
        return {name: Harness.model_validate({"kind": "harness", "include": place, "task": name}) for name in names}
    except RecipeError as error:
        fail(str(error))
    except ValidationError as error:
        first = error.errors()[0]
        place_in = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        fail(f"{place_in}: {message}" if place_in else message)


def _score(folder: Path, configs: Mapping[str, ScoredTask], max_length: int, output: Path) -> dict[str, Any]:
    from assets.evaluation.stage import SEED
    from assets.recipe.tokens import PairTemplate
    from eval_jobs.score import ENVIRONMENT, Settings, score_tasks

    os.environ.update(ENVIRONMENT)  # before a library reads it, as it is imported
    template = PairTemplate(instructions=_instructions(configs.values()))
    inputs = {name: task_input(name, config) for name, config in configs.items()}
    for name, task in inputs.items():
        if task.reason:
            err.print(f"{name} is {'broken' if task.broken else 'missing'}: {task.reason}", markup=False)
    settings = Settings(SEED, max_length, template)
    return score_tasks(inputs, lambda: _open(folder, max_length), settings, output, _Progress())


def _open(folder: Path, max_length: int) -> "CheckpointLM":
    """The checkpoint, or leave with a sentence where it cannot be read: a file may be damaged, the architecture unknown."""
    from eval_jobs.score import open_model

    try:
        return open_model(folder, max_length)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        fail(f"{folder} cannot be read: {reason}")


def _instructions(tasks: Iterable[ScoredTask]) -> dict[str, str]:
    """By language, Poro 34B's instruction to translate into it, for a checkpoint that was trained with such ones.

    A language that pycld2 has no name for has none, and neither has code.
    """
    import pycld2

    names = {code: name.replace("_", " ").title() for name, code in pycld2.LANGUAGES}
    languages = {task.language for task in tasks if isinstance(task, Translation)}
    return {language: f"Translate into {names[language]}: " for language in sorted(languages & names.keys())}


def task_input(name: str, config: ScoredTask) -> "TaskInput":
    """The items of a task from its files. Of data that cannot be read or is not there, none, and the reason."""
    from assets.benchmarks.records import BenchmarkDataError
    from assets.benchmarks.stage import files_of, read_files
    from assets.lake.fingerprint import digest_of
    from eval_jobs.benchmark import rows_of
    from eval_jobs.score import TaskInput
    from eval_jobs.tasks import KINDS

    files, reason = files_of(config, name)
    if reason:
        return TaskInput(config, [], 0, reason, frozenset(), "")
    digest = digest_of({file.name: file.identity for file in files})
    try:
        items, _ = read_files(config, files, reason)
        rows = rows_of(items.to_pylist(), name, KINDS[config.kind].KEYS)
    except (BenchmarkDataError, ValueError) as error:
        return TaskInput(config, [], 0, str(error), frozenset(), digest, broken=True)
    return TaskInput(config, rows, len(rows), "", frozenset(), digest)


class _Progress:
    """Says on stderr which task is on, and how long all of them still take."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def log(self, line: str) -> None:
        err.print(f"[{duration(time.monotonic() - self.started)}] {line}", markup=False)

    def report(self, done: int, total: int, seconds_left: float | None) -> None:
        """The lines that are logged hold all of it."""


def _average(
    name: str, average: Average, tasks: Mapping[str, Any], scores: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """An average with its standard error; no score, and the tasks that lack one, where it cannot be taken."""
    errors = [tasks.get(task, {}).get("stderr", {}).get(average.metric_of(task)) for task in average.tasks]
    known = [error for error in errors if error is not None]
    return {
        "score": average.of(scores),
        "stderr": math.sqrt(sum(e * e for e in known)) / len(known) if len(known) == len(errors) else None,
        "tasks": list(average.tasks),
        "missing": [task for task in average.tasks if average.metric_of(task) not in scores.get(task, {})],
        "description": average.description,
    }


def _print(value: dict[str, Any]) -> None:
    rows = [
        {
            "task": name,
            "metric": metric,
            "score": _number(score),
            "standard error": _number(task["stderr"].get(metric)),
            "items": task["items"],
            "cut prompts": task["truncated"],
        }
        for name, task in value["tasks"].items()
        for metric, score in task["metrics"].items()
    ]
    suites = ", ".join(f"{name} (version {version})" for name, version in value["suites"].items())
    only = f", at most the first {value['limit']} items of each task or part of one" if value["limit"] else ""
    if rows:
        print_table(rows, f"{value['model']}: {suites or 'tasks of your own'}{only}")
    for name, average in value["averages"].items():
        if average["score"] is None:
            out.print(f"average {name}: none, without {', '.join(average['missing'])}", markup=False)
        else:
            error = "" if average["stderr"] is None else f" ± {average['stderr']:.4f}"
            out.print(f"average {name}: {average['score']:.4f}{error}", markup=False, style="bold")
    for name, task in value["tasks"].items():
        if task["status"] != "scored":
            out.print(f"{name} is {task['status']}: {task['reason']}", markup=False)
    if value["output"]:
        out.print(f"Item by item: {value['output']}/items", markup=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
