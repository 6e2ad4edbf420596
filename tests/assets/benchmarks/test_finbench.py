"""FIN-bench's prompts against the algorithm of its harness: facts that hold on every file, and one prompt by hand."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.benchmarks.finbench import build_prompts

DATA = os.environ.get("TOKKA_EVAL_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="TOKKA_EVAL_DATA names no folder with finbench/*.json")

ELEVEN = {
    "analogies": ["analogies"],
    "arithmetic": [
        f"{n}_digit_{what}" for n in range(1, 6) for what in ("addition", "subtraction", "multiplication", "division")
    ],
    "cause_and_effect": ["one_sentence", "one_sentence_no_prompt", "two_sentences"],
    **{
        name: [name]
        for name in (
            "emotions",
            "empirical_judgments",
            "general_knowledge",
            "intent_recognition",
            "misconceptions",
            "paraphrase",
            "sentence_ambiguity",
            "similarities_abstraction",
        )
    },
}


def make_task(n: int = 6, **keys: Any) -> dict[str, Any]:
    examples = [{"input": f"q{i}", "target_scores": {f"b{i}": 0, f"a{i}": 1, f"c{i}": 0}} for i in range(n)]
    return {"metrics": ["multiple_choice_grade"], "examples": examples, **keys}


def shot_names(context: str, shots: int) -> list[int]:
    """The numbers of the examples that a context of ``make_task`` shows, the item itself last."""
    found = [int(line.removeprefix("Q: q")) for line in context.split("\n") if line.startswith("Q: q")]
    assert len(found) == shots + 1
    return found


def test_an_item_without_shots_by_hand() -> None:
    # RandomState(42).permutation(3) is [0, 1, 2]; of 4 it is [1, 3, 0, 2].
    task = make_task(1, task_prefix="Valitse.", example_input_prefix="\nKysymys: ", choice_prefix="\n- ")
    task["examples"][0]["target_scores"] = {"d": 0, "b": 1, "a": 0, "c": 0}
    (prompt,) = build_prompts(task, shots=0)
    assert prompt.context == "Valitse.\nKysymys: q0\n- b\n- d\n- a\n- c\nA: "
    assert prompt.choices == ["d", "b", "a", "c"]
    assert prompt.target_scores == [0, 1, 0, 0]
    assert prompt.text == "q0"


def test_two_shots_by_hand() -> None:
    # The generator's calls for three items: the order of the items, then for each two shots, and an answer per shot.
    # As an item has but one best answer, drawing the answer takes nothing from the generator.
    rng = np.random.RandomState(42)
    expected = {}
    for i in rng.choice(3, 3, replace=False):
        others = [j for j in range(3) if j != i]
        expected[i] = [others[k] for k in rng.choice(2, 2, replace=False)]
    task = make_task(3, append_choices_to_input=False, few_shot_example_separator="\n--\n", task_prefix="P")
    for i, prompt in enumerate(build_prompts(task, shots=2)):
        first, second = expected[i]
        assert prompt.context == f"P\nQ: q{first}\nA: a{first}\n--\n\nQ: q{second}\nA: a{second}\n--\n\nQ: q{i}\nA: "


def test_choices_are_shown_unless_told_otherwise_and_in_one_order() -> None:
    shown = build_prompts(make_task(2), shots=0)[1].context
    order = np.random.RandomState(42).permutation(["a1", "b1", "c1"])
    assert shown == "\nQ: q1" + "".join(f"\n  choice: {choice}" for choice in order) + "\nA: "
    assert "choice" not in build_prompts(make_task(2, append_choices_to_input=False), shots=0)[1].context


def test_the_item_is_never_among_its_shots_and_no_shot_comes_twice() -> None:
    for i, prompt in enumerate(build_prompts(make_task(9, append_choices_to_input=False), shots=3)):
        names = shot_names(prompt.context, 3)
        assert names[-1] == i
        assert len(set(names)) == 4


def test_an_example_with_several_best_answers_shows_one_of_them() -> None:
    task = make_task(8, append_choices_to_input=False)
    for example in task["examples"]:
        example["target_scores"] = {"x": 1, "y": 1, "z": 0}
    answers = {line for p in build_prompts(task, shots=3) for line in p.context.split("\n") if line.startswith("A: ")}
    assert answers == {"A: x", "A: y", "A: "}


def test_identical_duplicates_are_dropped_and_others_kept() -> None:
    task = make_task(5)
    task["examples"].insert(2, dict(task["examples"][0]))
    reordered = {"target_scores": task["examples"][0]["target_scores"], "input": "q0"}  # equal, but other bytes
    task["examples"].append(reordered)
    prompts = build_prompts(task, shots=1)
    assert [p.index for p in prompts] == [0, 1, 3, 4, 5, 6]
    assert [shot_names(p.context, 1)[0] != 0 for p in prompts if p.text == "q0"] == [True, True]


def test_the_same_file_gives_the_same_prompts() -> None:
    assert build_prompts(make_task(7), shots=3) == build_prompts(make_task(7), shots=3)


def test_too_few_examples_for_the_shots() -> None:
    with pytest.raises(ValueError, match=r"2 other examples .* 3 shots"):
        build_prompts(make_task(3), shots=3)


def load(name: str) -> dict[str, Any]:
    task: dict[str, Any] = json.loads((Path(DATA or "") / "finbench" / f"{name}.json").read_text("utf-8"))
    return task


@needs_data
@pytest.mark.parametrize("name", ["analogies", "emotions", "intent_recognition", "one_sentence_no_prompt"])
def test_real_files(name: str) -> None:
    task = load(name)
    prompts = build_prompts(task, shots=3)
    assert len(prompts) == len({json.dumps(example) for example in task["examples"]})
    own = task["example_input_prefix"]
    for prompt in prompts:
        example = task["examples"][prompt.index]
        assert prompt.context.startswith(task.get("task_prefix", ""))
        assert f"{own}{example['input']}" in prompt.context
        assert prompt.context.endswith(task["example_output_prefix"])
        assert prompt.choices == list(example["target_scores"])


@needs_data
def test_choosing_at_random_gives_the_known_baseline() -> None:
    """30.29 on average over the 11 tasks, where arithmetic and cause and effect are means of their files."""
    scores = {
        task: np.mean([np.mean([np.mean(p.target_scores) for p in build_prompts(load(f), shots=0)]) for f in files])
        for task, files in ELEVEN.items()
    }
    assert round(100 * scores["analogies"], 1) == 20.0
    assert round(100 * scores["similarities_abstraction"], 1) == 24.2
    assert round(100 * float(np.mean(list(scores.values()))), 2) == 30.29
