"""Reading recipes from YAML: ``extends``, and errors that name file, line, key, value and what is allowed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe

PROJECT = Path(__file__).resolve().parents[2]
RECIPES = PROJECT / "orchestration" / "recipes"
# One folder can hold both the corpora and the evaluation data.
_STANDS_FOR = {"TOKKA_EVAL_DATA": "TOKKA_SHARED"}
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# What pydantic puts into the place of an error beside the keys: the kinds of tasks, and that a key itself is wrong.
_TAGS = ("bits_per_character", "translation", "finbench", "protected", "kenlm", "fasttext", "[key]")


class RecipeError(ValueError):
    """A recipe cannot be used. The message is one line for a person."""


class MissingVariableError(RecipeError):
    """A path names an environment variable that is not set."""


class _Loader(yaml.SafeLoader):
    """YAML without duplicate keys, which would silently drop a value."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen[key] = 1
    loader.flatten_mapping(node)
    return {loader.construct_object(k): loader.construct_object(v, deep=True) for k, v in node.value}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = yaml.load(path.read_text("utf-8"), _Loader)
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no such recipe file.") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{path}{line}: not readable as YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys to values, found {type(value).__name__}.")
    return value


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``change`` over ``base``, mapping by mapping; a null removes the key."""
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _resolved(path: Path, folders: list[Path], chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The recipe's mapping with everything that it extends."""
    if path in chain:
        raise RecipeError(f"{path}: extends itself, by way of {' -> '.join(p.stem for p in (*chain, path))}.")
    value = _read(path)
    parent = value.pop("extends", None)
    if parent is None:
        return value
    if not isinstance(parent, str) or not re.fullmatch(r"[a-z0-9_.-]+", parent):
        raise RecipeError(
            f"{path}, line {_line(path, ('extends',))}: extends is {parent!r}; allowed is a recipe's name."
        )
    candidates = [folder / f"{parent}.yaml" for folder in (path.parent, *folders)]
    found = next((c for c in candidates if c.is_file()), None)
    if found is None:
        raise RecipeError(
            f"{path}, line {_line(path, ('extends',))}: extends {parent!r}, but there is no {parent}.yaml."
        )
    base = _resolved(found, folders, (*chain, path))
    base.pop("name", None)  # each file's recipe has its own
    return _merge(base, value)


def _line(path: Path, location: tuple[Any, ...]) -> int:
    """The line of a key in a YAML file, or of its nearest parent that is there; 1 where nothing is."""
    node = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _sentence(path: Path, error: ValidationError) -> str:
    """One line for the first of a validation's errors, and how many more there are."""
    first = error.errors()[0]
    location = tuple(p for p in first["loc"] if p not in _TAGS)
    key = ".".join(str(p) for p in location) or "the recipe"
    found = first.get("input")
    shown = "" if isinstance(found, dict | list | Recipe) or first["type"] == "missing" else f" is {found!r}"
    what = {"extra_forbidden": "is not a known key", "missing": "is missing"}.get(first["type"])
    message = first["msg"].removeprefix("Value error, ")
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        return (
            f"{path}, line {_line(path, location)}: {key} {what}"
            + (f"; known are: {', '.join(known)}" if known else "")
            + f".{more}"
        )
    if what:
        return f"{path}, line {_line(path, location)}: {key} {what}.{more}"
    return f"{path}, line {_line(path, location)}: {key}{shown}: {message}.{more}"


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed below ``location`` of a recipe, where they can be told."""
    model: Any = Recipe
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        annotation = field.annotation if field else model
        arguments = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        model = annotation if hasattr(annotation, "model_fields") else (arguments[0] if arguments else None)
        if model is None:
            return []
    return sorted(getattr(model, "model_fields", {}))


def load_recipe(path: Path, folders: Iterable[Path] = (RECIPES,)) -> Recipe:
    """The recipe in the file ``path``; ``extends`` is looked up beside it, then in ``folders``."""
    value = _resolved(path, list(folders))
    value.setdefault("name", path.stem)
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        raise RecipeError(_sentence(path, error)) from error
    if recipe.name != path.stem:
        raise RecipeError(
            f"{path}, line {_line(path, ('name',))}: name is {recipe.name!r}; it must be the file's, {path.stem!r}."
        )
    return recipe


def recipe_folders() -> list[Path]:
    """Where recipes are looked for: the project's own, and the folders that ``TOKKA_RECIPES`` names (separated by ':')."""
    extra = [Path(p).expanduser() for p in os.environ.get("TOKKA_RECIPES", "").split(":") if p]
    return [RECIPES, *extra]


def load_catalog(folders: Iterable[Path] | None = None) -> Catalog:
    """All recipes of the folders, checked against each other."""
    places = list(folders) if folders is not None else recipe_folders()
    return Catalog.of(load_recipe(path, places) for folder in places for path in sorted(folder.glob("*.yaml")))


def expand(uri: str) -> str:
    """``uri`` with ``${TOKKA_...}`` filled in, a relative path made absolute from the project's folder.

    Only variables whose name starts with TOKKA_ may be named, so that a recipe cannot read secrets. Raises
    MissingVariableError where one is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not re.fullmatch(r"TOKKA_[A-Z0-9_]+", name):
            raise RecipeError(f"{uri!r} names the variable {name!r}; allowed are names that start with TOKKA_.")
        found = os.environ.get(name) or os.environ.get(_STANDS_FOR.get(name, name))
        if not found:
            raise MissingVariableError(f"{uri!r} needs the environment variable {name}, which is not set.")
        return found

    filled = _VARIABLE.sub(value, uri)
    return filled if "://" in filled or filled.startswith("/") else str(PROJECT / filled)
