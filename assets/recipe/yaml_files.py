"""YAML files of people: no key twice, errors with file and line, one file over another."""

import copy
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


class RecipeError(ValueError):
    """A recipe cannot be used. The message is one line for a person."""


class Loader(yaml.SafeLoader):
    """YAML without duplicate keys, which would silently drop a value; what cannot be read is named with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()
            return value
        except UnicodeEncodeError:
            # An escape such as "\\ud800": no file, page or message could hold it.
            raise yaml.constructor.ConstructorError(
                None, None, "this text holds half of a surrogate pair, which is no character", node.start_mark
            ) from None
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
            # PyYAML's own errors for dates without a day and numbers without digits. The value may be a secret.
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"this is no {kind}", node.start_mark) from None


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, f"a {type(key).__name__} cannot be a key", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen[key] = 1
    loader.flatten_mapping(node)
    return {loader.construct_object(k): loader.construct_object(v, deep=True) for k, v in node.value}


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path, what: str, loader: type[yaml.SafeLoader] = Loader) -> dict[str, Any]:
    """The mapping in a YAML file; ``what`` it should hold ("recipe") is named in the error."""
    try:
        value = parse_yaml(path, loader)
    except FileNotFoundError:
        raise RecipeError(f"{path}: there is no such {what} file.") from None
    if not isinstance(value, dict):
        raise RecipeError(f"{path}: a {what} is a mapping of keys to values, found {type(value).__name__}.")
    return value


def parse_yaml(path: Path, loader: type[yaml.SafeLoader] = Loader) -> Any:
    """What a YAML file holds. Raises RecipeError with the line, and without the value, which may be a secret."""
    try:
        # The text is the key: recipes and studies extend each other, and the same file would be parsed for each of them.
        return copy.deepcopy(_parsed(path.read_text("utf-8"), loader))  # type: ignore[arg-type]
    except FileNotFoundError:
        raise
    except RecursionError:
        raise RecipeError(f"{path}: not readable as YAML: its lists and mappings are nested too deep.") from None
    except (yaml.YAMLError, OSError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        said = str(getattr(error, "problem", None) or error)
        raise RecipeError(f"{path}{line}: not readable as YAML: {one_line(said)}.") from error


@lru_cache(maxsize=256)
def _parsed(text: str, loader: type[yaml.SafeLoader]) -> Any:
    return yaml.load(text, loader)


def one_line(text: str, most: int = 300) -> str:
    """``text`` in one line, cut after ``most`` characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= most else f"{joined[:most]}..."


def merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``change`` over ``base``, mapping by mapping; a null removes the key."""
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def line_of(path: Path, location: tuple[Any, ...]) -> int:
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
