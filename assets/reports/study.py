"""The figures of a study: scores of every arm over the seeds, paired tests, learning curves, cost and shared work."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assets.evaluation.compare import ComparisonError, Evaluated, compare
from assets.evaluation.seeds import LEAST, holm, mean_of, paired
from assets.evaluation.statistics import lower_is_better
from assets.lake import Lake, Manifest
from assets.recipe.catalog import join, split, step_name
from assets.recipe.model import Recipe
from assets.recipe.study import Derived, Study
from assets.reports.lineage import made_from
from assets.reports.scores import BASELINE, score_rows
from assets.reports.study_work import work_of

Row = dict[str, Any]
SIGNIFICANT = 0.05
LOSS_POINTS = 40
"""Points of a curve of the training loss, each the mean over as many steps."""


def study_report(
    lake: Lake,
    study: Study,
    base: str,
    derived: Sequence[Derived],
    evaluations: Mapping[str, Manifest],
    why_missing: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Everything that the report of one base says, as JSON.

    ``evaluations`` by partition. A recipe whose last checkpoint was not evaluated is ``missing``, with the reason that
    ``why_missing`` has for it.
    """
    arms = [each for each in derived if each.base == base]
    last = {e.recipe.name: join(e.recipe.name, step_name(e.recipe.training.checkpoints[-1])) for e in arms}
    done = [each for each in arms if last[each.recipe.name] in evaluations]
    names = {each.recipe.name for each in done}
    found = {key: each for key, each in evaluations.items() if split(key)[0] in names}
    rows = score_rows(lake, found)
    rows = [r for r in rows if r["metric"] is not None and r["metric"] != BASELINE and "/" not in r["metric"]]
    evaluated = {e.recipe.name: Evaluated(e.recipe.name, lake, evaluations[last[e.recipe.name]]) for e in done}
    runs = {name: _run(lake, each.manifest) for name, each in evaluated.items()}
    work = work_of(lake, {name: [m for key, m in found.items() if split(key)[0] == name] for name in sorted(names)})
    references = [study.baseline, *study.compare_also]
    return {
        "study": study.name,
        "description": study.description,
        "base": base,
        "target": study.target,
        "baseline": study.baseline,
        "references": references,
        "seeds": list(study.seeds_of(base)),
        "missing": [
            {
                "recipe": each.recipe.name,
                "arm": each.arm,
                "seed": each.seed,
                "why": (why_missing or {}).get(each.recipe.name, "its last checkpoint was not evaluated"),
            }
            for each in arms
            if each.recipe.name not in names
        ],
        "arms": _arms(study, done, evaluated, runs, lake),
        "scores": _scores(study, done, rows),
        "differences": [test for name in references for test in _differences(study, name, done, evaluated)],
        "curves": _curves(study, done, rows),
        "losses": _losses(study, done, runs, lake),
        "cost": _costs(study, done, runs, work),
        "work": work,
    }


def _of_arm(study: Study, done: Sequence[Derived]) -> dict[str, list[Derived]]:
    """The recipes of each arm that are done, in the study's order."""
    found = {arm: [each for each in done if each.arm == arm] for arm in study.arms}
    return {arm: each for arm, each in found.items() if each}


def _run(lake: Lake, evaluation: Manifest) -> Manifest:
    """The pretraining run behind an evaluation."""
    return made_from(lake, made_from(lake, evaluation, "checkpoint"), "pretraining_run")


def _arms(
    study: Study,
    done: Sequence[Derived],
    evaluated: Mapping[str, Evaluated],
    runs: Mapping[str, Manifest],
    lake: Lake,
) -> list[Row]:
    """What each arm was trained on, by the mixture of its first seed that is done."""
    rows = []
    for arm, recipes in _of_arm(study, done).items():
        name = recipes[0].recipe.name
        mixture = lake.read_json(made_from(lake, evaluated[name].manifest, "mixture"), "mixture.json")["sources"]
        target = [source for source in mixture if _is_target(recipes[0], source["source"], study.target)]
        pairs = [source for source in mixture if recipes[0].recipe.sources[source["source"]].is_pairs]
        run = runs[name]
        rows.append(
            {
                "arm": arm,
                "what": study.arms[arm].description,
                "held equal": recipes[0].equal,
                "seeds": len(recipes),
                "parameters": int(run.counts["parameters"]),
                "tokens": int(run.counts["tokens"]),
                f"tokens of {study.target}": round(sum(each["sampled_tokens"] for each in target)),
                f"epochs of {study.target}": max((each["epochs"] for each in target), default=0.0),
                "tokens of pairs": round(sum(each["sampled_tokens"] for each in pairs)),
            }
        )
    return rows


def _is_target(each: Derived, source: str, target: str) -> bool:
    found = each.recipe.sources[source]
    return found.language == target and not found.is_pairs


def _scores(study: Study, done: Sequence[Derived], rows: Sequence[Row]) -> list[Row]:
    """Means over seeds at the last checkpoint, by task, metric and arm."""
    final = {(each.recipe.name, each.recipe.training.checkpoints[-1]): each for each in done}
    arms: dict[str, list[Derived]] = {}
    for each in done:
        arms.setdefault(each.recipe.name, []).append(each)
    found: dict[tuple[str, str, str], dict[str, list[tuple[int | None, float]]]] = {}
    for row in rows:
        if (row["recipe"], row["step"]) in final:
            key = (row["task"], row["metric"], row["language"] or "")
            for each in arms[row["recipe"]]:
                found.setdefault(key, {}).setdefault(each.arm, []).append((each.seed, row["score"]))
    return [
        {
            "task": task,
            "metric": metric,
            "language": language,
            "arm": arm,
            "values": {str(seed): score for seed, score in by_arm[arm]},
            **asdict(mean_of([score for _, score in by_arm[arm]])),
        }
        for (task, metric, language), by_arm in sorted(found.items())
        for arm in study.arms
        if arm in by_arm
    ]


def _differences(
    study: Study, reference: str, done: Sequence[Derived], evaluated: Mapping[str, Evaluated]
) -> list[Row]:
    """Each arm against ``reference`` by seed, with the verdict in words. Holm's family are the arms within one metric."""
    of_seed = {each.seed: each.recipe.name for each in done if each.arm == reference}
    # Two references are compared once, from the side of the first.
    before = [study.baseline, *study.compare_also]
    left_out = {*before[: before.index(reference)], reference}
    found: dict[tuple[str, str, str], list[Row]] = {}
    for each in done:
        other = of_seed.get(each.seed)
        if other is None or each.recipe.name == other or each.arm in left_out:
            continue
        try:
            rows = compare(evaluated[each.recipe.name], evaluated[other])
        except ComparisonError:
            continue
        for row in rows:
            if "better" in row and "/" not in row["metric"]:
                found.setdefault((row["task"], row["metric"], each.arm), []).append(row)
    tests: list[Row] = []
    sizes = Counter((task, metric) for (task, metric, _), rows in found.items() if len(rows) >= LEAST)
    for (task, metric, arm), rows in found.items():
        size = max(1, sizes[task, metric])
        result = paired([row["difference"] for row in rows], [row["stderr"] for row in rows], size)
        tests.append({"reference": reference, "task": task, "metric": metric, "arm": arm, **asdict(result)})
    families: dict[tuple[str, str], dict[str, float]] = {}
    for test in tests:
        if test["p"] is not None:
            families.setdefault((test["task"], test["metric"]), {})[test["arm"]] = test["p"]
    corrected = {key: holm(ps) for key, ps in families.items()}
    for test in tests:
        test["p_holm"] = corrected.get((test["task"], test["metric"]), {}).get(test["arm"])
        test["verdict"] = verdict(test)
    order = list(study.arms)
    return sorted(tests, key=lambda test: (test["task"], test["metric"], order.index(test["arm"])))


def verdict(test: Mapping[str, Any]) -> str:
    """What a paired test says, in words."""
    if test["p_holm"] is None:
        few = "1 seed is" if test["seeds"] == 1 else f"{test['seeds']} seeds are"
        return f"{few} too few to tell; {LEAST} are the least"
    if test["mean"] == 0 and test["detectable"] == 0:
        return "no difference: the scores are the same in every seed"
    if test["p_holm"] >= SIGNIFICANT:
        return f"not significant at this size; a difference of {test['detectable']:.2g} would be found"
    better = (test["mean"] < 0) == lower_is_better(test["metric"])
    return f"{'better' if better else 'worse'} than {test['reference']}"


def tokens_before(done: Sequence[Derived]) -> dict[str, int]:
    """Tokens that the weights of each recipe had seen before its first step: those of the checkpoint that it starts from."""
    recipes = {each.recipe.name: each.recipe for each in done}

    def before(recipe: Recipe) -> int:
        start = recipe.model.start_from
        if start is None or start.step is None or start.recipe not in recipes:
            return 0
        other = recipes[start.recipe]
        return start.step * other.training.global_batch * other.training.sequence_length + before(other)

    return {name: before(recipe) for name, recipe in recipes.items()}


def _curves(study: Study, done: Sequence[Derived], rows: Sequence[Row]) -> list[Row]:
    """Every metric of each arm over the tokens that its weights have seen, as means over seeds."""
    before = tokens_before(done)
    arms: dict[str, list[str]] = {}
    for each in done:
        arms.setdefault(each.recipe.name, []).append(each.arm)
    found: dict[tuple[str, str, str, int], list[float]] = {}
    for row in rows:
        for arm in arms[row["recipe"]]:
            tokens = before[row["recipe"]] + row["tokens"]
            found.setdefault((row["task"], row["metric"], arm, tokens), []).append(row["score"])
    return [
        {"task": task, "metric": metric, "arm": arm, "tokens": tokens, **asdict(mean_of(values))}
        for (task, metric, arm, tokens), values in sorted(found.items())
    ]


def _losses(study: Study, done: Sequence[Derived], runs: Mapping[str, Manifest], lake: Lake) -> list[Row]:
    """The training loss of each arm over the tokens that its weights have seen: means over steps, then over seeds."""
    rows: list[Row] = []
    before = tokens_before(done)
    for arm, recipes in _of_arm(study, done).items():
        curves = [list(_loss_curve(lake, runs[each.recipe.name])) for each in recipes]
        for points in zip(*curves, strict=False):
            seen = before[recipes[0].recipe.name] + points[0][0]
            rows.append({"arm": arm, "tokens": seen, **asdict(mean_of([loss for _, loss in points]))})
    return rows


def _loss_curve(lake: Lake, run: Manifest) -> Iterator[tuple[int, float]]:
    """(tokens, loss) of a run, over LOSS_POINTS pieces of equal length."""
    with lake.open_file(run, "metrics.jsonl") as stream:
        steps = [json.loads(line) for line in stream]
    width = max(1, -(-len(steps) // LOSS_POINTS))
    for start in range(0, len(steps), width):
        piece = steps[start : start + width]
        yield piece[-1]["tokens"], sum(each["loss"] for each in piece) / len(piece)


def _costs(study: Study, done: Sequence[Derived], runs: Mapping[str, Manifest], work: Mapping[str, Any]) -> list[Row]:
    """What the runs of each arm took over all seeds, and the hours of everything that was made for their recipes alone."""
    rows = []
    for arm, recipes in _of_arm(study, done).items():
        costs = [runs[each.recipe.name].cost for each in recipes]
        rows.append(
            {
                "arm": arm,
                "runs": len(costs),
                "rank-hours of training": sum(cost["rank_hours"] for cost in costs),
                "energy in kWh": _sum(costs, "energy_kwh"),
                "CO2 in kg": _sum(costs, "co2_kg"),
                "tokens per second": sum(cost["tokens_per_second"] for cost in costs) / len(costs),
                "hours of its own artefacts": sum(work["own_seconds"][each.recipe.name] for each in recipes) / 3600,
            }
        )
    return rows


def _sum(costs: Sequence[Mapping[str, float]], name: str) -> float | None:
    """The sum of what every run knows; None where one does not."""
    return sum(cost[name] for cost in costs) if all(name in cost for cost in costs) else None
