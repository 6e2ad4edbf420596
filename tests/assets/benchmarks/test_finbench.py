"""FIN-bench's prompts against the algorithm of its harness: facts that hold on every file, and one prompt by hand."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.benchmarks.finbench import build_prompts
from assets.benchmarks.items import read_items
from assets.recipe.suites import load_suite
from eval_jobs.tasks.finbench import mean_of_subtasks, pick

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


HHH = {"harmless": 58, "helpful": 59, "honest": 59, "other": 43}
COUNTS = {
    "analogies": 130,
    "cause_and_effect": 153,
    "emotions": 160,
    "empirical_judgments": 99,
    "general_knowledge": 70,
    "intent_recognition": 692,
    "misconceptions": 134,
    "paraphrase": 200,
    "sentence_ambiguity": 60,
    "similarities_abstraction": 76,
    "arithmetic": 1923,
}
# What stands before and after an input, and whether the choices stand in the prompt.
FORM = {
    "analogies": ("\nKysymys: ", "\nVastaus: ", True),
    "1_digit_division": ("\nKysymys: ", "\nVastaus: ", True),
    "one_sentence": ("\nesimerkki:", "\nvastaus: ", True),
    "one_sentence_no_prompt": ("", "", False),
    "two_sentences": ("\nesimerkki:", "\nvastaus: ", True),
    "emotions": ("\nTeksti: ", "\nPerustunne: ", False),
    "empirical_judgments": ("\nLause: ", "\nSuhde: ", False),
    "general_knowledge": ("\nKysymys: ", "\nVastaus: ", True),
    "intent_recognition": ("", "\nAikomus: ", False),
    "misconceptions": ("\nVäite: ", "\nVastaus: ", False),
    "paraphrase": ("\n", "\nVastaus: ", False),
    "sentence_ambiguity": ("\nVäite: ", "\nOikein vai Väärin? ", False),
    "similarities_abstraction": ("\nKysymys: ", "\nVastaus: ", False),
    **dict.fromkeys(HHH, ("\nIhminen: ", "\nAssistentti:", False)),
}


def by_the_words_of_the_protocol(task: dict[str, Any], shots: int) -> list[str]:
    """The contexts, written down once more from the description of the harness, with its generator on the very objects."""
    docs = [json.loads(text) for text in dict.fromkeys(json.dumps(example) for example in task["examples"])]

    def text(doc: dict[str, Any]) -> str:
        found = task.get("example_input_prefix", "\nQ: ") + doc["input"]
        if task.get("append_choices_to_input", True):
            order = np.random.RandomState(42).permutation(sorted(doc["target_scores"]))
            found += "".join(task.get("choice_prefix", "\n  choice: ") + choice for choice in order)
        return str(found + task.get("example_output_prefix", "\nA: "))

    separator = task.get("few_shot_example_separator", "\n")
    contexts: dict[int, str] = {}
    rng = np.random.RandomState(42)
    for place in rng.choice(len(docs), len(docs), replace=False):
        shown = ""
        for shot in rng.choice([doc for doc in docs if doc != docs[place]], shots, replace=False):
            scores = shot["target_scores"]
            answers = [choice for choice in scores if scores[choice] == max(scores.values())]
            shown += text(shot) + str(rng.choice(answers)) + separator
        contexts[int(place)] = task.get("task_prefix", "") + shown + text(docs[place])
    return [contexts[i] for i in range(len(docs))]


def files() -> list[str]:
    return sorted(path.stem for path in (Path(DATA or "") / "finbench").glob("*.json"))


@needs_data
def test_the_36_files_by_the_words_of_the_protocol() -> None:
    assert len(files()) == 36
    tasks = {name: load(name) for name in files()}
    assert sum(len(task["examples"]) for task in tasks.values()) == 3919
    for name, task in tasks.items():
        prompts = build_prompts(task, shots=3)
        assert [prompt.context for prompt in prompts] == by_the_words_of_the_protocol(task, shots=3), name


@needs_data
@pytest.mark.parametrize("name", FORM)
def test_the_form_of_the_prompts(name: str) -> None:
    before, after, shows_choices = FORM[name]
    task = load(name)
    for prompt in build_prompts(task, shots=0):
        assert prompt.context.startswith(task.get("task_prefix", "") + before + prompt.text)
        assert prompt.context.endswith(after)
        if shows_choices:
            assert all(choice in prompt.context for choice in prompt.choices)
        else:
            assert prompt.context == task.get("task_prefix", "") + before + prompt.text + after


@needs_data
def test_the_suite_s_tasks_have_the_items_without_duplicates() -> None:
    suite = load_suite("finbench")
    items = {}
    for name, config in suite.tasks.items():
        paths = [path for uri in config.files for path in sorted((Path(DATA or "") / "finbench").glob(Path(uri).name))]
        items[name.removeprefix("finbench_")] = [json.loads(i) for i in read_items(config, paths)["item"].to_pylist()]
    assert {name: len(found) for name, found in items.items()} == {**COUNTS, "hhh": sum(HHH.values())}
    hhh = [item["subtask"] for item in items["hhh"]]
    assert {name: hhh.count(name) for name in HHH} == HHH


@needs_data
def test_a_model_that_knows_nothing_scores_the_baseline_within_its_error() -> None:
    """30.29 expected of the data; log-likelihoods drawn at random score it within four standard errors."""
    rng = np.random.default_rng(11)
    expected, found, variances = [], [], []
    for task_files in ELEVEN.values():
        scores, chances = [], []
        for file in task_files:
            for prompt in build_prompts(load(file), shots=0):
                chosen = pick(rng.normal(-20, 5, len(prompt.choices)).tolist())
                scores.append((file, prompt.target_scores[chosen]))
                chances.append((file, float(np.mean(prompt.target_scores))))
        expected.append(mean_of_subtasks(chances))
        found.append(mean_of_subtasks(scores))
        by_file = [np.array([p for f, p in chances if f == file]) for file in task_files]
        variances.append(sum(float((p * (1 - p)).sum()) / len(p) ** 2 for p in by_file) / len(task_files) ** 2)
    error = np.sqrt(sum(variances)) / len(ELEVEN)
    assert 100 * np.mean(expected) == pytest.approx(30.29, abs=0.005)
    assert 0 < 100 * error < 1.5
    assert abs(np.mean(found) - np.mean(expected)) < 4 * error
