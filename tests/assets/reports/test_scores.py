"""Scores of checkpoints as rows, tables and curves. A score that does not exist is never zero."""

import pytest

from assets.lake import Identity
from assets.recipe.catalog import join, step_name
from assets.recipe.evaluation import Average
from assets.reports.curves import curves
from assets.reports.scores import BASELINE, compact, learned, score_rows
from assets.reports.stage import SCOREBOARD
from tests.conftest import make_version

BPC = "bits_per_character"


def scored(value, items=5, contaminated=0):
    clean = {BPC: value + contaminated / 10, BASELINE: 4.0} if contaminated < items else {}
    return {
        "status": "scored", "reason": "", "language": "fi", "metrics": {BPC: value, BASELINE: 4.0},
        "stderr": {BPC: 0.1}, "items": items, "contaminated": contaminated,
        "clean": {"items": items - contaminated, "metrics": clean, "stderr": {}},
    }  # fmt: skip


def not_scored(status, reason):
    return {"status": status, "reason": reason, "language": "fi", "metrics": {}, "stderr": {}, "items": 0}


def counts(items, contaminated=0):
    return {"items": items, "contaminated": contaminated}


def put_evaluations(lake, by_step):
    """Evaluations of the recipe ``tiny`` by step."""
    made = {}
    for step, tasks in by_step.items():
        who = Identity("evaluation", join("tiny", step_name(step)), {}, "test")
        with lake.write(who) as out:
            out.write_json("results.json", {"tasks": tasks})
            out.counts.update(step=step, tokens=step * 64)
        made[who.partition] = lake.find(who.asset, who.partition, who.version)
    return made


@pytest.fixture
def rows(lake):
    missing = not_scored("missing", "the data was not at hand")
    by_step = {
        0: {"heldout_fi": scored(8.0), "bench": missing},
        4: {"heldout_fi": scored(2.0), "bench": missing},
    }
    return score_rows(lake, put_evaluations(lake, by_step))


def test_there_is_a_row_per_checkpoint_task_and_metric(rows):
    assert [(r["step"], r["task"], r["metric"], r["score"]) for r in rows] == [
        (0, "bench", None, None),
        (0, "heldout_fi", BPC, 8.0),
        (0, "heldout_fi", BASELINE, 4.0),
        (4, "bench", None, None),
        (4, "heldout_fi", BPC, 2.0),
        (4, "heldout_fi", BASELINE, 4.0),
    ]
    assert [r["stderr"] for r in rows] == [None, 0.1, None, None, 0.1, None]
    assert {r["tokens"] for r in rows} == {0, 256}


def test_a_task_that_was_not_scored_has_its_reason_and_no_score(rows):
    assert [(r["score"], r["stderr"], r["reason"]) for r in rows if r["task"] == "bench"] == [
        (None, None, "the data was not at hand")
    ] * 2


def test_the_compact_table_has_a_column_per_checkpoint_in_order(rows):
    assert compact(rows) == [
        {"task": "bench", "metric": "missing", "step 0": None, "step 4": None, "±": None, "clean": None, **counts(0)},
        {"task": "heldout_fi", "metric": BPC, "step 0": 8.0, "step 4": 2.0, "±": 0.1, "clean": 2.0, **counts(5)},
        {"task": "heldout_fi", "metric": BASELINE, "step 0": 4.0, "step 4": 4.0, "±": None, "clean": 4.0, **counts(5)},
    ]


def test_both_scores_stand_in_the_table_with_the_number_of_contaminated_items(lake):
    tasks = {"some": scored(2.0, contaminated=3), "every": scored(2.0, contaminated=5)}
    rows = score_rows(lake, put_evaluations(lake, {0: tasks, 4: tasks}))
    assert {(r["task"], r["score"], r["clean"], r["contaminated"]) for r in rows if r["metric"] == BPC} == {
        ("some", 2.0, 2.3, 3),
        ("every", 2.0, None, 5),
    }
    some = next(row for row in compact(rows) if (row["task"], row["metric"]) == ("some", BPC))
    assert some == {"task": "some", "metric": BPC, "step 0": 2.0, "step 4": 2.0, "±": 0.1, "clean": 2.3, **counts(5, 3)}


def test_what_was_learned_stands_between_the_untrained_model_and_the_baseline(rows):
    assert learned(rows) == [{"held-out set": "heldout_fi", "step 0": 8.0, "unigram baseline": 4.0, "step 4": 2.0}]


def test_a_held_out_set_that_broke_once_leaves_a_gap_and_the_tables_keep_their_columns(lake):
    by_step = {
        0: {"a": not_scored("failed", "ValueError"), "b": scored(8.0), "c": scored(7.0)},
        4: {"a": scored(2.0), "b": scored(3.0), "c": not_scored("failed", "ValueError")},
    }
    rows = score_rows(lake, put_evaluations(lake, by_step))
    assert learned(rows) == [
        {"held-out set": "a", "step 0": None, "unigram baseline": 4.0, "step 4": 2.0},
        {"held-out set": "b", "step 0": 8.0, "unigram baseline": 4.0, "step 4": 3.0},
        {"held-out set": "c", "step 0": 7.0, "unigram baseline": None, "step 4": None},
    ]
    assert {tuple(row) for row in compact(rows)} == {
        ("task", "metric", "step 0", "step 4", "±", "clean", "items", "contaminated")
    }


def test_nothing_scored_gives_empty_tables_and_no_curve(lake):
    rows = score_rows(lake, put_evaluations(lake, {4: {"bench": not_scored("missing", "no data")}}))
    assert learned(rows) == [] and curves(rows) == []
    assert compact(rows) == [
        {"task": "bench", "metric": "missing", "step 4": None, "±": None, "clean": None, **counts(0)}
    ]


def test_there_is_a_curve_per_metric_and_the_baseline_is_a_line_in_it(rows):
    (plot,) = curves(rows)
    assert plot.title == "Bits per character over tokens"
    assert plot.png.startswith(b"\x89PNG")


def test_the_scoreboard_says_what_was_scored_and_what_was_not_and_why(lake, catalog):
    reason = "<b>no</b> data | at all"
    by_step = {0: {"heldout_fi": scored(8.0)}, 4: {"heldout_fi": scored(2.0), "bench": not_scored("missing", reason)}}
    made = make_version(SCOREBOARD, lake, catalog, "tiny", {"evaluation": put_evaluations(lake, by_step)})
    assert made.counts == {"scores": 4, "tasks_not_scored": 1}
    folder = lake.local(made)
    html, markdown = ((folder / f"scoreboard.{suffix}").read_text("utf-8") for suffix in ("html", "md"))
    assert "&lt;b&gt;no&lt;/b&gt; data | at all" in html and "<b>" not in html
    assert r"&lt;b>no&lt;/b> data \| at all" in markdown
    assert (folder / "bits-per-character-over-tokens.png").read_bytes().startswith(b"\x89PNG")
    shown = SCOREBOARD.show(lake, made)
    dash = "\N{EN DASH}"
    assert next(row for row in shown["scores"].rows if row["task"] == "bench") == {
        "task": "bench",
        "metric": "missing",
        "step 0": dash,
        "step 4": dash,
        "±": dash,
        "clean": dash,
        **counts(0),
    }
    assert "Bits per character over tokens" in shown


def test_an_average_is_the_mean_of_its_tasks_with_its_error_and_missing_where_a_task_is(lake):
    averages = {
        "both": Average(tasks=("a", "b"), metric=BPC),
        "gap": Average(tasks=("a", "bench"), metric=BPC),
    }
    tasks = {"a": scored(2.0, contaminated=1), "b": scored(3.0), "bench": not_scored("missing", "no data")}
    rows = score_rows(lake, put_evaluations(lake, {4: tasks}), averages)
    both, gap = (next(row for row in rows if row["task"] == name) for name in ("both", "gap"))
    assert (both["score"], both["clean"], both["metric"], both["average"]) == (2.5, 2.55, BPC, True)
    assert both["stderr"] == pytest.approx((0.1**2 + 0.1**2) ** 0.5 / 2)
    assert (both["items"], both["contaminated"]) == (10, 1)
    assert (gap["score"], gap["metric"], gap["status"]) == (None, None, "missing")
    assert gap["reason"] == "the average needs bench"
    assert [row["task"] for row in compact(rows)][:2] == ["both", "gap"]


def test_scores_that_the_paper_has_stand_in_the_plot_of_its_table_with_its_levels(lake):
    from assets.plots import Panel
    from assets.reports import curves as module

    drawn = {}

    def remember(panels, x_label, y_label, title, **kwargs):
        drawn[title] = (y_label, {panel.title: panel for panel in panels})
        return grid(panels, x_label, y_label, title, **kwargs)

    grid, module.grid = module.grid, remember
    try:
        task = scored(0.5, contaminated=1) | {"metrics": {"accuracy": 0.5}, "stderr": {"accuracy": 0.02}}
        task["clean"] = {"items": 4, "metrics": {"accuracy": 0.4}, "stderr": {}}
        names = ["analogies", "emotions"]
        tasks = {f"finbench_{name}": task for name in names}
        finnish = {"finnish": Average(tasks=tuple(tasks), metric="accuracy")}
        plots = curves(score_rows(lake, put_evaluations(lake, {0: tasks, 4: tasks}), finnish))
    finally:
        module.grid = grid
    assert [plot.title for plot in plots] == ["FIN-bench, 3-shot over tokens"]
    assert all(plot.png.startswith(b"\x89PNG") for plot in plots)
    unit, panels = drawn["FIN-bench, 3-shot over tokens"]
    assert unit == "%" and list(panels) == ["average: finnish", "finbench_analogies", "finbench_emotions"]
    panel: Panel = panels["finbench_analogies"]
    assert panel.curves["tiny"].ys == [50.0, 50.0] and panel.curves["tiny, clean items"].ys == [40.0, 40.0]
    assert panel.curves["tiny"].errors == [pytest.approx(3.92)] * 2
    assert panel.levels == pytest.approx(
        {"Poro 34B": 77.69, "Llama 33B": 61.54, "FinGPT 8B": 40.0, "FinGPT 13B": 36.15}
    )
    assert panels["average: finnish"].levels["FinGPT 8B"] == pytest.approx(49.69)
