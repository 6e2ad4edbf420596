"""The whole job on a real lake: every kind of task, what is missing, what is broken, and what is refused."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_jobs.score import NOT_PASSED, main

PAIRS = [
    {"source": "It rains.", "reference": "Sataa."},
    {"source": "say </s>", "reference": "sano </s>"},
    {"source": "A herd walks over the fell, and over the next fell, and over one more fell.", "reference": "Tokka."},
]
CHOICES = [
    {"subtask": s, "context": f"{q}? Vastaus: ", "choices": ["kyllä", "ei", "ehkä"], "target_scores": [1, 0, 0]}
    for s, q in (("eka", "Sataako"), ("eka", "Onko poro eläin"), ("toka", "Onko tunturi " + "hyvin " * 30 + "korkea"))
]
TASKS: dict[str, dict[str, Any]] = {
    "heldout": {"kind": "bits_per_character", "language": "fi"},
    "en_fi": {"kind": "translation", "source_language": "en", "language": "fi", "max_new_tokens": 4},
    "finbench": {"kind": "finbench"},
    "absent": {"kind": "bits_per_character", "language": "en"},
    "broken": {"kind": "finbench"},
    "not_json": {"kind": "bits_per_character", "language": "en"},
    "no_room": {"kind": "translation", "source_language": "en", "language": "fi", "max_new_tokens": 64},
}


@pytest.fixture(scope="module")
def scored(world: Any) -> dict[str, Any]:
    """The results of one run over all tasks."""
    world.add_benchmark("heldout", [{"text": text} for text in world.texts])
    world.add_benchmark("en_fi", PAIRS)
    world.add_benchmark("no_room", PAIRS)
    world.add_benchmark("finbench", CHOICES)
    world.add_benchmark("absent", [], reason="the data was not at hand")
    world.add_benchmark("broken", [*CHOICES, {"subtask": "eka", "context": "x", "choices": ["a", "b"]}])
    world.add_benchmark("not_json", ['{"text": '])
    assert main([write(world.job(TASKS), world.output.parent)]) == 0
    results: dict[str, Any] = json.loads((world.output / "results.json").read_text("utf-8"))
    return results


def write(job: dict[str, Any], folder: Path) -> str:
    path = folder / "spec.json"
    path.write_text(json.dumps(job), "utf-8")
    return str(path)


def items_of(world: Any, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world.output / "items" / f"{task}.jsonl").read_text("utf-8").split("\n")[:-1]]


def test_every_result_says_where_it_comes_from(scored: dict[str, Any], world: Any) -> None:
    assert set(scored["harness"]) == {"lm_eval", "transformers", "tokenizers", "torch", "sacrebleu"}
    assert scored["seed"] == 11
    assert json.loads((world.output / "timing.json").read_text("utf-8"))["seconds"] > 0
    for name, task in scored["tasks"].items():
        assert task["kind"] == TASKS[name]["kind"]
        assert task["version"] == 1
        assert len(task["definition"]) == 64
        assert task["data"] == world.refs[name].digest
    # absent and not_json are defined alike, and so are finbench and broken.
    definitions = {task["definition"] for name, task in scored["tasks"].items()}
    assert len(definitions) == 5


def test_bits_per_character_equal_a_direct_computation(scored: dict[str, Any], world: Any) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    folder = world.lake.local(world.refs["tiny"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    length, bits, characters = 64, 0.0, 0
    for text in world.texts:
        ids = [2, *tokenizer.encode(text).ids]
        for start in range(0, len(ids) - 1, length):
            end = min(start + length, len(ids) - 1)
            window = ids[max(0, end - length) : end + 1]  # the last window reaches back to be full
            with torch.no_grad():
                log_p = torch.log_softmax(model(torch.tensor([window[:-1]])).logits[0], dim=-1)
            chosen = log_p[torch.arange(len(window) - 1), torch.tensor(window[1:])]
            bits -= float(chosen[-(end - start) :].sum()) / math.log(2)
        characters += len(text)
    task = scored["tasks"]["heldout"]
    assert task["metrics"]["bits_per_character"] == pytest.approx(bits / characters, rel=1e-5)
    assert (task["status"], task["items"], task["expected_items"]) == ("scored", 3, 3)


def test_the_unigram_baseline_equals_a_direct_computation(scored: dict[str, Any], world: Any, tokenizer: Any) -> None:
    counts = np.arange(tokenizer.get_vocab_size()) / 2
    tokenizer.encode_special_tokens = True
    total = counts.sum() - counts[2] + len(counts) - 1
    bits = -sum(math.log2((counts[i] + 1) / total) for text in world.texts for i in tokenizer.encode(text).ids)
    task = scored["tasks"]["heldout"]
    characters = sum(len(text) for text in world.texts)
    assert task["metrics"]["unigram_bits_per_character"] == pytest.approx(bits / characters, rel=1e-9)
    assert set(task["stderr"]) == {"bits_per_character", "unigram_bits_per_character"}
    assert all(error > 0 for error in task["stderr"].values())


def test_item_level_bits_add_up(scored: dict[str, Any], world: Any) -> None:
    items = items_of(world, "heldout")
    assert [item["id"] for item in items] == ["heldout/0", "heldout/1", "heldout/2"]
    bits = -sum(item["log_likelihood"] for item in items) / math.log(2)
    characters = sum(item["characters"] for item in items)
    assert scored["tasks"]["heldout"]["metrics"]["bits_per_character"] == pytest.approx(bits / characters, rel=1e-12)


def test_translation_scores_are_sacrebleus(scored: dict[str, Any], world: Any) -> None:
    import sacrebleu

    task, items = scored["tasks"]["en_fi"], items_of(world, "en_fi")
    generations, references = [i["generation"] for i in items], [i["reference"] for i in items]
    assert references == [pair["reference"] for pair in PAIRS]
    assert not any("\n" in text for text in generations)
    assert task["metrics"]["bleu"] == pytest.approx(sacrebleu.corpus_bleu(generations, [references]).score)
    assert task["metrics"]["chrf"] == pytest.approx(sacrebleu.corpus_chrf(generations, [references]).score)
    assert "tok:13a" in task["signatures"]["bleu"]
    assert "seed:11" in task["signatures"]["chrf"]
    assert set(task["stderr"]) == {"bleu", "chrf"}
    assert task["truncated"] == 1  # the long source


def test_finbench_takes_the_likeliest_choice(scored: dict[str, Any], world: Any) -> None:
    task, items = scored["tasks"]["finbench"], items_of(world, "finbench")
    for item in items:
        assert item["pick"] == item["choices"][int(np.argmax(item["log_likelihoods"]))]
        assert item["scores"]["accuracy"] == float(item["pick"] == "kyllä")
        assert item["reference"] == ["kyllä"]
    first = (items[0]["scores"]["accuracy"] + items[1]["scores"]["accuracy"]) / 2
    assert task["metrics"]["accuracy"] == (first + items[2]["scores"]["accuracy"]) / 2
    assert task["metrics"]["accuracy/eka"] == first
    assert task["truncated"] == 1
    assert task["language"] == "fi"


def test_missing_data_is_missing_and_not_zero(scored: dict[str, Any], world: Any) -> None:
    task = scored["tasks"]["absent"]
    assert (task["status"], task["reason"], task["metrics"]) == ("missing", "the data was not at hand", {})
    assert not (world.output / "items" / "absent.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "The item 'broken/3' of benchmark/broken/"),
        ("not_json", "The item 'not_json/0' of benchmark/not_json/"),
        ("no_room", "max_new_tokens 64 leaves 0 of 64 tokens to the prompt."),
    ],
)
def test_a_broken_task_fails_alone(scored: dict[str, Any], name: str, reason: str) -> None:
    task = scored["tasks"][name]
    assert task["status"] == "failed"
    assert reason in task["reason"]
    assert task["metrics"] == {}


def test_a_second_run_gives_the_same_results(scored: dict[str, Any], world: Any, tmp_path: Path) -> None:
    names = ("heldout", "en_fi", "finbench")
    job = world.job({name: TASKS[name] for name in names}, output=str(tmp_path / "again"))
    assert main([write(job, tmp_path)]) == 0
    again = json.loads((tmp_path / "again" / "results.json").read_text("utf-8"))
    for name in names:
        assert again["tasks"][name] == scored["tasks"][name]


def test_without_contaminated_items_the_clean_scores_are_the_same(scored: dict[str, Any], world: Any) -> None:
    for name in ("heldout", "en_fi", "finbench"):
        task = scored["tasks"][name]
        assert task["contaminated"] == 0
        assert task["clean"] == {"items": task["items"], "metrics": task["metrics"], "stderr": task["stderr"]}
        assert not any(item["contaminated"] for item in items_of(world, name))
    assert scored["tasks"]["absent"]["clean"] == {"items": 0, "metrics": {}, "stderr": {}}


@pytest.fixture(scope="module")
def partly_contaminated(scored: dict[str, Any], world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The results of a run in which some items, all, and others than there are, are contaminated; and its folder."""
    folder = tmp_path_factory.mktemp("contaminated")
    contaminated = {
        "heldout": ["heldout/1"],
        "en_fi": [f"en_fi/{n}" for n in range(len(PAIRS))],
        "finbench": ["finbench/0", "finbench/of-another-version"],
    }
    tasks = {name: TASKS[name] for name in contaminated}
    assert main([write(world.job(tasks, contaminated, output=str(folder / "output")), folder)]) == 0
    return json.loads((folder / "output" / "results.json").read_text("utf-8"))["tasks"], folder / "output"


def test_scores_on_all_items_do_not_depend_on_which_are_clean(scored: dict[str, Any], partly_contaminated: Any) -> None:
    tasks, _ = partly_contaminated
    for name, task in tasks.items():
        assert task["metrics"] == scored["tasks"][name]["metrics"]
        assert task["stderr"] == scored["tasks"][name]["stderr"]


def test_clean_scores_are_those_of_the_items_that_are_left(partly_contaminated: Any, world: Any) -> None:
    tasks, folder = partly_contaminated
    assert {name: (t["items"], t["contaminated"], t["clean"]["items"]) for name, t in tasks.items()} == {
        "heldout": (3, 1, 2),
        "en_fi": (3, 3, 0),
        "finbench": (3, 1, 2),
    }
    lines = (folder / "items" / "heldout.jsonl").read_text("utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    assert [item["contaminated"] for item in items] == [False, True, False]
    clean = [item for item in items if not item["contaminated"]]
    bits = -sum(item["log_likelihood"] for item in clean) / math.log(2)
    expected = bits / sum(item["characters"] for item in clean)
    assert tasks["heldout"]["clean"]["metrics"]["bits_per_character"] == pytest.approx(expected, rel=1e-12)
    choices = [json.loads(line) for line in (folder / "items" / "finbench.jsonl").read_text("utf-8").splitlines()]
    assert tasks["finbench"]["clean"]["metrics"]["accuracy"] == np.mean([c["scores"]["accuracy"] for c in choices[1:]])
    assert tasks["en_fi"]["clean"] == {"items": 0, "metrics": {}, "stderr": {}}


def run(spec: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eval_jobs.score", spec]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.fixture
def ungated(world: Any) -> Iterator[Any]:
    """The world with a checkpoint whose gate has not run."""
    passed = world.refs["tiny"]
    world.add("checkpoint", "ungated", lambda writer: writer.write_json("config.json", {}), receipt=False)
    world.refs["tiny"] = world.refs["ungated"]
    yield world
    world.refs["tiny"] = passed
    world.lake.fs.rm(world.lake.folder(world.refs.pop("ungated")), recursive=True)


def test_an_input_without_a_receipt_is_refused(ungated: Any, tmp_path: Path) -> None:
    done = run(write(ungated.job({}, output=str(tmp_path / "output")), tmp_path))
    assert done.returncode == NOT_PASSED == 4
    assert done.stderr.startswith(f"{ungated.refs['tiny'].name} may not be used: its gate has not run.")
    assert not (tmp_path / "output").exists()


def test_an_accepted_risk_lets_it_through_to_the_model(scored: Any, ungated: Any, tmp_path: Path) -> None:
    risks = {ungated.refs["tiny"].name: "a test"}
    job = ungated.job({"heldout": TASKS["heldout"]}, output=str(tmp_path / "output"), accepted_risks=risks)
    with pytest.raises(
        Exception, match=r"model_type|config\.json|Unrecognized"
    ):  # no checkpoint at all: the model library complains
        main([write(job, tmp_path)])
