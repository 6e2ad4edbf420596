"""Reads programming problems: HumanEval and MBPP, with prompts and tests as bigcode-evaluation-harness makes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assets.benchmarks.records import PASSAGE, BenchmarkDataError, Item, json_lines, kind_of, string
from assets.recipe.evaluation import Programming

MBPP_TEST = range(11, 511)
"""The ``task_id`` of MBPP's test split (Austin et al. 2021, arXiv 2108.07732, section 2.1)."""


def problems(config: Programming, path: Path) -> Iterator[tuple[str, Item]]:
    """The problems of a file, each ``{"prompt", "tests", "solution"}``.

    A program is the prompt, what the model writes after it, and the tests. ``solution`` is the reference, as if the model had
    written it. Of MBPP the items are those of the test split.
    """
    read = _humaneval if config.benchmark == "humaneval" else _mbpp
    for _, where, record in json_lines(path):
        item = read(record, where)
        if item is not None:
            yield where, item


def _humaneval(record: dict[str, Any], where: str) -> Item:
    """The prompt without the white space around it, as the harness's task ``humaneval`` has it."""
    task = string(record, "task_id", where)
    prompt = string(record, "prompt", where)
    solution = string(record, "canonical_solution", where)
    entry = string(record, "entry_point", where)
    if not entry.isidentifier():
        raise BenchmarkDataError(f"{where}: the key 'entry_point' is {entry!r:.60}; it must be the name of a function.")
    tests = f"\n{string(record, 'test', where)}\ncheck({entry})"
    end = prompt[len(prompt.rstrip()) :]
    item = {"prompt": prompt.strip(), "tests": tests, "solution": end + solution}
    return task, f"{prompt}{PASSAGE}{solution}", item


def _mbpp(record: dict[str, Any], where: str) -> Item | None:
    """InCoder's prompt: a docstring of the description and the first test. Setting up for the tests comes before them."""
    number = record.get("task_id")
    if isinstance(number, bool) or not isinstance(number, int):
        raise BenchmarkDataError(f"{where}: the key 'task_id' is {kind_of(number)}; it must be a whole number.")
    if number not in MBPP_TEST:
        return None
    description = string(record, "text", where)
    solution = string(record, "code", where)
    tests = record.get("test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) and test for test in tests):
        raise BenchmarkDataError(
            f"{where}: the key 'test_list' is {kind_of(tests)}; it must be a list of tests as text."
        )
    setup = record.get("test_setup_code") or ""
    if not isinstance(setup, str):
        raise BenchmarkDataError(f"{where}: the key 'test_setup_code' is {kind_of(setup)}; it must be a string.")
    item = {
        "prompt": f'"""\n{description}\n{tests[0]}\n"""\n',
        "tests": "\n".join([setup, *tests] if setup else tests),
        "solution": solution,
    }
    return f"MBPP/{number}", f"{description}{PASSAGE}{solution}", item
