"""The paper's numbers are those that its tables print, and they add up but where the paper contradicts itself."""

import pytest
import yaml

from assets.recipe.load import PROJECT
from assets.reports.paper import levels, places, read_paper

PAPER = read_paper()
AVERAGED = [name for name, table in PAPER.tables.items() if table.average]


def mean(values):
    return sum(values) / len(values)


def test_all_tables_are_there():
    assert {table.number: len(table.rows) for table in PAPER.tables.values()} == {1: 3, 2: 3, 3: 4, 6: 11, 7: 6, 8: 2}
    assert sum(len(table.models) * len(table.rows) for table in PAPER.tables.values()) == 21 + 21 + 28 + 77 + 42 + 10


@pytest.mark.parametrize("name", AVERAGED)
def test_printed_averages_are_the_means_of_the_printed_rows(name):
    table = PAPER.tables[name]
    contradicted = {c.model: c for c in table.contradictions}
    rows = [table.scores(row) for row in table.rows.values()]
    for model, printed in table.scores(table.average).items():
        found = mean([row[model] for row in rows])
        if model in contradicted:
            assert (printed, round(found, 2)) == (contradicted[model].printed, contradicted[model].recomputed)
        else:
            # FinGPT's perplexities on code are printed to one place, so their average is known to that.
            assert found == pytest.approx(printed, abs=0.06 if max(row[model] for row in rows) > 20 else 0.0101), model


def test_the_average_of_code_is_the_one_that_the_paper_contradicts():
    (told,) = PAPER.tables["code"].contradictions
    assert (told.model, told.printed, told.recomputed) == ("poro-34b", 41.80, 42.30)
    assert [c.model for t in PAPER.tables.values() for c in t.contradictions] == ["poro-34b"] * 2


@pytest.mark.parametrize(("row", "table"), [("Finnish", "finbench"), ("English", "english"), ("Code", "code")])
def test_table_2_repeats_the_averages_of_the_others(row, table):
    ours, theirs = PAPER.tables["averages"], PAPER.tables[table]
    repeated = ours.scores(ours.rows[row])
    for model, score in theirs.scores(theirs.average).items():
        assert repeated[model] == score


def test_the_point_over_training_has_its_mean():
    (point,) = PAPER.over_training
    assert (point.step, point.tokens, point.average) == (166_752, 699_000_000_000, 62.53)
    assert set(point.scores) == set(PAPER.tables["finbench"].rows)
    assert mean(point.scores.values()) == pytest.approx(62.53, abs=0.005)


def test_every_row_names_a_task_and_every_average_a_mean_of_our_suites():
    suites = [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted((PROJECT / "orchestration/suites").glob("*.yaml"))
    ]
    tasks = {name for suite in suites for name in suite["tasks"]}
    averages = {name: average for suite in suites for name, average in suite.get("averages", {}).items()}
    for name, table in PAPER.tables.items():
        for label, row in table.rows.items():
            assert row.task or row.average, (name, label)
            assert set(row.task) <= tasks and set(row.average) <= set(averages), (name, label)
        for rank, average in enumerate(table.average.ours if table.average else ()):
            ours = averages[average]
            assert set(ours["tasks"]) == {row.task[rank] for row in table.rows.values()}, name
            for row in table.rows.values():
                assert ours.get("metrics", {}).get(row.task[rank], ours["metric"]) in row.metrics


def test_levels_are_on_the_scale_of_our_scores():
    assert levels("finbench_analogies", "accuracy")["Poro 34B"] == pytest.approx(0.7769)
    assert levels("finnish", "") == pytest.approx(
        {"Poro 34B": 0.6628, "Llama 33B": 0.5336, "FinGPT 8B": 0.4969, "FinGPT 13B": 0.4892}
    )
    assert levels("perplexity_fi", "character_perplexity")["FinGPT 8B"] == 1.94
    assert set(levels("humaneval", "pass@10")) == {"Poro 34B", "Llama 33B"}
    assert levels("humaneval", "pass@1") == {} and levels("heldout_fi", "bits_per_character") == {}
    assert places()["finnish", ""].table == "finbench"
    assert levels("hub_mmlu", "acc") == levels("mmlu", "acc") and levels("english_hub", "") == levels("english", "")
