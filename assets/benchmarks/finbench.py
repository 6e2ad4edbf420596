"""Prompts of FIN-bench, drawn exactly as the harness of the Poro 34B paper (section 4) draws them.

That harness is lm-eval 0.3.0 with BIG-bench's JSON tasks. Its shots come from the test set itself, so a task's prompts
depend on its file and the number of shots only, and are built once, here; the evaluation merely scores them.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 42


@dataclass(frozen=True)
class Prompt:
    """One item: ``context`` is what the model reads, ``choices`` in the file's order what it chooses among.

    ``index`` is the example's position in the file; ``text`` its input alone; ``target_scores`` one score per choice.
    """

    index: int
    text: str
    context: str
    choices: list[str]
    target_scores: list[float]


def build_prompts(task: dict[str, Any], shots: int) -> list[Prompt]:
    """The prompts of a task in BIG-bench's JSON, in the file's order, byte-identical duplicates dropped.

    Raises ValueError when there are too few examples to draw ``shots`` from.
    """
    first: dict[str, int] = {}
    for i, example in enumerate(task["examples"]):
        first.setdefault(json.dumps(example), i)
    positions = list(first.values())
    examples = [task["examples"][i] for i in positions]
    texts = [_render(task, example) for example in examples]
    shown = _draw_shots(examples, texts, shots) if shots else [[] for _ in examples]
    separator = task.get("few_shot_example_separator", "\n")
    return [
        Prompt(
            index=position,
            text=example["input"],
            context=task.get("task_prefix", "") + separator.join([*drawn, text]),
            choices=list(example["target_scores"]),
            target_scores=[float(score) for score in example["target_scores"].values()],
        )
        for position, example, text, drawn in zip(positions, examples, texts, shown, strict=True)
    ]


def _render(task: dict[str, Any], example: dict[str, Any]) -> str:
    """Input prefix, input, the choices in an order that is fixed per set of choices, output prefix."""
    text = task.get("example_input_prefix", "\nQ: ") + example["input"]
    if task.get("append_choices_to_input", True):
        choices = sorted(example["target_scores"])
        prefix = task.get("choice_prefix", "\n  choice: ")
        text += "".join(prefix + choices[i] for i in np.random.RandomState(SEED).permutation(len(choices)))
    return text + str(task.get("example_output_prefix", "\nA: "))


def _draw_shots(examples: list[dict[str, Any]], texts: list[str], shots: int) -> list[list[str]]:
    """The solved examples before each item, as texts.

    One generator serves all items, in an order that it draws itself, so no call to it may be left out or moved.
    """
    rng = np.random.RandomState(SEED)
    shown: list[list[str]] = [[] for _ in examples]
    for i in rng.choice(len(examples), len(examples), replace=False):
        others = [j for j, example in enumerate(examples) if example != examples[i]]
        if len(others) < shots:
            raise ValueError(f"has {len(others)} other examples to draw from; {shots} shots need at least as many")
        for j in [others[k] for k in rng.choice(len(others), shots, replace=False)]:
            scores = examples[j]["target_scores"]
            best = [choice for choice, score in scores.items() if score == max(scores.values())]
            shown[i].append(texts[j] + best[rng.choice(len(best))])
    return shown
