"""lm-eval's own tasks, and a user's in its format, on items from files: the prompts and scores that stock lm-eval gives.

lm-eval's configuration of the task stands as it is, but for where items and shots come from. Shots are drawn as
``simple_evaluate`` draws them, with the evaluation's seed. A task of several subtasks (MMLU) is one task here: each item
has its subtask's description and shots, and a score is the mean over the subtasks.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from assets.recipe.evaluation import Harness
from eval_jobs.tasks.common import Row, Run, Settings, Summary, digest

VERSION = 1
KEYS = {"doc": dict, "subtask": str, "pool": list}
# lm-eval's own, for tasks that say nothing.
MAX_NEW_TOKENS = 256
# A generated token costs about as much as reading this many characters.
CHARACTERS_PER_GENERATED_TOKEN = 20
# A field that is added to items of subtasks.
DESCRIPTION = "tokka_description"
# What the subtasks of one task may differ in.
OWN = ("task", "task_alias", "dataset_name", "dataset_path", "description", "tag", "group", "metadata")


def definition(rows: list[Row], task: Harness, settings: Settings) -> dict[str, Any]:
    from datasets import Dataset

    subtasks = list(dict.fromkeys(row["subtask"] for row in rows))
    configs = _configs(task, subtasks)
    config = configs[subtasks[0]]
    _check_alike(task, configs)
    pool = rows[0]["pool"]
    docs = _processed(config.get("process_docs"), [{**row["doc"], "id": row["id"]} for row in rows])
    shot_config = dict(config.get("fewshot_config") or {})
    process_shots = shot_config.get("process_docs") or config.get("process_docs")
    shots_by_subtask: dict[str, list[Row]] = {}
    for entry, doc in zip(pool, _processed(process_shots, [_with_id(entry) for entry in pool]), strict=True):
        shots_by_subtask.setdefault(entry["subtask"], []).append(doc)
    # lm-eval leaves an item out of what it draws from where that is the split of the items, or where it is told neither.
    split = config.get("fewshot_split", shot_config.get("split"))
    leave_out = not task.shots_where or split == config.get("test_split")
    kinds = {row["id"]: row["subtask"] for row in rows}
    own_shots = shot_config.get("samples") if not task.shots_where else None
    if own_shots is not None:
        pool_of_all = own_shots() if callable(own_shots) else own_shots
        shots_by_subtask, leave_out = dict.fromkeys(subtasks, pool_of_all), split == config.get("test_split")
    facts = {"delimiter": len(config.get("target_delimiter", " ")), "metrics": list(task.metrics)}
    told = _provenance(task, config, settings, own_shots is not None)
    description = DESCRIPTION if task.field_of_subtask else config.get("description", "")
    for doc in docs:
        doc["tokka"] = {"subtask": kinds[doc["id"]], **facts, "told": told if doc is docs[0] else ""}
        if task.field_of_subtask:
            doc[DESCRIPTION] = _description(configs[kinds[doc["id"]]], doc)
    dataset = Dataset.from_list(docs)
    _check_shots(task, shots_by_subtask, subtasks, leave_out)
    sampler = _sampler(shot_config.get("sampler", "default"), shots_by_subtask, leave_out, settings.seed)
    changed: dict[str, Any] = {
        "description": description,
        "custom_dataset": lambda **_: {"items": dataset},
        "dataset_path": None,
        "dataset_name": None,
        "dataset_kwargs": None,
        "process_docs": None,
        "training_split": None,
        "validation_split": "items",
        # Both of them None: lm-eval then tells the sampler which item the shots are for.
        "test_split": None,
        "fewshot_split": None,
        "fewshot_config": {
            **{key: value for key, value in shot_config.items() if key not in ("split", "process_docs", "sampler")},
            "samples": [],
            "sampler": sampler,
        },
        "num_fewshot": task.shots,
        "repeats": 1,
        "should_decontaminate": False,
        "filter_list": [{"name": "none", "filter": _filter(task, config)}],
        "metric_list": _metrics(task, config, [kinds[doc["id"]] for doc in docs]),
    }
    if config["output_type"] == "generate_until":
        given = dict(config.get("generation_kwargs") or {})
        given.setdefault("until", [config.get("fewshot_delimiter", "\n\n")])
        given["until"] = [given["until"]] if isinstance(given["until"], str) else given["until"]
        given.setdefault("max_gen_toks", MAX_NEW_TOKENS)
        given.setdefault("do_sample", False)
        changed["generation_kwargs"] = given
    kept = {
        key: value for key, value in config.items() if key not in ("task", "task_alias", "tag", "group", "metadata")
    }
    return {**kept, **changed}


@cache
def _files_of_tasks() -> dict[str, Path]:
    """lm-eval's YAML files by the name of their task. Reads lines, not YAML: there are thousands."""
    import lm_eval.tasks

    found: dict[str, Path] = {}
    wanted = re.compile(
        rb"""^["']?task["']?[ \t]*:[ \t]*["']?([A-Za-z0-9_.+-]+)["']?[ \t]*(?:#.*)?\r?$""", re.MULTILINE
    )
    for path in sorted(Path(lm_eval.tasks.__file__).parent.rglob("*.yaml")):
        for match in wanted.finditer(path.read_bytes()):
            found.setdefault(match[1].decode(), path)
    return found


def task_config(task: Harness) -> dict[str, Any]:
    """lm-eval's configuration of a task; of one with subtasks, that of one of them. Raises ValueError."""
    if task.definition is None and task.field_of_subtask:
        start = task.task.partition("{")[0]
        known = (name.removeprefix(start) for name in _files_of_tasks() if name.startswith(start))
        return _configs(task, [next(known, "")]).popitem()[1]
    return _configs(task, [""])[""]


def _configs(task: Harness, subtasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """lm-eval's configuration of each subtask."""
    if task.definition is not None:
        return {subtask: dict(task.definition) for subtask in subtasks}
    from lm_eval.tasks._yaml_loader import load_yaml

    configs = {}
    for subtask in subtasks:
        name = task.task.partition("{")[0] + subtask
        path = _files_of_tasks().get(name)
        if path is None:
            near = [known for known in _files_of_tasks() if known.startswith(name.split("_")[0])][:10]
            raise ValueError(
                f"lm-eval {version('lm_eval')} has no task {name!r}" + (f"; it has {', '.join(near)}" if near else "")
            )
        # Looked at before functions are imported: those of a refused task may fetch things.
        _check_asking(name, load_yaml(path, resolve_func=False))
        configs[subtask] = load_yaml(path, resolve_func=True)
    return configs


def _check_asking(name: str, config: dict[str, Any]) -> None:
    """Whether a task of lm-eval can be asked and scored here. Raises ValueError."""
    if "class" in config or "group" in config:
        raise ValueError(f"{name} of lm-eval is a {'class' if 'class' in config else 'group'}; name a task.")
    if config.get("unsafe_code"):
        raise ValueError(f"{name} of lm-eval runs generated code; use the kind programming, which has a sandbox.")
    if config.get("output_type") not in ("multiple_choice", "loglikelihood", "generate_until"):
        raise ValueError(
            f"{name} of lm-eval has the output_type {config.get('output_type')!r}; allowed are multiple_choice, "
            "loglikelihood and generate_until. Texts as a whole are scored by the kind bits_per_character."
        )
    if config.get("repeats", 1) != 1:
        raise ValueError(f"{name} of lm-eval asks each item {config['repeats']} times; allowed is once.")


def _check_alike(task: Harness, configs: dict[str, dict[str, Any]]) -> None:
    """Subtasks are asked and scored in one way. Raises ValueError."""
    config = next(iter(configs.values()))
    first = next(iter(configs))
    for subtask, other in configs.items():
        for key in {*config, *other} - set(OWN):
            if other.get(key) != config.get(key):
                raise ValueError(
                    f"The subtasks {first} and {subtask} of {task.task} differ in {key}; give each a task."
                )


def _with_id(entry: Row) -> Row:
    return {**entry["doc"], "id": entry["id"]} if "id" in entry else dict(entry["doc"])


def _processed(function: Callable[[Any], Any] | None, docs: list[Row]) -> list[Row]:
    """Records as the task's ``process_docs`` leaves them. It may drop none, as then a score would be over other items."""
    from datasets import Dataset

    if not docs:
        return []
    found = Dataset.from_list(docs)
    if function is None:
        return list(found)
    processed = list(function(found))
    if len(processed) != len(docs):
        raise ValueError(f"process_docs of the task leaves {len(processed)} of {len(docs)} records.")
    return [{**doc, **({"id": old["id"]} if "id" in old else {})} for doc, old in zip(processed, docs, strict=True)]


def _check_shots(task: Harness, by_subtask: dict[str, list[Row]], subtasks: Sequence[str], leave_out: bool) -> None:
    for subtask in subtasks:
        found = len(by_subtask.get(subtask, []))
        if task.shots and found < task.shots + leave_out:
            where = f" of {subtask}" if subtask else ""
            raise ValueError(
                f"{found} records{where} to draw shots from; {task.shots} shots need {task.shots + leave_out}."
            )


def _sampler(name: Any, by_subtask: dict[str, list[Row]], leave_out: bool, seed: int) -> type:
    """A sampler of lm-eval's that draws for each item from its subtask, a generator for each."""
    from lm_eval.api.samplers import ContextSampler, get_sampler

    made = get_sampler(name) if isinstance(name, str) else name
    by_id = {doc["id"]: doc for docs in by_subtask.values() for doc in docs if "id" in doc}

    class Shots(ContextSampler):
        def __init__(self, df: Any = None, *, rnd: int | None = None, **kwargs: Any) -> None:
            super().__init__(df, rnd=rnd)
            self.by_subtask = {subtask: made(docs, rnd=seed) for subtask, docs in by_subtask.items()}

        def sample(self, n: int, eval_doc: Any = None, df: Any = None, **kwargs: Any) -> Any:
            drawn_from = self.by_subtask[eval_doc["tokka"]["subtask"]]
            # The item as it stands among the shots, which is without what was added to it.
            return drawn_from.sample(n, eval_doc=by_id.get(eval_doc["id"], eval_doc) if leave_out else None)

    return Shots


def _description(config: dict[str, Any], doc: Row) -> str:
    from lm_eval.utils import apply_template

    text = config.get("description") or ""
    return str(doc[text] if text in doc else apply_template(text, doc))


def _filter(task: Harness, config: dict[str, Any]) -> list[Any]:
    """The filter that is asked for, or the first."""
    filters = config.get("filter_list") or [{"name": "none", "filter": [{"function": "take_first"}]}]
    names = [each["name"] for each in filters]
    if task.filter is not None and task.filter not in names:
        raise ValueError(f"{task.task} has no filter {task.filter!r}; it has {', '.join(names)}.")
    chosen: list[Any] = filters[names.index(task.filter) if task.filter else 0]["filter"]
    return chosen


def _metrics(task: Harness, config: dict[str, Any], subtasks: list[str]) -> list[dict[str, Any]]:
    """The task's entries for the metrics that are asked for; all are means over items, of subtasks means of those."""
    listed = {each["metric"]: each for each in config.get("metric_list") or []}
    chosen = []
    for metric in task.metrics:
        if metric not in listed:
            raise ValueError(f"{task.task} has no metric {metric!r}; it has {', '.join(map(str, listed))}.")
        if listed[metric].get("aggregation", "mean") != "mean":
            raise ValueError(
                f"The metric {metric} of {task.task} is no mean over items but {listed[metric]['aggregation']}; "
                "allowed are means."
            )
        mean = lambda values: _mean(np.array(values, dtype=np.float64), subtasks)  # noqa: E731
        chosen.append({"higher_is_better": True, **listed[metric], "aggregation": mean})
    return chosen


def _by_subtask(values: np.ndarray, subtasks: Sequence[str]) -> list[np.ndarray]:
    found: dict[str, list[float]] = {}
    for subtask, value in zip(subtasks, values, strict=True):
        found.setdefault(subtask, []).append(value)
    return [np.array(each) for each in found.values()]


def _mean(values: np.ndarray, subtasks: Sequence[str]) -> float:
    return float(np.mean([each.mean() for each in _by_subtask(values, subtasks)]))


def _provenance(task: Harness, config: dict[str, Any], settings: Settings, own_shots: bool) -> str:
    """A line that says how the items were asked, as sacrebleu's signatures do."""
    if not task.shots:
        origin = "none"
    elif own_shots:
        origin = "the task's own"
    elif task.shots_where:
        origin = ",".join(f"{key}={value}" for key, value in sorted(task.shots_where.items()))
    else:
        origin = "the other items"
    parts = {
        "task": task.task,
        "lm-eval": version("lm_eval") if task.definition is None else "own",
        "task-version": (config.get("metadata") or {}).get("version", "none"),
        "shots": task.shots,
        "shots-from": origin,
        "seed": settings.seed,
        "filter": task.filter or "first",
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def summarise(samples: list[Row], run: Run) -> Summary:
    subtasks = [sample["doc"]["tokka"]["subtask"] for sample in samples]
    metrics = samples[0]["doc"]["tokka"]["metrics"]
    told = next((told for sample in samples if (told := sample["doc"]["tokka"]["told"])), "")
    summary = Summary()
    for metric in metrics:
        values = np.array([float(sample[metric]) for sample in samples])
        parts = _by_subtask(values, subtasks)
        summary.metrics[metric] = _mean(values, subtasks)
        if min(map(len, parts)) > 1:
            # The sample's standard deviation, as in lm-eval; of subtasks, that of the mean of independent means.
            summary.stderr[metric] = float(np.sqrt(sum(each.var(ddof=1) / len(each) for each in parts)) / len(parts))
        if told:
            summary.signatures[metric] = told
    for sample in samples:
        summary.items.append({**_record(sample), "scores": {metric: float(sample[metric]) for metric in metrics}})
        summary.truncated += _truncated(sample["arguments"], run)
    return summary


def _record(sample: Row) -> Row:
    arguments = sample["arguments"]
    record = {"id": sample["doc"]["id"], "prompt": digest(arguments[0][0])}
    if subtask := sample["doc"]["tokka"]["subtask"]:
        record["subtask"] = subtask
    if isinstance(arguments[0][1], dict):  # generation
        return {
            **record,
            "generation": sample["resps"][0][0],
            "answer": str(sample["filtered_resps"][0]),
            "reference": str(sample["target"]),
        }
    log_likelihoods = [float(response[0]) for response in sample["filtered_resps"]]
    delimiter = sample["doc"]["tokka"]["delimiter"]
    choices = [continuation[delimiter:] for _, continuation in arguments]
    contexts = [context for context, _ in arguments]
    if len(set(contexts)) > 1:  # the choices stand in the contexts, as in Winogrande
        alike = next((i for i, letters in enumerate(zip(*contexts, strict=False)) if len(set(letters)) > 1), 0)
        start = contexts[0].rfind(" ", 0, alike) + 1
        choices = [context[start:] for context in contexts]
    target = sample["target"]
    reference = choices[target] if isinstance(target, int) and 0 <= target < len(choices) else target
    return {
        **record,
        "choices": choices,
        "log_likelihoods": log_likelihoods,
        "pick": choices[int(np.argmax(log_likelihoods))],
        "reference": reference if isinstance(reference, str | list) else str(reference),
    }


def _truncated(arguments: Any, run: Run) -> bool:
    """Whether a prompt of an item loses tokens on its left."""
    room = run.model.max_length + 1
    for context, rest in arguments:
        text = context if isinstance(rest, dict) else context + rest
        # A token has a byte or more, so most prompts need not be counted.
        limit = room - 1 - rest["max_gen_toks"] if isinstance(rest, dict) else room
        if len(text.encode()) > limit and len(run.model.tok_encode(text)) > limit:
            return True
    return False


def work(rows: list[Row], task: Harness) -> float:
    # A shot is about as long as an item.
    asked = float(sum(len(value) for row in rows for value in _strings(row["doc"]))) * (1 + task.shots)
    generates = (task.definition or {}).get("output_type") == "generate_until" or "exact_match" in task.metrics
    return asked + (len(rows) * MAX_NEW_TOKENS * CHARACTERS_PER_GENERATED_TOKEN if generates else 0)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _strings(each)]
