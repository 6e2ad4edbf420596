"""Perplexity per character against a loop over transformers' own model, by the published definition."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from assets.recipe.evaluation import CharacterPerplexity

CONFIG = CharacterPerplexity(files="none", language="fi")
LINES = [
    "Sataa vettä, ja tokka kulkee tunturin yli.",
    "The herd walks over the fell while it rains.",
    "  return [p for p in poro]",
    "€ ½ 😁",
    "ä",
]


def published(folder: Any, lines: list[str]) -> tuple[float, float]:
    """Mean perplexity per character and mean loss per token, line by line, of whole lines without special tokens."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    perplexities, losses = [], []
    for line in lines:
        ids = tokenizer(line, add_special_tokens=False, return_tensors="pt").input_ids
        if ids.shape[1] < 2:
            continue
        with torch.no_grad():
            logits = model(ids).logits
        loss = float(torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum"))
        perplexities.append(math.exp(loss / len(tokenizer.decode(ids[0, 1:]))))
        losses.append(loss / (ids.shape[1] - 1))
    return sum(perplexities) / len(perplexities), sum(losses) / len(losses)


def test_the_published_definition(score: Callable[..., Any], world: Any) -> None:
    result, items = score(CONFIG, [{"text": line} for line in LINES])
    assert result["status"] == "scored", result["reason"]
    perplexity, loss = published(world.lake.local(world.refs["tiny"]), LINES)
    assert result["metrics"]["character_perplexity"] == pytest.approx(perplexity, rel=1e-5)
    assert result["metrics"]["token_loss"] == pytest.approx(loss, rel=1e-5)
    scores = [item["scores"]["character_perplexity"] for item in items if item["scores"]]
    assert sum(scores) / len(scores) == pytest.approx(perplexity, rel=1e-5)
    assert set(result["stderr"]) >= {"character_perplexity", "token_loss", "fertility"}


def test_a_line_of_one_token_has_no_score(score: Callable[..., Any], model: Any) -> None:
    one = next(word for word in ("tokka", "poro", "a", "e") if len(model.tok_encode(word)) == 1)
    result, items = score(CONFIG, [{"text": one}, {"text": LINES[0]}])
    assert [bool(item["scores"]) for item in items] == [False, True]
    assert result["metrics"]["lines_scored"] == 1
    assert result["items"] == 2
    assert result["metrics"]["character_perplexity"] == items[1]["scores"]["character_perplexity"]
    result, _ = score(CONFIG, [{"text": one}])
    assert result["status"] == "failed"
    assert "None of 1 lines has two tokens or more" in result["reason"]


def test_fertility_is_tokens_over_words_of_all_lines(score: Callable[..., Any], model: Any) -> None:
    lines = ["Sataa, sataa!", "poro_2"]  # words: Sataa , sataa ! and poro _ 2
    result, items = score(CONFIG, [{"text": line} for line in lines])
    assert [item["words"] for item in items] == [4, 3]
    tokens = sum(len(model.tok_encode(line)) for line in lines)
    assert result["metrics"]["fertility"] == tokens / 7


def test_a_line_longer_than_the_model_reads_is_scored_in_windows(score: Callable[..., Any], model: Any) -> None:
    line = " ".join(LINES[:2] * 3)
    ids = model.tok_encode(line)
    length = model.max_length
    assert len(ids) > 2 * length
    total, start = 0.0, 1
    while start < len(ids):  # each window is full, and scores what the one before has not
        end = min(start + length, len(ids))
        window = ids[max(0, end - length - 1) : end]
        with torch.no_grad():
            log_p = torch.log_softmax(model.model(torch.tensor([window[:-1]])).logits[0].double(), dim=-1)
        chosen = log_p[torch.arange(len(window) - 1), torch.tensor(window[1:])]
        total -= float(chosen[-(end - start) :].sum())
        start = end
    result, _ = score(CONFIG, [{"text": line}])
    assert result["metrics"]["token_loss"] == pytest.approx(total / (len(ids) - 1), rel=1e-5)


def test_on_the_clean_lines_alone(score: Callable[..., Any]) -> None:
    result, items = score(CONFIG, [{"text": line} for line in LINES], frozenset({"item/1"}))
    clean = [item["scores"]["token_loss"] for item in items if not item["contaminated"] and item["scores"]]
    assert result["clean"]["items"] == len(LINES) - 1
    assert result["clean"]["metrics"]["token_loss"] == pytest.approx(sum(clean) / len(clean))
