"""Continuations: against lm-eval's own model, and the same samples however they are put together."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_jobs.generation import choose, cut, prompt_key, read_arguments, uniform
from eval_jobs.model import CheckpointLM
from tests.eval_jobs.checkpoints import write_random

LENGTH = 96
SHOTS = "Sataa vettä. Poro on tunturin eläin, ja tokka kulkee. "
PROMPTS = [SHOTS + text for text in ("It rains", "A herd walks over it, far", "x", "poro")] + ["tokka", "The herd </s>"]
SAMPLED = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 0.8, "top_p": 0.95, "seed": 3}


class Request:
    """As much of lm-eval's Instance as a model reads."""

    def __init__(self, *args: Any) -> None:
        self.args = args


@pytest.fixture(scope="module", params=["bloom", "llama", "opt"])
def folder(request: Any, world: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "bloom":
        return world.lake.local(world.refs["tiny"])  # type: ignore[no-any-return]
    folder = tmp_path_factory.mktemp(request.param)
    more = {"ffn_dim": 64, "word_embed_proj_dim": 32} if request.param == "opt" else {"num_key_value_heads": 2}
    write_random(folder, tokenizer, request.param, **more)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> CheckpointLM:
    return CheckpointLM(folder, LENGTH)


def direct(model: CheckpointLM, prompt: str, count: int) -> list[int]:
    """Greedy tokens by one pass over the whole text each."""
    ids = model.tok_encode(prompt)
    start = len(ids)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model.model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[start:]


def test_greedy_tokens_equal_a_direct_loop(model: CheckpointLM) -> None:
    found = model.generate_until([Request(prompt, {"until": [], "max_gen_toks": 8}) for prompt in PROMPTS])
    for prompt, text in zip(PROMPTS, found, strict=True):
        ids = direct(model, prompt, 8)
        ids = ids[: ids.index(2)] if 2 in ids else ids
        assert text == model.text_tokenizer.decode(ids, skip_special_tokens=True)


def test_stop_strings_cut_as_the_harness_does(world: Any) -> None:
    """For many stop strings, over tokens, within them, and several that overlap."""
    from lm_eval.models.huggingface import HFLM

    folder = world.lake.local(world.refs["tiny"])
    theirs = HFLM(str(folder), device="cpu", dtype="float32", max_length=LENGTH, prefix_token_id=2, add_bos_token=False)
    ours = CheckpointLM(folder, LENGTH)
    plain = PROMPTS[:4]  # lm-eval's model would take "</s>" for the end of the document
    whole = ours.generate_until([Request(prompt, {"until": [], "max_gen_toks": 10}) for prompt in plain])
    stops = sorted({text[i : i + n] for text in whole for i in (0, 1, 4) for n in (1, 2, 5) if text[i : i + n]})[:12]
    for until in [[stop] for stop in stops] + [stops[:3], stops[::-1]]:
        arguments = {"until": until, "max_gen_toks": 10, "do_sample": False}
        expected = theirs.generate_until(
            [Request(p, {**arguments, "until": list(until)}) for p in plain], disable_tqdm=True
        )
        assert ours.generate_until([Request(prompt, arguments) for prompt in plain]) == expected


def test_each_request_has_its_own_arguments(model: CheckpointLM) -> None:
    alone = {
        count: model.generate_until([Request(PROMPTS[0], {"until": [], "max_gen_toks": count})])[0] for count in (2, 9)
    }
    together = model.generate_until([Request(PROMPTS[0], {"until": [], "max_gen_toks": count}) for count in (9, 2, 9)])
    assert together == [alone[9], alone[2], alone[9]]


@pytest.mark.parametrize("rows_at_once", [1, 3, 64])
def test_samples_depend_on_nothing_around_them(folder: Path, model: CheckpointLM, rows_at_once: int) -> None:
    requests = [Request(prompt, SAMPLED) for prompt in PROMPTS]
    expected = {prompt: model.generate_until([request] * 4) for prompt, request in zip(PROMPTS, requests, strict=True)}
    for samples in expected.values():
        assert len(set(samples)) > 1
    repeated = [request for request in requests for _ in range(4)]
    order = np.random.default_rng(rows_at_once).permutation(len(requests))
    shuffled = [requests[i] for i in order for _ in range(4)]
    other = CheckpointLM(folder, LENGTH, prompts_at_once=rows_at_once)
    assert other.generate_until(repeated) == [text for prompt in PROMPTS for text in expected[prompt]]
    assert other.generate_until(shuffled) == [text for i in order for text in expected[PROMPTS[i]]]


def test_another_seed_gives_other_samples(model: CheckpointLM) -> None:
    one, other = (model.generate_until([Request(PROMPTS[0], SAMPLED | {"seed": seed})]) for seed in (3, 4))
    assert one != other


def test_the_harness_repeats_a_request(model: CheckpointLM) -> None:
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    rows = [{"id": str(i), "prompt": prompt, "reference": "x"} for i, prompt in enumerate(PROMPTS[:2])]
    task = ConfigurableTask(
        config={
            "task": "samples",
            "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
            "test_split": "test",
            "num_fewshot": 0,
            "output_type": "generate_until",
            "doc_to_text": "prompt",
            "doc_to_target": "reference",
            "generation_kwargs": SAMPLED,
            "repeats": 3,
            "filter_list": [{"name": "all", "filter": [{"function": "take_first_k", "k": 3}]}],
            "process_results": lambda doc, results: {"length": float(len(results[0]))},
            "metric_list": [{"metric": "length", "aggregation": "mean", "higher_is_better": True}],
        }
    )
    found = evaluate(model, {"tasks": {"samples": task}}, bootstrap_iters=0, log_samples=True)["samples"]["samples"]
    for sample in found:
        (texts,) = sample["resps"]
        assert len(set(texts)) == 3
        assert texts == model.generate_until([Request(sample["doc"]["prompt"], SAMPLED)] * 3)


def test_samples_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.15, 0.1]])).expand(4000, -1)
    draws = [uniform(prompt_key("p", sample, 0), 0) for sample in range(4000)]
    assert all(0 <= draw < 1 for draw in draws)
    shares = np.bincount(choose(logits, 1.0, 1.0, draws), minlength=4) / 4000
    # Within four standard errors of a share of at most 0.5.
    assert shares == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=4 * math.sqrt(0.25 / 4000))
    kept = np.bincount(choose(logits, 1.0, 0.8, draws), minlength=4)
    assert kept[3] == 0 and kept[2] > 0  # 0.5 + 0.25 is less than 0.8, the third token carries it there
    sharper = np.bincount(choose(logits, 0.5, 1.0, draws), minlength=4) / 4000
    expected = np.array([0.5, 0.25, 0.15, 0.1]) ** 2
    assert sharper == pytest.approx(expected / expected.sum(), abs=4 * math.sqrt(0.25 / 4000))
    assert choose(logits[:1], 0.0, 1.0, []) == [0]


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=8), st.floats(0, 1, exclude_max=True), st.floats(0.05, 1))
@settings(max_examples=100, deadline=None)
def test_a_token_that_top_p_leaves_out_is_never_chosen(logits: list[float], draw: float, top_p: float) -> None:
    row = torch.tensor([logits])
    (token,) = choose(row, 1.0, top_p, [draw])
    shares = torch.softmax(row.double(), dim=-1)[0]
    likelier = shares[shares > shares[token]].sum()
    assert likelier < top_p + 1e-9


def test_text_is_cut_at_each_stop_string_in_turn() -> None:
    assert cut("a b c", ["b", "a b"]) == "a "
    assert cut("abc", ["c", "a"]) == ""
    assert cut("abc", []) == "abc"


def test_arguments_have_the_harnesss_defaults() -> None:
    arguments = read_arguments({"until": "\n", "temperature": 0.7})
    assert (arguments.until, arguments.max_tokens, arguments.temperature, arguments.top_p) == (("\n",), 256, 0.7, 1.0)
    assert read_arguments({"do_sample": False, "temperature": 0.7}).temperature == 0
    assert read_arguments({"max_new_tokens": 3}).max_tokens == 3


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"num_beams": 4}, "has num_beams; allowed are until"),
        ({"do_sample": True, "temperature": -1.0}, "temperature -1.0"),
        ({"do_sample": True, "temperature": 1.0, "top_p": 0.0}, "top_p 0.0"),
        ({"max_gen_toks": 0}, "max_gen_toks 0"),
    ],
)
def test_arguments_that_are_refused(given_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_arguments(given_)
