"""Two evaluations side by side, item by item: which differences are more than chance."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from assets.lake import Lake, Manifest
from assets.recipe.evaluation import Average

if TYPE_CHECKING:
    from assets.evaluation.statistics import Difference, Floats

Row = dict[str, Any]
BASELINE = "unigram_"
"""Metrics of no model: the baselines that stand beside a model's."""


class ComparisonError(ValueError):
    """Two evaluations cannot be compared. The message says why."""


@dataclass(frozen=True)
class Evaluated:
    """An evaluation in the lake; ``name`` is how people call it: ``mini@320``."""

    name: str
    lake: Lake
    manifest: Manifest

    @cached_property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The result of every task."""
        tasks: dict[str, dict[str, Any]] = self.lake.read_json(self.manifest, "results.json")["tasks"]
        return tasks

    def items(self, task: str) -> dict[str, dict[str, Any]]:
        """The item-level results of a task by id, in their order."""
        lines = self.lake.fs.cat_file(self.lake.path(self.manifest, f"items/{task}.jsonl")).splitlines()
        records = [json.loads(line) for line in lines]
        return {record["id"]: record for record in records}


@dataclass(frozen=True)
class _Drawn:
    """A metric of a task on both sides: the two scores, and both on the same resamples, [2, resamples]."""

    scores: tuple[float, float]
    resamples: "Floats"


def compare(
    a: Evaluated, b: Evaluated, task: str | None = None, averages: Mapping[str, Average] | None = None
) -> list[Row]:
    """A row per task and metric, then one per average; with ``task`` of that one only.

    ``difference`` is a - b, ``low`` to ``high`` its interval, ``p`` its bootstrap p-value, ``better`` the better side ("a",
    "b"), "same" or, where the items are too few to tell, "open"; ``detectable`` the difference that they would show in four
    of five cases. ``clean`` has the same on the items that were not contaminated on either side. A task that cannot be
    compared has no scores but a ``reason``. Raises ComparisonError where ``task`` cannot, or no task can.
    """
    wanted = [task] if task is not None else sorted(a.tasks.keys() | b.tasks.keys())
    rows: list[Row] = []
    drawn: dict[tuple[str, str, bool], _Drawn] = {}
    for name in wanted:
        try:
            rows += list(_rows(a, b, name, drawn))
        except ComparisonError as error:
            rows.append(_unknown(name, None, str(error)))
    if not any("better" in row for row in rows):
        reasons = sorted({row["reason"] for row in rows if row["reason"]})
        raise ComparisonError(" ".join(reasons) or f"{a.name} and {b.name} have no task in common.")
    for name, average in sorted((averages or {}).items() if task is None else ()):
        rows.append(_average(name, average, drawn))
    return rows


def _rows(a: Evaluated, b: Evaluated, name: str, drawn: dict[tuple[str, str, bool], _Drawn]) -> Iterator[Row]:
    """The rows of a task, one per metric that its items have."""
    _check_scored(a, b, name)
    items = (a.items(name), b.items(name))
    _check_items(a, b, name, items)
    # What neither side has a score of is left out: a line of one token has no perplexity.
    scored = [id_ for id_, record in items[0].items() if record["scores"] or items[1][id_]["scores"]]
    items = ({id_: items[0][id_] for id_ in scored}, {id_: items[1][id_] for id_ in scored})
    prompts = sum(items[1][id_].get("prompt") != record.get("prompt") for id_, record in items[0].items())
    note = f"the prompts of {prompts} items differ" if prompts else ""
    clean = [id_ for id_, record in items[0].items() if not (record["contaminated"] or items[1][id_]["contaminated"])]
    results = (a.tasks[name], b.tasks[name])
    for metric in sorted({metric for record in items[0].values() for metric in record["scores"]}):
        if metric.startswith(BASELINE) or any(metric not in result["metrics"] for result in results):
            continue
        try:
            both = _both(name, metric, items, clean, results)
        except ValueError as error:
            yield _unknown(name, metric, str(error))
            continue
        drawn |= {(name, metric, only_clean): found for only_clean, found in both.items()}
        yield {
            "task": name,
            "metric": metric,
            "items": len(items[0]),
            **_scores(both[False], metric),
            "clean": {"items": len(clean), **_scores(both[True], metric)} if True in both else None,
            "reason": None,
            "note": note,
        }


def _check_scored(a: Evaluated, b: Evaluated, name: str) -> None:
    for side in (a, b):
        if name not in side.tasks:
            raise ComparisonError(f"{side.name} has no task {name}; it has {', '.join(sorted(side.tasks)) or 'none'}.")
        if side.tasks[name]["status"] != "scored":
            result = side.tasks[name]
            raise ComparisonError(f"{name} of {side.name} is {result['status']}: {result['reason']}.")
    data = [side.tasks[name]["data"] for side in (a, b)]
    if data[0] != data[1]:
        raise ComparisonError(
            f"{name} was scored on other data: {a.name} on the benchmark {data[0][:12]}, {b.name} on {data[1][:12]}. Evaluate "
            "both on the same data: `tokka run` does where it has changed since."
        )


def _check_items(a: Evaluated, b: Evaluated, name: str, items: tuple[dict[str, Any], dict[str, Any]]) -> None:
    for side, own, other in ((a, *items), (b, *reversed(items))):
        missing = [id_ for id_ in own if id_ not in other]
        if missing:
            raise ComparisonError(
                f"{name} was not scored on the same items: {len(missing)} of {side.name} are not among those of "
                f"{b.name if side is a else a.name}, such as {missing[0]!r}."
            )


def _both(
    name: str,
    metric: str,
    items: tuple[dict[str, Any], dict[str, Any]],
    clean: Sequence[str],
    results: tuple[dict[str, Any], dict[str, Any]],
) -> dict[bool, _Drawn]:
    """A metric on all items (False) and, where there are any, on the clean ones (True), drawn for both sides."""
    from assets.evaluation.statistics import agreed, bootstrap, candidates

    # An item without a score (a line of one token) is left out of the metric, on both sides or not at all.
    scored = [[id_ for id_, record in of.items() if metric in record["scores"]] for of in items]
    if scored[0] != scored[1]:
        differ = sorted(set(scored[0]) ^ set(scored[1]))
        raise ComparisonError(f"{len(differ)} items have a score on one side only, such as {differ[0]!r}.")
    items = ({id_: items[0][id_] for id_ in scored[0]}, {id_: items[1][id_] for id_ in scored[0]})
    signatures = [result["signatures"].get(metric, "") for result in results]
    way, sides = agreed(
        metric,
        [
            (list(of.values()), signature, float(result["metrics"][metric]))
            for of, signature, result in zip(items, signatures, results, strict=True)
        ],
    )
    found = {False: _Drawn((sides[0].value(), sides[1].value()), bootstrap(sides, name))}
    clean = [id_ for id_ in clean if id_ in items[0]]
    if len(clean) == len(items[0]):
        found[True] = found[False]
    elif clean:
        kept = [
            candidates(metric, [of[id_] for id_ in clean], signature)[way]
            for of, signature in zip(items, signatures, strict=True)
        ]
        found[True] = _Drawn((kept[0].value(), kept[1].value()), bootstrap(kept, name))
    return found


def _scores(drawn: _Drawn, metric: str) -> Row:
    from assets.evaluation.statistics import difference

    return _row_of(difference(*drawn.scores, drawn.resamples), metric)


def _row_of(found: "Difference", metric: str) -> Row:
    return {
        "a": found.a,
        "b": found.b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "stderr": found.stderr,
        "p": found.p,
        "detectable": found.detectable,
        "better": found.better(metric),
    }


def _unknown(name: str, metric: str | None, reason: str) -> Row:
    return {"task": name, "metric": metric, "items": 0, "clean": None, "reason": reason, "note": ""}


def _average(name: str, average: Average, drawn: Mapping[tuple[str, str, bool], _Drawn]) -> Row:
    """An average over tasks, whose items are drawn independently of each other."""
    import numpy as np

    parts = {clean: [drawn.get((t, average.metric_of(t), clean)) for t in average.tasks] for clean in (False, True)}
    missing = [task for task, part in zip(average.tasks, parts[False], strict=True) if part is None]
    if missing:
        return _unknown(name, average.metric, f"the average needs {', '.join(missing)}, which cannot be compared")
    rows: dict[bool, Row] = {}
    for clean, found in parts.items():
        whole = [part for part in found if part is not None]
        if len(whole) == len(average.tasks):
            scores = (float(np.mean([p.scores[0] for p in whole])), float(np.mean([p.scores[1] for p in whole])))
            mean = _Drawn(scores, np.mean([p.resamples for p in whole], axis=0))
            rows[clean] = _scores(mean, average.metric_of(average.tasks[0]))
    return {
        "task": name,
        "metric": average.metric,
        "items": 0,
        **rows[False],
        "clean": {"items": 0, **rows[True]} if True in rows else None,
        "reason": None,
        "note": f"mean of {len(average.tasks)} tasks",
    }
