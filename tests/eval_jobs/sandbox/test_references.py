"""The reference solutions of HumanEval and MBPP pass their own tests in the sandbox, and damaged ones do not."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from eval_jobs.sandbox import Limits, Outcome, Program, run_programs


def rows(name: str) -> list[dict[str, Any]]:
    folder = os.environ.get("TOKKA_EVAL_DATA") or os.environ.get("TOKKA_SHARED")
    if not folder:
        pytest.skip("neither TOKKA_EVAL_DATA nor TOKKA_SHARED is set")
    path = Path(folder) / "eval" / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def humaneval(row: dict[str, Any], solution: str) -> Program:
    return Program(row["task_id"], f"{row['prompt']}{solution}\n{row['test']}\ncheck({row['entry_point']})\n")


def mbpp(row: dict[str, Any], code: str) -> Program:
    return Program(str(row["task_id"]), "\n".join([code, row["test_setup_code"], *row["test_list"]]) + "\n")


def not_passed(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.status != "passed"]


def test_humaneval(backend: str) -> None:
    items = rows("humaneval")
    assert len(items) == 164
    programs = [humaneval(row, row["canonical_solution"]) for row in items]
    outcomes = list(run_programs(programs, Limits(), backend))
    assert len(outcomes) == len(programs) and not_passed(outcomes) == []


def test_mbpp_test_split(backend: str) -> None:
    # Task ids 11 to 510 are the test split (arXiv 2108.07732, section 2.1). The set-up of 367 uses what its solution defines.
    items = [row for row in rows("mbpp") if 11 <= int(row["task_id"]) <= 510]
    assert len(items) == 500
    programs = [mbpp(row, row["code"]) for row in items]
    outcomes = list(run_programs(programs, Limits(), backend))
    assert len(outcomes) == len(programs) and not_passed(outcomes) == []


def test_solutions_that_do_nothing_fail(backend: str) -> None:
    items = rows("humaneval")[:20]
    nothing = [humaneval(row, "    pass\n") for row in items]
    leaving = [humaneval(row, "    pass\n\nimport sys\nsys.exit(0)\n") for row in items]
    outcomes = list(run_programs(nothing + leaving, Limits(), backend))
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert {outcome.exit_code for outcome in outcomes[20:]} == {0}
