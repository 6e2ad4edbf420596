"""The committed report of a study: its words and tables are those of its numbers, and its statistics are right."""

import json
import math
from pathlib import Path

import pytest

from assets.evaluation.seeds import LEAST
from assets.recipe.load import recipe_folders
from assets.recipe.studies import load_studies
from assets.reports.page import as_markdown
from assets.reports.study import tokens_before
from assets.reports.study_page import as_page

STUDIES = Path(__file__).parents[3] / "docs" / "studies"
REPORTS = sorted(STUDIES.glob("*/report.json"))


@pytest.fixture(params=REPORTS, ids=lambda path: path.parent.name)
def folder(request):
    return request.param.parent


@pytest.fixture
def report(folder):
    return json.loads((folder / "report.json").read_text("utf-8"))


def test_a_report_is_committed():
    assert REPORTS


def test_words_and_tables_are_those_of_the_numbers(folder, report):
    reading = folder / "reading.md"
    page = as_page(report, reading.read_text("utf-8").strip() if reading.is_file() else "")
    assert (folder / "report.md").read_text("utf-8") == as_markdown(page)


def test_intervals_and_p_values_are_those_of_scipy(report):
    from scipy import stats

    if len(report["seeds"]) < LEAST:
        assert all(row["low"] is None for row in report["scores"])
        assert all(
            test["p"] is test["p_holm"] is None and "too few to tell" in test["verdict"]
            for test in report["differences"]
        )
        return
    values = {}
    for row in report["scores"]:
        seeds = list(row["values"].values())
        assert len(seeds) >= LEAST
        low, high = stats.t.interval(0.95, len(seeds) - 1, sum(seeds) / len(seeds), stats.sem(seeds) or 1e-300)
        assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-6)
        values[row["task"], row["metric"], row["arm"]] = row["values"]
    families = {}
    for test in report["differences"]:
        place = (test["task"], test["metric"])
        ours, theirs = values[*place, test["arm"]], values[*place, test["reference"]]
        differences = [ours[seed] - theirs[seed] for seed in ours]
        assert test["mean"] == pytest.approx(sum(differences) / len(differences))
        freedom = len(differences) - 1
        error = (test["high"] - test["low"]) / 2 / stats.t.ppf(0.975, freedom)
        # The error over the items comes on top of the spread over the seeds.
        assert error >= stats.sem(differences) * (1 - 1e-9)
        # Where every seed has the same scores there is no error either, and scipy's t is 0/0.
        same = test["mean"] == error == 0
        assert test["p"] == pytest.approx(1 if same else 2 * stats.t.sf(abs(test["mean"]) / error, freedom), rel=1e-5)
        assert same == ("no difference" in test["verdict"])
        families.setdefault((test["reference"], *place), []).append(test)
    for tests in families.values():
        largest = 0.0
        for place, test in enumerate(sorted(tests, key=lambda test: test["p"])):
            largest = max(largest, min(1.0, test["p"] * (len(tests) - place)))
            assert test["p_holm"] == pytest.approx(largest, rel=1e-6)
            assert ("not significant" in test["verdict"] or "no difference" in test["verdict"]) == (largest >= 0.05)


def test_what_is_shared_has_one_digest_each_and_makes_up_the_work_saved(report):
    work = report["work"]
    assert work["several"] == [] and len({row["digest"] for row in work["shared"]}) == len(work["shared"])
    assert sum(len(row["recipes"]) - 1 for row in work["shared"]) == work["needed"] - work["made"]
    saved = math.fsum(row["seconds"] * (len(row["recipes"]) - 1) for row in work["shared"])
    assert saved == pytest.approx(work["saved_seconds"])


def test_scores_of_several_checkpoints_are_curves_over_tokens(report):
    page = as_page(report)
    assert "one checkpoint" not in as_markdown(page)
    last = {row["arm"]: row["tokens"] for row in report["curves"]}
    once = as_page(report | {"curves": [row for row in report["curves"] if row["tokens"] == last[row["arm"]]]})
    assert "one checkpoint" in as_markdown(once)
    plots = {plot.title for section in page.sections for plot in section.plots}
    metrics = {row["metric"] for row in report["curves"]}
    assert {title for title in plots if title.endswith(" over tokens")} >= {
        f"{metric.replace('_', ' ').capitalize()} over tokens" for metric in metrics
    }
    assert len(plots) == sum(len(section.plots) for section in once.sections) + len(metrics)


def test_tokens_of_a_run_that_goes_on_come_after_those_of_the_other():
    _, derived = load_studies(recipe_folders())["ablations"]
    before = tokens_before([each for each in derived if each.base == "mini"])
    for name, tokens in before.items():
        assert tokens == (327_680 if "-continue-" in name else 0), name
