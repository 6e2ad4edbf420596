"""docs/recipes.md, made from the types of recipes, suites, studies and profiles: ``make reference``.

The text of a key is its ``Field(description=...)``, that of a section the docstring of its type; type, default and range are
those of the JSON schema that pydantic makes of them.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from assets.recipe.base import Config
from assets.recipe.load import PROJECT
from assets.recipe.model import Recipe
from assets.recipe.study import Study
from assets.recipe.suites import Suite
from orchestration.profile import ProfileFile

PAGE = PROJECT / "docs" / "recipes.md"
ROOTS: tuple[tuple[str, type[Config]], ...] = (
    ("Recipes", Recipe),
    ("Suites", Suite),
    ("Studies", Study),
    ("Profiles", ProfileFile),
)
"""The chapters, and the type of the file that each is about."""

_HEAD = """\
# Reference of recipes, suites, studies and profiles

Made from the types by `make reference`; not edited by hand. Rules between several keys (such as that `global_batch` is a multiple
of `micro_batch` x `data_parallel`) are checked when a file is read; the error names file, line, key, value and what is allowed.

```sh
tokka recipes list
tokka recipes show mini          # a recipe with everything that it extends filled in
tokka recipes check mini         # whether it can run here
```

Recipes are the YAML files of `orchestration/recipes` and of the folders that `TOKKA_RECIPES` names. Beside the keys below:

- `extends: NAME` takes everything of another recipe. Mappings are merged, other values replaced, and `null` takes a key away.
- Paths and URIs may name variables, `${TOKKA_...}`; a relative path starts at the project.
- A task of the kind `harness` may have `include: FOLDER`, see there.
- Sources, pools, tokenizers and tasks are one name space over all recipes: what has one name must mean the same.

A **name** is of small letters, digits and single `_`, `.` or `-` between them, at most 48 characters. A **language** is a code
of two or three small letters, or `code`. A section headed `kind: NAME` is about a mapping that has this key and value. An unknown
key is an error everywhere.
"""

_PATTERNS = {r"^[a-z0-9]+([_.-][a-z0-9]+)*$": "name", r"^[a-z]{2,3}$|^code$": "language"}
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_Schema = Mapping[str, Any]


def page() -> str:
    """The whole document."""
    seen: set[str] = set()
    chapters = [_chapter(title, root, seen) for title, root in ROOTS]
    return "\n".join([_HEAD, *chapters, _cleaning()])


def configs(root: type[Config]) -> dict[str, type[Config]]:
    """``root`` and every type below it by name, in the order in which their keys come."""
    classes = {cls.__name__: cls for cls in _subclasses(Config)}
    definitions = root.model_json_schema().get("$defs", {})
    found: dict[str, type[Config]] = {}

    def visit(name: str, schema: _Schema) -> None:
        if name not in found:
            found[name] = classes[name]
            below = dict.fromkeys(_references(schema.get("properties", {})))
            for each in below:
                visit(each, definitions[each])

    visit(root.__name__, root.model_json_schema())
    return found


def _subclasses(cls: type[Config]) -> Iterator[type[Config]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


def _references(schema: Any) -> Iterator[str]:
    """The names of the types that a schema refers to."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for key, each in schema.items():
            if key != "discriminator":
                yield from _references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def _chapter(title: str, root: type[Config], seen: set[str]) -> str:
    parts = [f"## {title}"]
    for name, cls in configs(root).items():
        if name not in seen:
            seen.add(name)
            parts += [f"### {_title(cls)}", _text(cls), _table(cls)]
    return "\n\n".join(parts) + "\n"


def _title(cls: type[Config]) -> str:
    """The heading of a type: its name, or what its key ``kind`` has."""
    kind = _kind(cls)
    return f"kind: {kind}" if kind else cls.__name__


def _kind(cls: type[Config]) -> str | None:
    found = cls.model_json_schema()["properties"].get("kind", {})
    return found.get("const")


def _link(cls: type[Config]) -> str:
    """A link to the section of a type; GitHub's anchors are of small letters without punctuation."""
    anchor = re.sub(r"[^\w -]", "", _title(cls).lower()).replace(" ", "-")
    return f"[{_kind(cls) or cls.__name__}](#{anchor})"


def _text(cls: type[Config]) -> str:
    return inspect.cleandoc(cls.__doc__ or "").replace("``", "`")


def _table(cls: type[Config]) -> str:
    classes = {each.__name__: each for each in _subclasses(Config)}
    properties = cls.model_json_schema()["properties"]
    lines = ["| key | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for name, field in cls.model_fields.items():
        if name == "kind":
            continue
        schema = properties[name]
        default = "**required**" if field.is_required() else _default(field.get_default(call_default_factory=True))
        cells = (
            f"`{name}`",
            _type(schema, classes),
            default,
            _allowed(schema),
            (field.description or "").replace("``", "`"),
        )
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    if isinstance(value, Config):
        return "its defaults"
    return f"`{json.dumps(value)}`"


def _type(schema: _Schema, classes: Mapping[str, type[Config]]) -> str:
    """The type of a value, in words."""
    if "$ref" in schema:
        return _link(classes[schema["$ref"].rpartition("/")[2]])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(each, classes) for each in schema[several] if each.get("type") != "null")
    if schema.get("type") == "array":
        return _list(schema, classes)
    if schema.get("type") == "object":
        return _mapping(schema, classes)
    return _PATTERNS.get(schema.get("pattern", ""), _PLAIN.get(schema.get("type", ""), "anything"))


def _list(schema: _Schema, classes: Mapping[str, type[Config]]) -> str:
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])} {_type(schema['prefixItems'][0], classes)}s"
    return f"list of {_type(schema['items'], classes)}" if "items" in schema else "empty list"


def _mapping(schema: _Schema, classes: Mapping[str, type[Config]]) -> str:
    patterns = schema.get("patternProperties", {})
    inner = next(iter(patterns.values()), None) or schema.get("additionalProperties")
    if not isinstance(inner, Mapping):
        return "mapping"
    key = _PATTERNS.get(next(iter(patterns), ""))
    return f"mapping {f'of {key} ' if key else ''}to {_type(inner, classes)}"


def _allowed(schema: _Schema) -> str:
    """What a value may be beyond its type; of lists and mappings also what each of their values may be."""
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    said = [_bounds(schema)]
    if "pattern" in schema and schema["pattern"] not in _PATTERNS:
        said.append(f"`{schema['pattern']}`")
    for several in ("anyOf", "oneOf"):
        said += [_allowed(each) for each in schema.get(several, ())]
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    said += [f"each: {rule}" for each in inner if isinstance(each, Mapping) and (rule := _allowed(each))]
    said += [f"keys: `{key}`" for key in schema.get("patternProperties", ()) if key not in _PATTERNS]
    return "; ".join(dict.fromkeys(rule for rule in said if rule))


def _bounds(schema: _Schema) -> str:
    whole = schema.get("type") == "integer"
    rules = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in schema:
            # Of whole numbers "> 0" reads better as "≥ 1".
            closed = {">": ("≥", 1), "<": ("≤", -1)}.get(sign) if whole else None
            shown, step = closed or (sign, 0)
            rules.append(f"{shown} {schema[key] + step:,}")
    for key, word in (("minLength", "at least"), ("minItems", "at least"), ("maxLength", "at most")):
        if schema.get(key) and schema.get("pattern") not in _PATTERNS and "prefixItems" not in schema:
            what = "entries" if schema.get("type") == "array" or "anyOf" in schema else "characters"
            one = {"entries": "entry", "characters": "character"}[what]
            rules.append(f"{word} {schema[key]:,} {one if schema[key] == 1 else what}")
    if "minProperties" in schema:
        rules.append("not empty")
    return ", ".join(rules)


def _cleaning() -> str:
    """The steps of each cleaning profile, in their order, with their thresholds: names for ``without`` and ``thresholds``."""
    from assets.cleaning.profiles import PROFILES

    lines = [
        "## Cleaning steps",
        "",
        "What `without` and `thresholds` of a [Source](#source) may name, with the numbers that hold where a source has none. A",
        "profile's edits come first; the first of its tests that fails is the reason for which a document goes.",
    ]
    for name, profile in PROFILES.items():
        for what, steps in (("edits", profile.edits), ("tests", profile.tests)):
            said = []
            for step in steps:
                numbers = {k: v for k, v in step if isinstance(v, int | float) and not isinstance(v, bool)}
                said.append(f"`{step.name}`" + (f" {_numbers(numbers)}" if numbers else ""))
            lines += ["", f"**{name}**, {what}: " + ", ".join(said) + "."]
    return "\n".join(lines) + "\n"


def _numbers(numbers: Mapping[str, float]) -> str:
    return "(" + ", ".join(f"{key} {value:g}" for key, value in numbers.items()) + ")"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE.relative_to(PROJECT)} is current.")
