"""The tasks and checkpoints of ``tokka bench eval``: files that both Tokka and ``lm_eval`` read.

The tasks are lm-eval's YAML over JSON Lines, prompts ready made, so that both are asked for exactly the same. The weights are
random: how long a score takes does not depend on what has been learned.
"""

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from assets.benchmarks.finbench import build_prompts
from assets.recipe.load import PROJECT

CORPORA = PROJECT / "infra" / "demo" / "corpora"
FINBENCH = (
    "analogies",
    "emotions",
    "empirical_judgments",
    "general_knowledge",
    "1_digit_addition",
    "3_digit_subtraction",
)
SUBJECTS = ("astronomy", "high_school_biology", "international_law", "marketing")
DATA = (*(f"finbench/{name}.json" for name in FINBENCH), "eval/mmlu_dev_test.jsonl.gz", "eval/gsm8k_test.jsonl.gz")
"""Files below the folder of the evaluation data that the tasks are made from."""
SHOTS = 5
END = "</s>"
VOCABULARY = 16_384
HIDDEN, LAYERS, HEADS = 384, 8, 6
LETTERS = ("A", "B", "C", "D")
GROUPS = ("finbench", "mmlu", "rolling", "generation")

Row = dict[str, Any]


def write_tasks(folder: Path, data: Path, items: int, new_tokens: int) -> dict[str, list[str]]:
    """Write the tasks into ``folder``, each of at most ``items`` items; return their names by group."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[str]] = {group: [] for group in GROUPS}
    choice = {
        "output_type": "multiple_choice",
        "doc_to_text": "context",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    for name in FINBENCH:
        rows = _finbench(data / "finbench" / f"{name}.json")
        made["finbench"].append(_write(folder, f"bench_finbench_{name}", islice(rows, items), choice))
    for subject in SUBJECTS:
        rows = _mmlu(data / "eval" / "mmlu_dev_test.jsonl.gz", subject)
        made["mmlu"].append(_write(folder, f"bench_mmlu_{subject}", islice(rows, items), choice))
    rolling = {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    for language in ("fi", "en"):
        rows = ({"text": row["text"]} for row in _lines(CORPORA / f"heldout_{language}.jsonl.gz"))
        made["rolling"].append(_write(folder, f"bench_rolling_{language}", islice(rows, items), rolling))
    generation = {
        "output_type": "generate_until",
        "doc_to_text": "context",
        "doc_to_target": "answer",
        "generation_kwargs": {"until": ["\n\nQuestion:"], "max_gen_toks": new_tokens, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    rows = _gsm8k(data / "eval" / "gsm8k_test.jsonl.gz")
    made["generation"].append(_write(folder, "bench_generation", islice(rows, items), generation))
    return made


def _write(folder: Path, name: str, rows: Iterator[Row], definition: dict[str, Any]) -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    whole = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}},
        "test_split": "test",
        "num_fewshot": 0,
        "metadata": {"version": 1},
        **definition,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")
    return name


def _lines(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from map(json.loads, stream)


def _finbench(path: Path) -> Iterator[Row]:
    for prompt in build_prompts(json.loads(path.read_text("utf-8")), 3):
        answer = prompt.target_scores.index(max(prompt.target_scores))
        yield {"context": prompt.context, "choices": prompt.choices, "answer": answer}


def _mmlu(path: Path, subject: str) -> Iterator[Row]:
    """Items with the subject's five solved questions before them, as lm-eval's task ``mmlu`` writes them."""
    rows = [row for row in _lines(path) if row["subject"] == subject]

    def question(row: Row) -> str:
        choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=True))
        return f"{row['question'].strip()}\n{choices}\nAnswer:"

    shots = [f"{question(row)} {LETTERS[row['answer']]}\n\n" for row in rows if row["split"] == "dev"][:SHOTS]
    about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    for row in rows:
        if row["split"] == "test":
            context = about + "".join(shots) + question(row)
            yield {"context": context, "choices": [f" {letter}" for letter in LETTERS], "answer": row["answer"]}


def _gsm8k(path: Path) -> Iterator[Row]:
    """Items with the five first solved ones before them."""
    rows = _lines(path)
    shots = "".join(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in islice(rows, SHOTS))
    for row in rows:
        yield {"context": f"{shots}Question: {row['question']}\nAnswer:", "answer": row["answer"]}


def write_checkpoint(folder: Path, kind: str, max_length: int) -> int:
    """Write a checkpoint with random weights and a tokenizer trained on the demo corpora; return its parameters.

    ``kind`` is bloom or llama. Weights are spread enough that predictions differ clearly.
    """
    import torch
    from transformers import BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = _tokenizer(folder.parent / "tokenizer.json")
    size = tokenizer.get_vocab_size()
    end = tokenizer.token_to_id(END)
    torch.manual_seed(0)
    common = {"vocab_size": size, "hidden_size": HIDDEN, "bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    model: Any
    if kind == "bloom":
        model = BloomForCausalLM(BloomConfig(**common, n_layer=LAYERS, n_head=HEADS, initializer_range=0.06))
    else:
        config = LlamaConfig(
            **common,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=4 * HIDDEN,
            max_position_embeddings=max_length,
            initializer_range=0.06,
        )
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END).save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if path.exists():
        return Tokenizer.from_file(str(path))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        row["text"]
        for name in ("libreoffice_help_fi", "libreoffice_help_en")
        for row in _lines(CORPORA / f"{name}.jsonl.gz")
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return tokenizer
