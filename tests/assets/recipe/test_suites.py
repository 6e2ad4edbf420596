"""Suites: what recipes get from them, and what is said when they do not fit."""

import pytest
import yaml

from assets.recipe.evaluation import Average, FinBench, Harness
from assets.recipe.load import RecipeError, load_catalog, load_recipe
from assets.recipe.suites import load_suite, suite_paths
from tests.conftest import RECIPE, changed

ONE = {
    "version": 1,
    "description": "One.",
    "tasks": {
        "analogies": {"kind": "finbench", "files": "a.json"},
        "emotions": {"kind": "finbench", "files": "b.json", "limit": 5},
    },
    "averages": {"both": {"metric": "accuracy", "tasks": ["analogies", "emotions"]}},
}


@pytest.fixture
def place(tmp_path):
    """A folder of recipes with a suite ``one``."""

    def write(recipe=None, name="tiny", **suites):
        (tmp_path / "suites").mkdir(exist_ok=True)
        for suite, value in {"one": ONE, **suites}.items():
            text = value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False)
            (tmp_path / "suites" / f"{suite}.yaml").write_text(text, "utf-8")
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe or {**RECIPE, "suites": ["one"]}, sort_keys=False), "utf-8")
        return path

    return write


def test_the_suites_of_the_project_are_valid_and_hold_the_paper_s_benchmarks():
    suites = {name: load_suite(name) for name in suite_paths()}
    assert {"finbench", "english", "english-hub", "code", "translation", "perplexity", "generation"} <= set(suites)
    finnish = suites["finbench"].averages["finnish"]
    assert len(finnish.tasks) == 11 and "finbench_hhh" not in finnish.tasks
    assert set(suites["finbench"].tasks) - set(finnish.tasks) == {"finbench_hhh"}
    assert {task.shots for task in suites["finbench"].tasks.values() if isinstance(task, FinBench)} == {3}
    english = suites["english"]
    wanted = {
        "arc_challenge": (25, "acc_norm"),
        "hellaswag": (10, "acc_norm"),
        "mmlu": (5, "acc"),
        "truthfulqa_mc2": (0, "acc"),
        "winogrande": (5, "acc"),
        "gsm8k": (5, "exact_match"),
    }
    average = english.averages["english"]
    assert {name: (english.tasks[name].shots, average.metric_of(name)) for name in average.tasks} == wanted
    hub = suites["english-hub"]
    for name, task in english.tasks.items():
        other = hub.tasks[f"hub_{name}"]
        assert isinstance(task, Harness) and isinstance(other, Harness)
        assert (task.task, task.shots, task.metrics, task.filter) == (
            other.task,
            other.shots,
            other.metrics,
            other.filter,
        )


def test_poro_is_measured_on_everything_that_the_paper_measures():
    recipe = load_catalog().recipe("poro-34b")
    assert set(recipe.suites) >= {"finbench", "english", "code", "translation", "perplexity", "generation"}
    assert {"finnish", "english", "code", "character_perplexity"} <= set(recipe.averages)
    assert {"finbench_hhh", "mmlu", "humaneval", "flores_en_fi", "perplexity_fi", "continuation_fi"} <= set(
        recipe.tasks
    )


def test_a_recipe_gets_tasks_and_averages(place):
    recipe = load_recipe(place())
    assert set(recipe.tasks) == {*RECIPE["tasks"], "analogies", "emotions"}
    assert recipe.averages["both"].tasks == ("analogies", "emotions")
    assert recipe.suites == ("one",)


def test_the_recipe_s_own_entry_goes_over_the_suite_s(place):
    recipe = load_recipe(place({**changed(RECIPE, tasks__emotions={"limit": 2}), "suites": ["one"]}))
    assert recipe.tasks["emotions"] == FinBench(files="b.json", limit=2)


def test_a_null_takes_a_task_away_and_the_averages_over_it(place):
    recipe = load_recipe(place({**changed(RECIPE, tasks__emotions=None), "suites": ["one"]}))
    assert "emotions" not in recipe.tasks and "analogies" in recipe.tasks
    assert not recipe.averages


def test_a_recipe_that_extends_another_can_take_its_suite_s_tasks_away(place):
    path = place()
    child = path.with_name("child.yaml")
    child.write_text("extends: tiny\ntasks: {analogies: null}\n", "utf-8")
    recipe = load_recipe(child)
    assert "analogies" not in recipe.tasks and "emotions" in recipe.tasks and not recipe.averages
    grandchild = path.with_name("grandchild.yaml")
    grandchild.write_text("extends: child\nsuites: []\n", "utf-8")
    assert set(load_recipe(grandchild).tasks) == set(RECIPE["tasks"])


TWO = {**ONE, "tasks": {"analogies": {"kind": "finbench", "files": "other.json"}}, "averages": {}}


@pytest.mark.parametrize(
    ("recipe", "suites", "expected"),
    [
        ({"suites": ["none"]}, {}, r"tiny.yaml, line \d+: there is no suite 'none'; the suites are: .*finbench.*one"),
        ({"suites": "one"}, {}, r"suites is 'one'; it must be a list of names"),
        (
            {"suites": ["one", "two"]},
            {"two": TWO},
            r"the suites 'one' and 'two' both have the task 'analogies', but it differs",
        ),
        (
            {
                "suites": ["one"],
                "tasks": {**RECIPE["tasks"], "emotions": {"kind": "protected", "files": "x", "fields": ["a"]}},
            },
            {},
            r"line \d+: tasks.emotions is of the kind protected, and the suite 'one' has a task 'emotions' of the kind finbench",
        ),
        ({"suites": ["bad"]}, {"bad": {**ONE, "version": 0}}, r"bad.yaml, line 1: version is 0: .*greater than 0"),
        (
            {"suites": ["bad"]},
            {"bad": {**ONE, "name": "good"}},
            r"bad.yaml, line \d+: name is 'good'; it must be the file's",
        ),
        (
            {"suites": ["bad"]},
            {"bad": {**ONE, "task": {}}},
            r"bad.yaml, line \d+: task is not a known key; known are: averages",
        ),
        (
            {"suites": ["bad"]},
            {"bad": {**ONE, "averages": {"x": {"metric": "acc", "tasks": ["analogies"]}}}},
            r"averages.x names 'analogies' with the metric 'acc'; the task has accuracy",
        ),
        (
            {"suites": ["bad"]},
            {"bad": {**ONE, "averages": {"x": {"metric": "accuracy", "tasks": ["nobody"]}}}},
            r"averages.x names 'nobody', which is not among the tasks: analogies, emotions",
        ),
        ({"suites": ["bad"]}, {"bad": "a: ["}, r"bad.yaml, line \d+: not readable as YAML"),
        ({"averages": {"x": {"metric": "bleu", "tasks": ["nobody"]}}}, {}, r"averages.x names 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(place, recipe, suites, expected):
    with pytest.raises(RecipeError, match=expected):
        load_recipe(place({**RECIPE, **recipe}, **suites))


def test_two_suites_of_a_name(place):
    with pytest.raises(RecipeError, match=r"there is already a suite 'english', .*Give this one another name"):
        load_recipe(place(english=ONE))


def test_an_average_needs_all_of_its_scores():
    average = Average(tasks=("a", "b"), metric="acc", metrics={"b": "bleu"})
    assert average.of({"a": {"acc": 0.5}, "b": {"acc": 0.1, "bleu": 0.25}}) == 0.375
    assert average.of({"a": {"acc": 0.5}, "b": {"acc": 0.1}}) is None
    assert average.of({"a": {"acc": 0.5}}) is None
