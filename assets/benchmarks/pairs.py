"""Reads pairs that are translated by examples, each item with its prompt."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assets.benchmarks.records import PASSAGE, BenchmarkDataError, Item, identity, json_lines, string
from assets.recipe.evaluation import FewShotTranslation

SEED = 42
TAIL = 100
"""Examples that nothing else names come from so many pairs at the end of the files, which then are not translated."""
END = "END"


def few_shot_pairs(config: FewShotTranslation, paths: Sequence[Path]) -> Iterator[tuple[str, Item]]:
    """JSONL with a key per language and an ``id``, a string or a number. The item is ``{"prompt", "source", "reference"}``.

    Prompts are built before any limit cuts items off, so that they do not depend on it. ``config`` says where the examples
    come from; those that are drawn are drawn by ``RandomState(42)``.
    """
    asked, pool = _asked_and_pool(config, paths)
    shots = _shots(config, pool)
    for where, record in asked:
        source = string(record, config.source_language, where)
        reference = string(record, config.language, where)
        item = {"prompt": prompt(config, shots, source), "source": source, "reference": reference}
        yield where, (identity(record, where), f"{source}{PASSAGE}{reference}", item)


def prompt(config: FewShotTranslation, shots: Sequence[Mapping[str, str]], source: str) -> str:
    """The prompt of Poro 34B's script: ``source=translation``, a line with ``END``, an empty line, and so on to ``source=``.

    The blanks around it are those of ``format_prompt_src_equals_trg`` in LumiOpen/translation_scripts, translate_benchmarking.py.
    """
    solved = [f"{shot[config.source_language]}={shot[config.language]}\n{END}\n\n" for shot in shots]
    return "".join(solved) + f"{source}="


Placed = tuple[str, dict[str, Any]]


def _asked_and_pool(config: FewShotTranslation, paths: Sequence[Path]) -> tuple[list[Placed], list[Placed]]:
    """The records to be translated, and those that examples come from, with their places."""
    if config.shots_from is not None and config.shots_from not in [path.name for path in paths]:
        raise BenchmarkDataError(
            f"shots_from is {config.shots_from!r}, which is not among the files: {', '.join(path.name for path in paths)}."
        )
    asked, pool = [], []
    for path in paths:
        records = [(where, record) for _, where, record in json_lines(path)]
        if path.name == config.shots_from:
            pool += records
        else:
            asked += records
    if config.shots and config.shots_from is None and not config.examples:
        if len(asked) <= TAIL:
            raise BenchmarkDataError(
                f"{', '.join(str(path) for path in paths)}: {len(asked)} pairs; examples are drawn from the last {TAIL}, so "
                "more are needed, or examples, or a file that shots_from names."
            )
        asked, pool = asked[:-TAIL], asked[-TAIL:]
    return asked, pool


def _shots(config: FewShotTranslation, pool: Sequence[Placed]) -> list[Mapping[str, str]]:
    if config.examples or not config.shots:
        return list(config.examples)
    if config.shots_from is not None and len(pool) < max((config.shots - 1, *config.shot_indices)) + 1:
        needed = max((config.shots - 1, *config.shot_indices)) + 1
        raise BenchmarkDataError(f"{config.shots_from} has {len(pool)} pairs; the examples need at least {needed}.")
    indices = config.shot_indices or np.random.RandomState(SEED).choice(len(pool), config.shots, replace=False)
    return [
        {language: string(record, language, where) for language in (config.source_language, config.language)}
        for where, record in (pool[i] for i in indices)
    ]
