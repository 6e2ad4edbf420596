"""Programs: the estimator, what is cut and run, and the reference solutions through the sandbox."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.benchmarks.items import read_items
from assets.recipe.evaluation import Programming
from eval_jobs.sandbox import SandboxUnavailableError, available
from eval_jobs.tasks.programming import STOPS, RunPrograms, cut, limits_of, pass_at

HUMANEVAL = Programming(benchmark="humaneval", files="none", samples=2, k=(1, 2), max_new_tokens=8, seconds=1)
ROW = {
    "prompt": 'def double(x):\n    """Twice x."""',
    "tests": "\ndef check(candidate):\n    assert candidate(2) == 4\n\ncheck(double)",
    "solution": "\n    return 2 * x\n",
}
# MBPP's solution holds a class behind other lines, where the harness cuts an answer.
CUT_REFERENCE = {"MBPP/342"}


@pytest.fixture(scope="module")
def sandbox() -> Any:
    try:
        return available()
    except SandboxUnavailableError as error:
        pytest.skip(str(error))


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_choices_that_hold_a_correct_sample(samples: int, data: Any) -> None:
    correct, k = data.draw(st.integers(0, samples)), data.draw(st.integers(1, samples))
    choices = list(itertools.combinations([True] * correct + [False] * (samples - correct), k))
    assert pass_at(samples, correct, k) == pytest.approx(sum(map(any, choices)) / len(choices))


def test_pass_at_k_of_the_paper() -> None:
    assert pass_at(10, 3, 1) == pytest.approx(0.3)
    assert pass_at(10, 1, 10) == 1
    assert pass_at(200, 4, 10) == pytest.approx(1 - 190 * 189 * 188 * 187 / (200 * 199 * 198 * 197))
    with pytest.raises(ValueError, match="pass@3 of 1 correct samples among 2"):
        pass_at(2, 1, 3)


def test_an_answer_ends_at_the_first_stop_word() -> None:
    stops = STOPS["humaneval"]
    assert cut("\n    return 1\n\ndef other():\n    pass\nprint(1)", stops) == "\n    return 1\n"
    assert cut("\n    if x:\n        return 1", stops) == "\n    if x:\n        return 1"
    assert cut('\nx = 1\n"""doc', STOPS["mbpp"]) == "\nx = 1"


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="samples is 2; pass@10 needs 10 or more"):
        Programming(benchmark="mbpp", files="x", samples=2)
    with pytest.raises(ValueError, match="temperature is 0, so all 10 samples would be the same"):
        Programming(benchmark="mbpp", files="x", temperature=0)


def test_outcomes_of_answers(sandbox: Any) -> None:
    run = RunPrograms(limits_of(HUMANEVAL), STOPS["humaneval"])
    answers = [
        ROW["solution"],
        "\n    return x",
        "\n    return 2 * x\nimport sys; sys.exit(0)",
        "\n    while True: pass",
        "\n    return (",
        ROW["solution"] + "\n\nprint(1/0)",  # cut off
    ]
    (outcomes,) = run.apply([answers], [ROW])
    assert [outcome["status"] for outcome in outcomes] == ["passed", "failed", "failed", "timeout", "failed", "passed"]
    assert outcomes[1]["error"] == "AssertionError"
    assert outcomes[4]["error"].startswith("SyntaxError")


def test_a_task_keeps_every_program_with_its_outcome(score: Callable[..., Any], sandbox: Any) -> None:
    result, items = score(HUMANEVAL, [ROW, {**ROW, "prompt": "def double(x):"}])
    assert result["status"] == "scored", result["reason"]
    assert set(result["metrics"]) == {"pass@1", "pass@2"}
    for item in items:
        assert len(item["generations"]) == len(item["outcomes"]) == 2
        passed = sum(outcome["status"] == "passed" for outcome in item["outcomes"])
        assert item["scores"] == {"pass@1": passed / 2, "pass@2": float(passed > 0)}
    assert score(HUMANEVAL, [ROW, {**ROW, "prompt": "def double(x):"}])[1] == items


def test_without_a_sandbox_nothing_is_generated(score: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKKA_SANDBOX", "bubblewrap")
    monkeypatch.setenv("PATH", "/nonexistent")
    result, items = score(HUMANEVAL, [ROW])
    assert result["status"] == "failed"
    assert "Generated code is run only in a sandbox, and there is none here." in result["reason"]
    assert items == []


def problems(benchmark: str) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = os.environ.get("TOKKA_SHARED")
    if not folder:
        pytest.skip("TOKKA_SHARED names no folder with the evaluation data")
    config = Programming(benchmark=benchmark, files="none")
    table = read_items(config, [Path(folder) / "eval" / f"{benchmark}.jsonl.gz"])
    return zip(table["id"].to_pylist(), map(json.loads, table["item"].to_pylist()), strict=True)


def run_references(benchmark: str, keep: Callable[[int], bool]) -> tuple[int, list[str]]:
    """How many reference solutions were run as answers of a model, and the ids of those that did not pass."""
    chosen = [problem for number, problem in enumerate(problems(benchmark)) if keep(number)]
    limits = limits_of(Programming(benchmark=benchmark, files="none"))
    ids, docs = [id_ for id_, _ in chosen], [doc for _, doc in chosen]
    outcomes = RunPrograms(limits, STOPS[benchmark]).apply([[doc["solution"]] for doc in docs], docs)
    failed = [id_ for id_, (outcome,) in zip(ids, outcomes, strict=True) if outcome["status"] != "passed"]
    uncut = [doc for id_, doc in chosen if id_ in failed and id_ in CUT_REFERENCE]
    outcomes = RunPrograms(limits, []).apply([[doc["solution"]] for doc in uncut], uncut)
    return len(chosen), [id_ for id_ in failed if id_ not in CUT_REFERENCE] + [
        str(outcome) for (outcome,) in outcomes if outcome["status"] != "passed"
    ]


@pytest.mark.parametrize(("benchmark", "expected"), [("humaneval", 9), ("mbpp", 10)])
def test_some_reference_solutions_pass(benchmark: str, expected: int, sandbox: Any) -> None:
    step = 19 if benchmark == "humaneval" else 50
    assert run_references(benchmark, lambda number: number % step == 0) == (expected, [])


@pytest.mark.docker
@pytest.mark.parametrize(("benchmark", "expected"), [("humaneval", 164), ("mbpp", 500)])
def test_all_reference_solutions_pass(benchmark: str, expected: int, sandbox: Any) -> None:
    assert run_references(benchmark, lambda number: True) == (expected, [])
