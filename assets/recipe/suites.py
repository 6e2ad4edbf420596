"""Suites: named, versioned sets of evaluation tasks, in YAML, which recipes pick by name.

A suite's file has ``name``, ``version`` (a whole number, raised when its scores are no longer comparable), ``description``,
``tasks`` as in a recipe, and ``averages``. It lies in ``orchestration/suites``, or in ``suites`` in a folder of recipes.
"""

import copy
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from assets.recipe.base import Config, Name, Positive
from assets.recipe.evaluation import Average, Task
from assets.recipe.yaml_files import RecipeError, line_of, merge, read_yaml

SUITES = Path(__file__).resolve().parents[2] / "orchestration" / "suites"


class Suite(Config):
    """A named, versioned set of tasks with the averages that are taken over them."""

    name: Name = Field(description="as the file is called")
    version: Positive = Field(description="raised when scores are no longer comparable")
    description: str = Field(description="what the suite is, for people")
    tasks: dict[Name, Task] = Field(min_length=1, description="as in a recipe")
    averages: dict[Name, Average] = Field(default_factory=dict, description="means of scores over its tasks")

    @model_validator(mode="after")
    def _averages_are_of_its_tasks(self) -> Self:
        check_averages(self.averages, self.tasks)
        return self


def check_averages(averages: dict[str, Average], tasks: dict[str, Task]) -> None:
    """Every task of an average is there and has the metric. Raises ValueError."""
    for name, average in averages.items():
        for task in average.tasks:
            place = f"averages.{name} names {task!r}"
            if task not in tasks:
                raise ValueError(f"{place}, which is not among the tasks: {', '.join(sorted(tasks))}")
            metrics = getattr(tasks[task], "metrics", ())
            if average.metric_of(task) not in metrics:
                known = ", ".join(metrics) or "no metric, being protected"
                raise ValueError(f"{place} with the metric {average.metric_of(task)!r}; the task has {known}")


def suite_paths(folders: Iterable[Path] = ()) -> dict[str, Path]:
    """The files of all suites by name: the project's own, and those in ``suites`` of the folders of recipes.

    Raises RecipeError where two have a name.
    """
    paths: dict[str, Path] = {}
    for folder in dict.fromkeys([SUITES, *(folder / "suites" for folder in folders)]):
        for path in sorted(folder.glob("*.yaml")):
            known = paths.setdefault(path.stem, path)
            if known.resolve() != path.resolve():
                raise RecipeError(
                    f"{path}: there is already a suite {path.stem!r}, {known}. Give this one another name."
                )
    return paths


def load_suite(name: str, folders: Iterable[Path] = ()) -> Suite:
    """The suite of that name. Raises RecipeError that lists the names there are, or says what is wrong with the file."""
    path, value = _read(name, folders)
    try:
        suite = Suite.model_validate(value)
    except ValidationError as error:
        from assets.recipe.load import sentence

        raise RecipeError(sentence(path, error, Suite)) from error
    if suite.name != path.stem:
        line = line_of(path, ("name",))
        raise RecipeError(f"{path}, line {line}: name is {suite.name!r}; it must be the file's, {path.stem!r}.")
    return suite


def _read(name: str, folders: Iterable[Path]) -> tuple[Path, dict[str, Any]]:
    paths = suite_paths(folders)
    if name not in paths:
        raise RecipeError(f"there is no suite {name!r}; the suites are: {', '.join(sorted(paths)) or 'none'}.")
    path = paths[name]
    return path, {"name": path.stem, **copy.deepcopy(_parsed(path, path.stat().st_mtime_ns))}


@lru_cache(maxsize=64)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    """A suite's file as it was when it was last changed: every recipe that picks the suite asks for it."""
    return read_yaml(path, "suite")


def with_suites(path: Path, recipe: dict[str, Any], folders: Iterable[Path]) -> dict[str, Any]:
    """A recipe's mapping with the tasks and averages of its ``suites``; its own go over them, a null takes one away.

    An average goes when one of its tasks does: over fewer tasks it is another number.
    """
    names = recipe.get("suites") or []
    own: Any = recipe.get("tasks") or {}

    def place() -> str:
        return f"{path}, line {line_of(path, ('suites',))}"

    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{place()}: suites is {names!r}; it must be a list of names of suites.")
    if not isinstance(own, dict):
        return recipe
    tasks: dict[str, Any] = {}
    averages: dict[str, Any] = {}
    owner: dict[str, str] = {}
    for name in names:
        try:
            # Checked as a suite first, so that an error is said of its file and not of the recipe's.
            load_suite(name, folders)
            _, suite = _read(name, folders)
        except RecipeError as error:
            raise RecipeError(f"{place()}: {error}") from error
        for what, found in (("task", tasks), ("average", averages)):
            for key, value in (suite.get(f"{what}s") or {}).items():
                if found.setdefault(key, value) != value:
                    raise RecipeError(
                        f"{place()}: the suites {owner[f'{what} {key}']!r} and {name!r} both have the {what} {key!r}, but it "
                        "differs between them. Leave one of the suites out, or rename it in one of them."
                    )
                owner.setdefault(f"{what} {key}", name)
    for key, task in own.items():
        theirs = tasks.get(key)
        if isinstance(task, dict) and isinstance(theirs, dict) and task.get("kind", theirs["kind"]) != theirs["kind"]:
            raise RecipeError(
                f"{path}, line {line_of(path, ('tasks', key))}: tasks.{key} is of the kind {task['kind']}, and the suite "
                f"{owner[f'task {key}']!r} has a task {key!r} of the kind {theirs['kind']}. Give the recipe's another name."
            )
    kept = merge(tasks, own)
    whole = {name: value for name, value in averages.items() if set(value["tasks"]) <= set(kept)}
    merged = {**recipe, "tasks": {name: task for name, task in kept.items() if task is not None}}
    if whole or recipe.get("averages"):
        merged["averages"] = merge(whole, recipe.get("averages") or {})
    return merged
