"""The way through vLLM, over a stand-in for vLLM itself: neither it nor a GPU is at hand where these tests run.

The stand-in keeps to what lm-eval's class ``VLLM`` asks of vLLM and computes with transformers, so that everything between it and
an evaluation is the real code. It refuses what vLLM refuses: a prompt that leaves no position to generate in.
"""

import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eval_jobs import vllm_model
from eval_jobs.model import CheckpointLM
from eval_jobs.vllm_model import VllmLM
from tests.eval_jobs.test_model import CHOICES, CONTEXT, PROMPTS, Request

MAX_LENGTH = 24


class StandIn:
    """As much of ``vllm.LLM`` as lm-eval uses."""

    def __init__(self, model: str, max_model_len: int, **kwargs: Any) -> None:
        from transformers import AutoModelForCausalLM

        self.network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = get_tokenizer(model)
        self.max_model_len = max_model_len
        self.asked = 0

    def generate(self, prompts: list[Any], sampling_params: list[Any], **kwargs: Any) -> list[Any]:
        self.asked += len(prompts)
        return [
            self._one(prompt["prompt_token_ids"], given) for prompt, given in zip(prompts, sampling_params, strict=True)
        ]

    @torch.no_grad()
    def _one(self, ids: list[int], given: Any) -> Any:
        if len(ids) >= self.max_model_len:
            raise ValueError(f"The prompt has {len(ids)} of {self.max_model_len} tokens.")
        if hasattr(given, "prompt_logprobs"):
            shares = torch.log_softmax(self.network(torch.tensor([ids])).logits[0], dim=-1)
            rows = zip(shares, ids[1:], strict=False)
            told = [{int(row.argmax()): float(row.max()), token: float(row[token])} for row, token in rows]
            return SimpleNamespace(prompt_logprobs=[None, *told])
        written: list[int] = []
        while len(written) < given.max_tokens:
            token = int(self.network(torch.tensor([ids + written])).logits[0, -1].argmax())
            if token == self.tokenizer.eos_token_id:
                break
            written.append(token)
        text = self.tokenizer.decode(written, skip_special_tokens=True)
        places = [place for stop in given.stop if (place := text.find(stop)) >= 0]
        return SimpleNamespace(outputs=[SimpleNamespace(text=text[: min(places, default=len(text))])])


def get_tokenizer(folder: str, **kwargs: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def test_without_a_gpu_or_without_vllm_it_is_not_used(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval_jobs.score import open_model

    if torch.cuda.is_available():
        pytest.skip("about machines without a GPU")
    folder = world.lake.local(world.refs["tiny"])
    monkeypatch.setitem(sys.modules, "vllm", module("vllm"))
    assert not vllm_model.is_available()
    assert type(open_model(folder, MAX_LENGTH)) is CheckpointLM
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert vllm_model.is_available()
    monkeypatch.delitem(sys.modules, "vllm")
    assert not vllm_model.is_available()


def module(name: str, **content: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    made.__dict__.update(content)
    return made


@pytest.fixture(scope="module")
def through_vllm(world: Any) -> Iterator[VllmLM]:
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("vLLM is installed; this is about machines without it")
    parts = {
        "vllm": {"LLM": StandIn, "SamplingParams": SimpleNamespace, "TokensPrompt": dict},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": object},
        "vllm.tokenizers": {"get_tokenizer": get_tokenizer},
    }
    version = importlib.metadata.version
    with pytest.MonkeyPatch.context() as patch:
        # Whoever imported lm-eval's class before had it without vLLM.
        patch.delitem(sys.modules, "lm_eval.models.vllm_causallms", raising=False)
        for name, content in parts.items():
            patch.setitem(sys.modules, name, module(name, **content))
        patch.setattr(importlib.metadata, "version", lambda name: "0.8.2" if name == "vllm" else version(name))
        yield VllmLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH)


@pytest.fixture
def plain(world: Any) -> CheckpointLM:
    return CheckpointLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH)


def test_answers_are_those_of_the_network(through_vllm: VllmLM, plain: CheckpointLM, world: Any) -> None:
    requests = [Request(context, choice) for context in (CONTEXT, "", "poro", "</s>") for choice in CHOICES]
    ids = plain.tok_encode(world.texts[1])
    # Texts that fill all positions, one less, and one more, which reach the model as they are.
    for length in (MAX_LENGTH - 1, MAX_LENGTH, MAX_LENGTH + 1):
        text = plain.text_tokenizer.decode(ids[:length])
        assert len(plain.tok_encode(text)) == length
        requests.append(Request(text[:4], text[4:]))
    ours, theirs = through_vllm.loglikelihood(requests), plain.loglikelihood(requests)
    assert [o[0] for o in ours] == pytest.approx([t[0] for t in theirs], abs=1e-4)
    assert [o[1] for o in ours] == [t[1] for t in theirs]
    # Five contexts are longer than what is read at once, and two texts fill it.
    assert through_vllm.vllm.model.asked == len(requests) - 5 - 2
    texts = [Request(text) for text in (*world.texts, "a")]
    assert through_vllm.loglikelihood_rolling(texts) == pytest.approx(plain.loglikelihood_rolling(texts), abs=1e-3)


def test_plain_greedy_text_comes_from_vllm_and_the_rest_from_the_network(
    through_vllm: VllmLM, plain: CheckpointLM
) -> None:
    def requests() -> list[Request]:
        greedy = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False}
        sampled = {**greedy, "do_sample": True, "temperature": 1.0, "seed": 3}
        texts = ["It rains.", "poro </s>", CONTEXT * 3]
        asked = [(text, given) for text in texts for given in (greedy, sampled)]
        return [Request(text, dict(given)) for text, given in asked] + [
            Request(prompt, greedy | {"template": True}) for prompt in PROMPTS
        ]

    before = through_vllm.vllm.model.asked
    assert through_vllm.generate_until(requests()) == plain.generate_until(requests())
    assert through_vllm.vllm.model.asked - before == 3
