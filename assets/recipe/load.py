"""Reading recipes from YAML: ``extends``, and errors that name file, line, key, value and what is allowed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from assets.recipe.catalog import Catalog
from assets.recipe.evaluation import Task
from assets.recipe.model import Recipe
from assets.recipe.suites import with_suites
from assets.recipe.yaml_files import RecipeError, line_of, merge, one_line, read_yaml

__all__ = [
    "MissingVariableError",
    "RecipeError",
    "expand",
    "load_catalog",
    "load_recipe",
    "recipe_folders",
    "recipe_value",
]

PROJECT = Path(__file__).resolve().parents[2]
RECIPES = PROJECT / "orchestration" / "recipes"
# One folder can hold both the corpora and the evaluation data.
_STANDS_FOR = {"TOKKA_EVAL_DATA": "TOKKA_SHARED"}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# Tokka's own secrets, and where their files lie.
_SECRET = re.compile(r"PASSWORD|SECRET|CREDENTIAL|_KEY\b|WEBHOOK|SMTP|_FILE$")
# What pydantic puts into the place of an error beside the keys: the kinds of tasks, and that a key itself is wrong.
_KINDS = tuple(kind.model_fields["kind"].default for kind in get_args(get_args(Task)[0]))
_TAGS = (*_KINDS, "kenlm", "fasttext", "[key]")


class MissingVariableError(RecipeError):
    """A path names an environment variable that is not set."""


def _resolved(path: Path, folders: list[Path], chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The recipe's mapping with everything that it extends."""
    if path in chain:
        raise RecipeError(f"{path}: extends itself, by way of {' -> '.join(p.stem for p in (*chain, path))}.")
    value = read_yaml(path, "recipe")
    parent = value.pop("extends", None)
    if parent is None:
        return value
    if not isinstance(parent, str) or not re.fullmatch(r"[a-z0-9_.-]+", parent):
        raise RecipeError(
            f"{path}, line {line_of(path, ('extends',))}: extends is {parent!r}; allowed is a recipe's name."
        )
    candidates = [folder / f"{parent}.yaml" for folder in (path.parent, *folders)]
    found = next((c for c in candidates if c.is_file()), None)
    if found is None:
        raise RecipeError(
            f"{path}, line {line_of(path, ('extends',))}: extends {parent!r}, but there is no {parent}.yaml."
        )
    base = _resolved(found, folders, (*chain, path))
    base.pop("name", None)  # each file's recipe has its own
    merged = merge(base, value)
    for name, task in (value.get("tasks") or {}).items():
        if task is None:  # stays, so that it takes away a suite's task too
            merged.setdefault("tasks", {})[name] = None
    return merged


def sentence(path: Path, error: ValidationError, model: type[BaseModel] = Recipe) -> str:
    """One line for the first of a validation's errors in the YAML file of a ``model``, and how many more there are."""
    first = error.errors()[0]
    location = tuple(p for p in first["loc"] if p not in _TAGS)
    key = one_line(".".join(str(p) for p in location)) or f"the {model.__name__.lower()}"
    found = first.get("input")
    shown = (
        ""
        if isinstance(found, dict | list | BaseModel) or first["type"] == "missing"
        else f" is {one_line(repr(found))}"
    )
    what = {"extra_forbidden": "is not a known key", "missing": "is missing"}.get(first["type"])
    message = one_line(first["msg"].removeprefix("Value error, "), 600)
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return (
            f"{path}, line {line_of(path, location)}: {key} {what}"
            + (f"; known are: {', '.join(known)}" if known else "")
            + f".{more}"
        )
    if what:
        return f"{path}, line {line_of(path, location)}: {key} {what}.{more}"
    return f"{path}, line {line_of(path, location)}: {key}{shown}: {message}.{more}"


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed below ``location`` of a model, where they can be told."""
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else model
        arguments = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        model = annotation if hasattr(annotation, "model_fields") else (arguments[0] if arguments else None)
        if model is None:
            return []
    return sorted(getattr(model, "model_fields", {}))


def recipe_value(path: Path, folders: Iterable[Path] = (RECIPES,)) -> dict[str, Any]:
    """The mapping in the file ``path`` with everything that it extends and the tasks of its suites, not yet checked."""
    places = list(folders)
    return with_suites(path, _resolved(path, places), [path.parent, *places])


def load_recipe(path: Path, folders: Iterable[Path] = (RECIPES,)) -> Recipe:
    """The recipe in the file ``path``; ``extends`` is looked up beside it, then in ``folders``."""
    value = recipe_value(path, folders)
    value.setdefault("name", path.stem)
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        raise RecipeError(sentence(path, error)) from error
    if recipe.name != path.stem:
        raise RecipeError(
            f"{path}, line {line_of(path, ('name',))}: name is {recipe.name!r}; it must be the file's, {path.stem!r}."
        )
    return recipe


def recipe_folders() -> list[Path]:
    """Where recipes are looked for: the project's own, and the folders that ``TOKKA_RECIPES`` names (separated by ':')."""
    extra = [Path(p).expanduser() for p in os.environ.get("TOKKA_RECIPES", "").split(":") if p]
    return [RECIPES, *extra]


def load_catalog(folders: Iterable[Path] | None = None) -> Catalog:
    """All recipes of the folders and of the studies beside them, checked against each other."""
    from assets.recipe.studies import load_studies

    places = list(folders) if folders is not None else recipe_folders()
    own = [load_recipe(path, places) for folder in places for path in sorted(folder.glob("*.yaml"))]
    derived = [each for _, of_study in load_studies(places).values() for each in of_study]
    recipes = [*own, *(each.recipe for each in derived if each.is_new)]
    names = {recipe.name for recipe in recipes}
    aliases = {each.alias: each.recipe.name for each in derived if each.alias not in names}
    return Catalog.of(recipes, aliases)


def expand(uri: str) -> str:
    """``uri`` with ``${TOKKA_...}`` filled in, a relative path made absolute from the project's folder.

    Only variables whose name starts with TOKKA_ may be named, and none that may hold a secret (TOKKA_SMTP_PASSWORD). Raises
    MissingVariableError where one is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not re.fullmatch(r"TOKKA_[A-Z0-9_]+", name):
            raise RecipeError(f"{uri!r} names the variable {name!r}; allowed are names that start with TOKKA_.")
        if _SECRET.search(name):
            raise RecipeError(f"{uri!r} names the variable {name!r}, which may hold a secret; a path takes none.")
        found = os.environ.get(name) or os.environ.get(_STANDS_FOR.get(name, name))
        if not found:
            raise MissingVariableError(f"{uri!r} needs the environment variable {name}, which is not set.")
        return found

    filled = _VARIABLE.sub(value, uri)
    return filled if "://" in filled or filled.startswith("/") else str(PROJECT / filled)
