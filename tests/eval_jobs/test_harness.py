"""lm-eval's tasks on local files, beside stock lm-eval with its own Hugging Face model: the same prompts, the same scores."""

import gzip
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets.benchmarks.harness import _as_on_the_hub
from assets.benchmarks.items import read_items
from assets.recipe.evaluation import Harness
from assets.recipe.tokens import PairTemplate
from eval_jobs.benchmark import rows_of
from eval_jobs.model import CheckpointLM
from eval_jobs.progress import open_progress
from eval_jobs.score import Settings, TaskInput, score_tasks
from eval_jobs.tasks import harness
from tests.eval_jobs.conftest import write_checkpoint

DATA = os.environ.get("TOKKA_EVAL_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="TOKKA_EVAL_DATA names no folder with eval/*.jsonl.gz")
MAX_LENGTH = 384
SETTINGS = Settings(seed=1234, max_length=MAX_LENGTH, template=PairTemplate(instructions={}))


def records(name: str, n: int, skip: int = 0) -> list[dict[str, Any]]:
    with gzip.open(Path(DATA or "") / "eval" / f"{name}.jsonl.gz") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if skip <= number < skip + n]


def write(path: Path, docs: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(doc, ensure_ascii=False) + "\n" for doc in docs), "utf-8")
    return path


def task_input(config: Harness, paths: list[Path]) -> TaskInput:
    rows = rows_of(read_items(config, paths).to_pylist(), config.task, harness.KEYS)
    return TaskInput(config, rows, len(rows), "", frozenset(), "0" * 64)


def ours(config: Harness, paths: list[Path], model: Any, output: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result of a task and its items."""
    with open_progress() as progress:
        results = score_tasks({"task": task_input(config, paths)}, model, SETTINGS, output, progress)
    result = results["tasks"]["task"]
    assert result["status"] == "scored", result["reason"]
    lines = (output / "items" / "task.jsonl").read_text("utf-8").splitlines()
    return result, [json.loads(line) for line in lines]


def stock(changes: dict[str, dict[str, Any]], model: Any, shots: int) -> dict[str, Any]:
    """Results of stock lm-eval on its own tasks, whose configurations are changed to read local files."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    found = [
        {**load_yaml(harness._files_of_tasks()[name]), "dataset_path": "json", "dataset_name": None, **change}
        for name, change in changes.items()
    ]
    for config in found:
        for key in ("tag", "group"):
            config.pop(key, None)
    answer: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=found,
        num_fewshot=shots,
        bootstrap_iters=2,
        log_samples=True,
        task_manager=TaskManager(include_defaults=False),  # else it reads thousands of YAML files
    )
    return answer


Models = tuple[CheckpointLM, Any]


@pytest.fixture(scope="module")
def open_models(tmp_path_factory: Any, tokenizer: Any) -> Callable[[str], Models]:
    """The same random checkpoint of an architecture behind ``CheckpointLM`` and lm-eval's ``HFLM``."""

    @cache
    def open_models(architecture: str) -> Models:
        from lm_eval.models.huggingface import HFLM

        folder = tmp_path_factory.mktemp(architecture)
        if architecture == "bloom":
            write_checkpoint(folder, tokenizer)
        else:
            _write_llama(folder, tokenizer)
        theirs = HFLM(
            str(folder), device="cpu", dtype="float32", max_length=MAX_LENGTH, prefix_token_id=2, add_bos_token=False
        )
        return CheckpointLM(folder, MAX_LENGTH), theirs

    return open_models


@pytest.fixture
def models(open_models: Callable[[str], Models], request: Any) -> Models:
    """BLOOM, or the architecture that a test names."""
    return open_models(getattr(request, "param", "bloom"))


def _write_llama(folder: Path, tokenizer: Any) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=2048,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)


def check_choices(result: Any, items: Any, found: Any, name: str, metrics: list[str]) -> None:
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    assert len(items) == len(samples)
    for item, sample in zip(items, samples, strict=True):
        assert item["prompt"] == harness.digest(sample["arguments"][0][0]), "another prompt"
        theirs = [response[0] for response in sample["filtered_resps"]]
        assert item["log_likelihoods"] == pytest.approx(theirs, abs=2e-3, rel=1e-4)
        for metric in metrics:
            assert item["scores"][metric] == pytest.approx(float(sample[metric]), abs=1e-3)
    for metric in metrics:
        assert result["metrics"][metric] == pytest.approx(found["results"][name][f"{metric},none"], abs=1e-3)
        assert result["stderr"][metric] == pytest.approx(found["results"][name][f"{metric}_stderr,none"], abs=1e-3)


# By lm-eval's task: the file, the shots, the metrics, and the split that shots are taken from.
CHOICES: dict[str, tuple[str, int, list[str], str | None]] = {
    "arc_challenge": ("arc_challenge_val", 3, ["acc_norm", "acc"], "train"),
    "hellaswag": ("hellaswag_val", 2, ["acc_norm", "acc"], "train"),
    "truthfulqa_mc2": ("truthfulqa_gen", 0, ["acc"], None),
    "winogrande": ("winogrande_xl_val", 5, ["acc"], "train"),
}


@needs_data
@pytest.mark.parametrize(
    ("name", "models"), [*((name, "bloom") for name in CHOICES), ("arc_challenge", "llama")], indirect=["models"]
)
def test_the_scores_of_stock_lm_eval(name: str, models: Any, tmp_path: Path) -> None:
    file, shots, metrics, split = CHOICES[name]
    test, train = records(file, 4), records(file, 12, skip=4)
    paths = [write(tmp_path / "test.jsonl", test)] + ([write(tmp_path / "train.jsonl", train)] if split else [])
    where = {"where": {"file": "test"}, "shots_where": {"file": "train"}} if split else {}
    config = Harness(task=name, files=[str(p) for p in paths], language="en", shots=shots, metrics=metrics, **where)
    result, items = ours(config, paths, models[0], tmp_path / "ours")

    (tmp_path / "hub").mkdir()
    files = {"train": str(write(tmp_path / "hub" / "train.jsonl", [_as_on_the_hub(doc) for doc in train]))}
    scored = "test" if name == "arc_challenge" else "validation"
    files[scored] = str(write(tmp_path / "hub" / "test.jsonl", [_as_on_the_hub(doc) for doc in test]))
    found = stock({name: {"dataset_kwargs": {"data_files": files}}}, models[1], shots)
    check_choices(result, items, found, name, metrics)
    origin = "file=train" if split else "none"
    assert f"|shots:{shots}|shots-from:{origin}|seed:1234" in result["signatures"][metrics[0]]
    gold = [item["reference"] for item in items]
    if name == "winogrande":
        assert [item["choices"] for item in items] == [[doc["option1"], doc["option2"]] for doc in test]
    elif name == "arc_challenge":
        assert gold == [doc["choices"]["text"][doc["choices"]["label"].index(doc["answerKey"])] for doc in test]


@needs_data
def test_subtasks_have_their_own_descriptions_and_shots_and_count_alike(models: Any, tmp_path: Path) -> None:
    """MMLU: three items of one subject weigh as much as one of another."""
    everything = records("mmlu_dev_test", 20_000)
    parts = {"abstract_algebra": 3, "anatomy": 1}
    docs = [
        doc
        for subject, n in parts.items()
        for split, m in (("test", n), ("dev", 5))
        for doc in [d for d in everything if d["subject"] == subject and d["split"] == split][:m]
    ]
    path = write(tmp_path / "mmlu.jsonl", docs)
    config = Harness(
        task="mmlu_{subject}",
        files=str(path),
        language="en",
        where={"split": "test"},
        shots_where={"split": "dev"},
        shots=5,
        metrics="acc",
    )
    result, items = ours(config, [path], models[0], tmp_path / "ours")
    means = []
    for subject in parts:
        files = {
            split: str(
                write(tmp_path / f"{split}.jsonl", [d for d in docs if (d["subject"], d["split"]) == (subject, split)])
            )
            for split in ("test", "dev")
        }
        name = f"mmlu_{subject}"
        found = stock({name: {"dataset_kwargs": {"data_files": files}}}, models[1], shots=5)
        samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
        for sample in samples:
            item = items.pop(0)
            assert item["prompt"] == harness.digest(sample["arguments"][0][0])
            assert item["log_likelihoods"] == pytest.approx([r[0] for r in sample["filtered_resps"]], abs=2e-3)
            assert item["choices"] == ["A", "B", "C", "D"]
        means.append(found["results"][name]["acc,none"])
    assert not items
    assert result["metrics"]["acc"] == pytest.approx(sum(means) / 2)


@needs_data
@pytest.mark.parametrize("models", ["bloom", "llama"], indirect=True)
def test_answers_that_are_written_equal_stock_lm_eval(models: Any, tmp_path: Path) -> None:
    """GSM8K. A random model never writes "#### 5", so both filters' answers are compared on what it writes."""
    test, train = records("gsm8k_test", 3), records("gsm8k_test", 6, skip=3)
    paths = [write(tmp_path / "test.jsonl", test), write(tmp_path / "train.jsonl", train)]
    files = {"test": str(paths[0]), "train": str(paths[1])}
    # 24 tokens tell as much about prompts and stops as 256.
    short = {"until": ["Question:", "o"], "do_sample": False, "temperature": 0.0, "max_gen_toks": 24}
    found = stock({"gsm8k": {"dataset_kwargs": {"data_files": files}, "generation_kwargs": short}}, models[1], shots=2)
    from lm_eval.tasks._yaml_loader import load_yaml

    definition = load_yaml(harness._files_of_tasks()["gsm8k"]) | {"generation_kwargs": short}
    for name in ("strict-match", "flexible-extract"):
        config = Harness(
            task="gsm8k",
            files=[str(p) for p in paths],
            language="en",
            where={"file": "test"},
            shots_where={"file": "train"},
            shots=2,
            metrics="exact_match",
            filter=name,
            definition=definition,
        )
        result, items = ours(config, paths, models[0], tmp_path / name)
        samples = [sample for sample in found["samples"]["gsm8k"] if sample["filter"] == name]
        for item, sample in zip(items, samples, strict=True):
            assert item["prompt"] == harness.digest(sample["arguments"][0][0])
            assert item["generation"] == sample["resps"][0][0]
            assert item["answer"] == sample["filtered_resps"][0]
            assert item["reference"] == sample["target"]
        assert result["metrics"]["exact_match"] == found["results"]["gsm8k"][f"exact_match,{name}"]


def question(i: int) -> dict[str, Any]:
    return {"question": f"{i} + 1?", "choices": {"text": [str(i), str(i + 1)], "label": ["A", "B"]}, "answerKey": "B"}


def arc(paths: list[Path], **changes: Any) -> Harness:
    given = {"task": "arc_challenge", "files": [str(p) for p in paths], "language": "en", "metrics": ["acc"], **changes}
    return Harness.model_validate(given)


def test_without_a_split_for_shots_they_are_other_items(world: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [question(i) for i in range(5)])
    model = CheckpointLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH)
    prompts: list[str] = []
    rows = rows_of(read_items(arc([path], shots=4), [path]).to_pylist(), "arc", harness.KEYS)
    definition = harness.definition(rows, arc([path], shots=4), SETTINGS)
    sampler = definition["fewshot_config"]["sampler"]([])
    for doc in definition["custom_dataset"]()["items"]:
        shown = [shot["question"] for shot in sampler.sample(4, eval_doc=doc)]
        assert len(set(shown)) == 4 and doc["question"] not in shown
        prompts += shown
    result, items = ours(arc([path], shots=4), [path], model, tmp_path / "a")
    again, same = ours(arc([path], shots=4), [path], model, tmp_path / "b")
    assert "shots-from:the other items" in result["signatures"]["acc"]
    assert items == same and result == again
    _, few = ours(arc([path], shots=4, limit=2), [path], model, tmp_path / "c")
    assert [item["prompt"] for item in few] == [item["prompt"] for item in items][:2]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"task": "arc_hard"}, r"no task 'arc_hard'; it has .*arc_challenge"),
        ({"metrics": ["f1"]}, r"no metric 'f1'; it has acc, acc_norm"),
        ({"shots": 5}, r"5 records to draw shots from; 5 shots need 6"),
        ({"filter": "strict"}, r"no filter 'strict'; it has none"),
        ({"task": "humaneval", "metrics": ["pass_at_k"]}, r"runs generated code; use the kind programming"),
        ({"task": "wikitext", "metrics": ["word_perplexity"]}, r"output_type 'loglikelihood_rolling'; allowed are"),
        ({"task": "lambada_openai", "metrics": ["perplexity"]}, r"perplexity of lambada_openai is no mean over items"),
    ],
)
def test_what_cannot_be_scored_says_why(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [{**question(i), "text": "a b"} for i in range(5)])
    config = arc([path], **changes)
    rows = rows_of(read_items(config, [path]).to_pylist(), "arc", harness.KEYS)
    with pytest.raises(ValueError, match=expected):
        harness.definition(rows, config, SETTINGS)


OWN = {
    "task": "summat",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "data/test.jsonl", "train": "data/train.jsonl"}},
    "test_split": "test",
    "fewshot_split": "train",
    "num_fewshot": 1,
    "output_type": "multiple_choice",
    "description": "Laske.\n\n",
    "doc_to_text": "{{question}}\nVastaus:",
    "doc_to_choice": "{{choices.text}}",
    "doc_to_target": "{{choices.label.index(answerKey)}}",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 2.0},
}


def test_a_task_of_ones_own_is_a_yaml(models: Any, tmp_path: Path) -> None:
    """The folder as lm-eval takes it with --include_path, scored by both."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    (tmp_path / "data").mkdir()
    test = write(tmp_path / "data" / "test.jsonl", [question(i) for i in range(5)])
    train = write(tmp_path / "data" / "train.jsonl", [question(i) for i in range(5, 9)])
    (tmp_path / "summat.yaml").write_text(yaml.safe_dump(OWN), "utf-8")
    config = Harness.model_validate({"kind": "harness", "include": str(tmp_path), "task": "summat", "language": "fi"})
    assert [Path(file) for file in config.files] == [test, train]
    result, items = ours(config, [test, train], models[0], tmp_path / "ours")

    absolute = {**OWN, "dataset_kwargs": {"data_files": {"test": str(test), "train": str(train)}}}
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "summat.yaml").write_text(yaml.safe_dump(absolute), "utf-8")
    manager = TaskManager(include_path=str(tmp_path / "stock"), include_defaults=False)
    found = simple_evaluate(model=models[1], tasks=["summat"], task_manager=manager, bootstrap_iters=2)
    check_choices(result, items, found, "summat", ["acc"])
    assert "task:summat|lm-eval:own|task-version:2.0|shots:1|shots-from:file=train" in result["signatures"]["acc"]
