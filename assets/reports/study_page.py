"""The report of a study for people: an answer in words, tables, and plots."""

from collections.abc import Mapping, Sequence
from typing import Any

from assets.evaluation.seeds import LEAST
from assets.reports.page import Page, Section
from assets.reports.study import SIGNIFICANT
from assets.reports.study_plots import plots_of_curves, plots_of_scores, several_steps
from assets.reports.study_work import by_asset
from assets.stage import Table

Row = dict[str, Any]
DIGEST = 16
METHODS = (
    "Intervals of scores are 95 % over the seeds (Student's t). Differences are taken seed by seed, on the same items; their "
    "error joins the spread over the seeds with the bootstrap error over the items, with the degrees of freedom of the seeds, "
    "which is cautious where the items make most of the error. Holm's correction is over the arms that are "
    "compared with one reference on one metric, not over the metrics, and of p, not of the intervals. `detectable` is the "
    "smallest difference that a study with this error would find in four of five cases with the correction at its strictest."
)


def as_page(report: Mapping[str, Any], reading: str = "") -> Page:
    """The page of a report that ``study_report`` made; ``reading`` is what a person adds to its answer."""
    missing = report["missing"]
    seeds = len(report["seeds"])
    lead = f"{report['description']} Arms made of {report['base']}, {seeds} {'seed' if seeds == 1 else 'seeds'} each."
    if missing:
        are = "recipe is" if len(missing) == 1 else "recipes are"
        lead += f" {len(missing)} {are} missing; what follows is of the others."
    sections = [
        Section("Answer", [*answer(report), *(part for part in reading.split("\n\n") if part)]),
        *([Section("Missing", [], [Table(missing)])] if missing else []),
        Section("Arms", [_arms_said(report)], [Table(report["arms"])]),
        Section("Scores", [METHODS], [Table(_score_table(report))], plots_of_scores(report)),
        *(_section_of(report, reference) for reference in report["references"]),
        Section("Learning curves", [_curves_said(report)], plots=plots_of_curves(report)),
        Section("Cost", [_cost_said(report)], [Table(report["cost"])]),
        _work_section(report["work"]),
    ]
    return Page(f"Study {report['study']}, {report['base']}", lead, sections)


def answer(report: Mapping[str, Any]) -> list[str]:
    """What the tests say, in sentences: how many differences are more than chance, each of them, and what cannot be told."""
    said = []
    if report["work"]["several"]:
        said.append(
            f"The recipes were not made from the same upstream: {', '.join(report['work']['several'])} occur in several "
            "versions. Run the study again, so that the arms differ in nothing else."
        )
    for reference in report["references"]:
        tests = [test for test in report["differences"] if test["reference"] == reference]
        told = [test for test in tests if test["p_holm"] is not None]
        sure = [test for test in told if test["p_holm"] < SIGNIFICANT]
        if not tests:
            continue
        line = f"Against {reference}: {len(sure)} of {len(told)} differences are significant (p < {SIGNIFICANT}, Holm)."
        if told and not sure:
            line += " At this size no difference can be told from chance."
        if len(told) < len(tests):
            line += f" {len(tests) - len(told)} have fewer than {LEAST} seeds, of which nothing can be said."
        said.append(line)
        said += [f"{t['task']}, {t['metric']}: {t['arm']} is {t['verdict']} ({t['mean']:+.3g})." for t in sure]
        open_ = [test for test in told if test["p_holm"] >= SIGNIFICANT and test["detectable"] > 0]
        for task, metric in dict.fromkeys((test["task"], test["metric"]) for test in open_):
            of = [test for test in open_ if (test["task"], test["metric"]) == (task, metric)]
            enough = max(test["detectable"] for test in of)
            arms = ", ".join(f"{test['arm']} ({test['mean']:+.2g})" for test in of)
            said.append(
                f"{task}, {metric}: not significant at this size for {arms}; {enough:.2g} would have been found in any of them."
            )
    return said or ["Nothing can be compared yet: the reference, or every other arm, is missing."]


def _arms_said(report: Mapping[str, Any]) -> str:
    target = report["target"]
    said = (
        f"Tokens and epochs are those of the mixtures that were made; tokens of {target} are those of its own corpora."
    )
    if any(row["tokens of pairs"] for row in report["arms"]):
        said += f" Pairs hold {target}, too, which is counted with the pairs."
    return said


def _section_of(report: Mapping[str, Any], reference: str) -> Section:
    tests = [test for test in report["differences"] if test["reference"] == reference]
    return Section(f"Differences from {reference}", [], [Table([_test_row(test) for test in tests])])


def _score_table(report: Mapping[str, Any]) -> list[Row]:
    arms = [row["arm"] for row in report["arms"]]
    table: dict[tuple[str, str], Row] = {}
    for row in report["scores"]:
        place = {"task": row["task"], "language": row["language"], "metric": row["metric"], **dict.fromkeys(arms)}
        entry = table.setdefault((row["task"], row["metric"]), place)
        half = "" if row["high"] is None else f" ± {row['high'] - row['mean']:.2g}"
        entry[row["arm"]] = f"{row['mean']:.4g}{half}"
    return list(table.values())


def _test_row(test: Row) -> Row:
    known = test["low"] is not None
    return {
        "task": test["task"],
        "metric": test["metric"],
        "arm": test["arm"],
        "difference": f"{test['mean']:+.4g}",
        "95 % interval": f"{test['low']:+.3g} to {test['high']:+.3g}" if known else None,
        "p": f"{test['p']:.3f}" if known else None,
        "p (Holm)": f"{test['p_holm']:.3f}" if known else None,
        "detectable": f"{test['detectable']:.2g}" if known else None,
        "result": test["verdict"],
    }


def _cost_said(report: Mapping[str, Any]) -> str:
    hours = sum(row["rank-hours of training"] for row in report["cost"])
    energy, co2 = (_total(report["cost"], name) for name in ("energy in kWh", "CO2 in kg"))
    said = f"Training took {hours:.3g} rank-hours over all arms and seeds"
    said += f", {energy:.3g} kWh" if energy is not None else "; energy is not known (TOKKA_POWER_WATTS)"
    said += f" and {co2:.3g} kg CO2." if co2 is not None else "; CO2 is not known (TOKKA_GRID_KG_PER_KWH)."
    return f"{said} The last column has everything that only this arm's recipes use: mixture, run, checkpoints, evaluations."


def _total(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values else sum(values)


def _work_section(work: Mapping[str, Any]) -> Section:
    said = (
        f"The lineages of the {work['recipes']} recipes hold {work['needed']:,} versions, of which {work['made']:,} differ by "
        f"digest and were made, in {work['made_seconds'] / 3600:.3g} hours. Had each recipe made its own, it would have been "
        f"{work['needed_seconds'] / 3600:.3g} hours: {work['needed'] - work['made']:,} versions and "
        f"{work['saved_seconds'] / 3600:.3g} hours were saved."
    )
    everyone = work["recipes"]
    rows = [
        {
            "artefact": each["artefact"],
            "digest": each["digest"][:DIGEST],
            "shared by": "all recipes" if len(each["recipes"]) == everyone else f"{len(each['recipes'])} recipes",
            "seconds": round(each["seconds"], 1),
        }
        for each in work["shared"]
        if each["asset"] != "benchmark"
    ]
    digests = (
        f"The first {DIGEST} characters of the digests, without the benchmarks; `report.json` has all of them, with the names of "
        "the recipes. A digest covers the files, the configuration, the code and the digests of what was read."
    )
    return Section("Work shared", [said, digests], [Table(by_asset(work)), Table(rows)])


def _curves_said(report: Mapping[str, Any]) -> str:
    said = "Training losses are each on the arm's own mixture, so they show how a run went and not which arm is better."
    if not several_steps(report["curves"]):
        said += " The recipes have one checkpoint, so there are no scores over tokens."
    return said
