"""A checkpoint read by vLLM, through lm-eval's own class for it, where vLLM is installed and a GPU is there.

The tests run it, and lm-eval's ``VLLM`` below it, over a stand-in for vLLM. With vLLM itself it has not been run.

vLLM reads what is plain: log-likelihoods, and greedy continuations of plain text. Tokens are made by ``CheckpointLM`` all the
same, so that text never becomes a special token. What vLLM cannot do the same way stays with the network of ``CheckpointLM``,
which is loaded when it is first needed: prompts of the pair template, whose markers are special tokens; samples, whose random
numbers must not depend on the batch; and texts that fill the model's positions, since vLLM keeps the last one for a token that
it generates, as windows of a long text do.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance

from eval_jobs.generation import read_arguments
from eval_jobs.model import CheckpointLM
from eval_jobs.reader import Pair

GPU_MEMORY = 0.5
"""Share of the GPU's memory that vLLM may take; the network needs the rest."""


def is_available() -> bool:
    """Whether vLLM is installed and a GPU is there."""
    return torch.cuda.is_available() and find_spec("vllm") is not None


@dataclass(frozen=True)
class _Request:
    args: tuple[str, dict[str, Any]]


class VllmLM(CheckpointLM):
    """As ``CheckpointLM``, with vLLM for what is plain."""

    def __init__(self, folder: Path, max_length: int) -> None:
        super().__init__(folder, max_length)
        from lm_eval.models.vllm_causallms import VLLM

        self.vllm = VLLM(
            pretrained=str(folder), max_model_len=max_length, batch_size="auto", gpu_memory_utilization=GPU_MEMORY
        )
        self.vllm.tok_encode = self._encode

    def _encode(self, string: str | list[str], *args: Any, **kwargs: Any) -> Any:
        """Ids of a text or of several, as lm-eval's class asks for them."""
        return self.tok_encode(string) if isinstance(string, str) else [self.tok_encode(text) for text in string]

    def _score(self, pairs: list[Pair]) -> list[tuple[float, bool]]:
        short = [i for i, pair in enumerate(pairs) if len(pair[0]) + len(pair[1]) < self.max_length]
        long = sorted(set(range(len(pairs))) - set(short))
        requests = [(None, list(pairs[i][0]), list(pairs[i][1])) for i in short]
        answers = dict(zip(short, self.vllm._loglikelihood_tokens(requests, disable_tqdm=True), strict=True))
        if long:
            answers |= dict(zip(long, super()._score([pairs[i] for i in long]), strict=True))
        return [answers[i] for i in range(len(pairs))]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        arguments = [read_arguments(request.args[1]) for request in requests]
        plain = [i for i, given in enumerate(arguments) if not given.template and not given.temperature]
        other = [i for i in range(len(requests)) if i not in set(plain)]
        asked = [
            _Request(
                (
                    requests[i].args[0],
                    {
                        "until": list(arguments[i].until),
                        "max_gen_toks": arguments[i].max_tokens,
                        "do_sample": False,
                    },
                )
            )
            for i in plain
        ]
        answers = dict(zip(plain, self.vllm.generate_until(asked, disable_tqdm=True) if asked else [], strict=True))
        if other:
            answers |= dict(zip(other, super().generate_until([requests[i] for i in other]), strict=True))
        return [answers[i] for i in range(len(requests))]
