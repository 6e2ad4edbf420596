"""A user's own tasks: YAML in lm-eval's format in a folder that a recipe names, read as data.

Nothing in the folder is run: ``!function``, ``class`` and ``unsafe_code`` are refused. The configuration becomes part of the
recipe, so a change of it makes new scores, and a job on another machine needs no such folder.
"""

from pathlib import Path
from typing import Any

import yaml

from assets.recipe.yaml_files import Loader, RecipeError, line_of, merge, read_yaml

# lm-eval's keys that say how items are asked and scored.
ASKING = (
    "output_type",
    "description",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_config",
    "gen_prefix",
    "generation_kwargs",
    "metric_list",
    "filter_list",
    "metadata",
)
# Those that say where items lie, which Harness says in its own way.
DATA = ("dataset_path", "dataset_name", "dataset_kwargs", "num_fewshot")
# Which are the same decides whether lm-eval leaves an item out of what its shots are drawn from.
SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
# Those that decide no score.
NAMES = ("task", "task_alias", "tag", "should_decontaminate", "doc_to_decontamination_query", "repeats")
UNKNOWN_LANGUAGE = "und"  # ISO 639-2's code; lm-eval's format has no place for it, metadata.language is ours
OUTPUT_TYPES = ("multiple_choice", "loglikelihood", "generate_until")


class _Loader(Loader):
    """Reads ``!function NAME`` as a mark of where it stands; nothing is imported."""


class _Function:
    def __init__(self, name: str, line: int) -> None:
        self.name, self.line = name, line


_Loader.add_constructor(
    "!function", lambda loader, node: _Function(str(getattr(node, "value", "")), node.start_mark.line + 1)
)


def own_tasks(folder: Path) -> dict[str, Path]:
    """The YAML files of the tasks in a folder and below it, by the tasks' names. Raises RecipeError where it has none."""
    if not folder.is_dir():
        raise RecipeError(f"include: there is no folder {folder}.")
    found: dict[str, Path] = {}
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            name = yaml.load(path.read_text("utf-8"), _Loader).get("task")
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, AttributeError):
            continue  # said when it is the one that is asked for by its file's name
        if isinstance(name, str):
            if name in found:
                raise RecipeError(f"{path}: the task {name!r} is also in {found[name]}; names are unique in a folder.")
            found[name] = path
    if not found:
        raise RecipeError(f"include: {folder} has no YAML file with a key task.")
    return found


def with_definition(value: dict[str, Any]) -> dict[str, Any]:
    """A task of the kind harness whose ``include`` is read into ``definition``; see ``Harness``. Raises RecipeError."""
    from assets.recipe.load import expand

    value = dict(value)
    include, name = value.pop("include"), value.get("task")
    if not isinstance(include, str) or not isinstance(name, str):
        raise RecipeError(f"include is {include!r} and task {name!r}; they are a folder and the name of a task in it.")
    folder = Path(expand(include)).expanduser()
    if (folder / f"{name}.yaml").is_file():
        path = folder / f"{name}.yaml"
    else:
        tasks = own_tasks(folder)
        if name not in tasks:
            raise RecipeError(f"include: {folder} has no task {name!r}; it has {', '.join(sorted(tasks))}.")
        path = tasks[name]
    config = _read(path, folder.resolve())
    value.setdefault("definition", {key: config[key] for key in (*ASKING, *SPLITS) if key in config})
    value.setdefault("language", (config.get("metadata") or {}).get("language", UNKNOWN_LANGUAGE))
    for key, found in _data(path, config).items():
        value.setdefault(key, found)
    return value


def _read(path: Path, folder: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A task's configuration with what it includes, checked to be data alone."""
    config = read_yaml(path, "task", _Loader)
    for key, value in config.items():
        if function := _function_in(value):
            raise RecipeError(
                f"{path}, line {function.line}: {key} is !function {function.name}, which is code; a task of one's own is "
                "data alone. Write it as a Jinja template."
            )
    base: dict[str, Any] = {}
    includes = config.pop("include", [])
    for name in [includes] if isinstance(includes, str) else includes:
        other = (path.parent / str(name)).resolve()
        if not other.is_relative_to(folder) or other in (*seen, path.resolve()):
            raise RecipeError(
                f"{path}, line {line_of(path, ('include',))}: include is {name!r}; allowed is another file in {folder}."
            )
        base = merge(base, _read(other, folder, (*seen, path.resolve())))
    config = {**base, **config}
    for key, value in config.items():
        if key not in (*ASKING, *SPLITS, *DATA, *NAMES):
            raise RecipeError(
                f"{path}, line {line_of(path, (key,))}: {key} is not taken from a task of one's own; allowed are "
                f"{', '.join(sorted((*ASKING, *SPLITS, *DATA, *NAMES, 'include')))}."
            )
        if key == "output_type" and value not in OUTPUT_TYPES:
            raise RecipeError(
                f"{path}, line {line_of(path, (key,))}: output_type is {value!r}; allowed is {', '.join(OUTPUT_TYPES)}."
            )
    return config


def _function_in(value: Any) -> _Function | None:
    if isinstance(value, _Function):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for each in inner if (found := _function_in(each))), None)


def _data(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What a task's configuration says of its data and scores, in the keys of Harness."""
    for key in ("doc_to_text", "doc_to_target", "metric_list"):
        if key not in config:
            raise RecipeError(f"{path}: the key {key} is missing; lm-eval's format needs it.")
    listed = config["metric_list"]
    if not isinstance(listed, list) or not all(isinstance(each, dict) and "metric" in each for each in listed):
        raise RecipeError(
            f"{path}, line {line_of(path, ('metric_list',))}: metric_list must be a list of mappings with a key metric."
        )
    found: dict[str, Any] = {"metrics": [each["metric"] for each in listed], "shots": config.get("num_fewshot") or 0}
    if "data_files" not in (config.get("dataset_kwargs") or {}):
        return found
    if config.get("dataset_path") != "json":
        raise RecipeError(
            f"{path}, line {line_of(path, ('dataset_path',))}: dataset_path is {config.get('dataset_path')!r}; with "
            "dataset_kwargs.data_files it is 'json', for files in JSON Lines."
        )
    splits = config["dataset_kwargs"]["data_files"]
    if not isinstance(splits, dict):
        splits = {"train": splits}  # as datasets calls it
    scored = config.get("test_split") or config.get("validation_split")
    shots = config.get("fewshot_split") or config.get("training_split")
    if scored not in splits:
        raise RecipeError(
            f"{path}: test_split or validation_split is {scored!r}; dataset_kwargs.data_files has {', '.join(splits)}."
        )
    wanted = [scored, *([shots] if found["shots"] and shots in splits and shots != scored else [])]
    files = {split: str((path.parent / str(splits[split])).resolve()) for split in wanted}
    found["files"] = list(files.values())
    stems = {split: Path(file).name.split(".")[0] for split, file in files.items()}
    if len(wanted) == 2:
        found |= {"where": {"file": stems[scored]}, "shots_where": {"file": stems[str(shots)]}}
    return found
