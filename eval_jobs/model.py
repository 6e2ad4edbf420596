"""A Hugging Face checkpoint behind lm-eval's model interface.

It gives the numbers of lm-eval's own ``HFLM`` (the tests compare the two) with these differences: text is always
ordinary bytes, never special tokens, whether the model reads or writes it; what texts begin with alike is read once; logits
are made at scored positions only; a sample does not depend on what else is generated.

Conditioning: training packs documents, each ended by the end-of-document token, so a document's first token is scored
given that token (``prefix_token_id``), and the token itself is never scored. A prompt has nothing before it. A checkpoint
whose tokenizer begins every text with a token of its own (Llama's ``<s>``) is read with that token instead.

On a CPU the batches are shared out to a few threads that compute with their share of the cores: for small models that is
faster than all cores working on one operation, and other work on the machine slows it down less.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tokenizers import Tokenizer
from transformers import AutoConfig

from assets.lake.machine import cores
from eval_jobs.generation import Prompt, generate, prompt_key, read_arguments
from eval_jobs.network import Network
from eval_jobs.reader import Pair, score_pairs

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
GIVEN_FIRST_TOKEN = "given first token"
"""As the second argument of ``loglikelihood_rolling``: nothing stands before the text, and its first token is not scored."""
# What is read at once changes scores by rounding alone. More at once is slower on a CPU's caches.
TOKENS_AT_ONCE = {"cpu": 512, "cuda": 4096}
PROMPTS_AT_ONCE = {"cpu": 20, "cuda": 64}
# Keys and values that the prompts of a batch may take.
CACHE_BYTES = {"cpu": 2**30, "cuda": 8 * 2**30}
CPU_WORKERS = 2

In = TypeVar("In")
Out = TypeVar("Out")


class CheckpointLM(TemplateLM):
    """The checkpoint in ``folder`` (config.json, model.safetensors, tokenizer.json), in float32 on a CPU.

    ``max_length`` is the number of tokens the model reads at most. ``tokens_at_once`` and ``prompts_at_once`` bound a
    batch of texts and of prompts; they change scores only by rounding. Runs on the first GPU where there is one, in the
    checkpoint's own data type. Raises ValueError when the folder lacks what scoring needs.
    """

    def __init__(
        self, folder: Path, max_length: int, tokens_at_once: int | None = None, prompts_at_once: int | None = None
    ) -> None:
        super().__init__()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if not (folder / "tokenizer.json").is_file():
            raise ValueError(
                f"{folder} has no tokenizer.json, which a checkpoint needs beside config.json and weights."
            )
        self.folder = folder
        self.text_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # Text that spells a special token is text: without this, "</s>" in a document becomes the end of the document.
        self.text_tokenizer.encode_special_tokens = True
        load: Callable[..., Any] = AutoConfig.from_pretrained
        config = load(str(folder), local_files_only=True, trust_remote_code=False)
        highest = max(self.text_tokenizer.get_vocab(with_added_tokens=False).values(), default=0)
        if highest >= getattr(config, "vocab_size", highest + 1):
            raise ValueError(
                f"tokenizer.json of {folder} has ids up to {highest}, and the network knows {config.vocab_size} (vocab_size in "
                "config.json); the two do not belong together."
            )
        self.ends = _ends(folder, config)
        self.end_of_document = self.ends[0]
        # What a tokenizer puts before a text of its own accord, the model has seen before every text.
        before = self.text_tokenizer.encode("", add_special_tokens=True).ids
        self.begin_of_text: int | None = before[0] if before else None
        self.max_length = max_length
        self.tokens_at_once = tokens_at_once or TOKENS_AT_ONCE[self._device.type]
        self.prompts_at_once = prompts_at_once or PROMPTS_AT_ONCE[self._device.type]
        self._last_encoded: tuple[str, bool, list[int]] = ("", True, list(before))

    @cached_property
    def network(self) -> Network:
        """The network, loaded when it is first asked for."""
        return Network(self.folder, self._device, self.max_length)

    @property
    def model(self) -> Any:
        """transformers' model."""
        return self.network.model

    @property
    def eot_token_id(self) -> int:
        return self.end_of_document

    @property
    def prefix_token_id(self) -> int:
        return self.end_of_document if self.begin_of_text is None else self.begin_of_text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Ids of ``string`` as ordinary text: no special token is recognised in it.

        What the tokenizer puts around texts of its own accord is there unless ``add_special_tokens`` is False.
        """
        special = add_special_tokens is not False
        if self._last_encoded[:2] != (string, special):  # lm-eval encodes a context anew for each of its choices
            ids = self.text_tokenizer.encode(string, add_special_tokens=special).ids
            self._last_encoded = (string, special, ids)
        return list(self._last_encoded[2])

    def encode_prompt(self, prompt: str) -> list[int]:
        """Ids of a prompt of the pair template: the two markers at its ends become special ids, all between is text."""
        if not (prompt.startswith(USER) and prompt.endswith(ASSISTANT)):
            raise ValueError(f"The prompt {prompt!r:.80} does not begin with {USER} and end with {ASSISTANT}.")
        user, assistant = (self.text_tokenizer.token_to_id(marker) for marker in (USER, ASSISTANT))
        if user is None or assistant is None:
            raise ValueError(f"The checkpoint's tokenizer lacks {USER} or {ASSISTANT}, which the pair template needs.")
        text = self.tok_encode(prompt[len(USER) : -len(ASSISTANT)], add_special_tokens=False)
        return [user, *text, assistant]

    # Log-likelihoods

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Log-likelihood of each (context, continuation), tokenized as one text; see ``_loglikelihood_tokens``."""
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihood (natural logarithm) of each continuation and whether greedy decoding gives it.

        Contexts that are too long lose tokens on their left.
        """
        pairs: list[Pair] = []
        for _, context, continuation in requests:
            if not 0 < len(continuation) <= self.max_length:
                raise ValueError(f"A choice has {len(continuation)} tokens; it must have 1 to {self.max_length}.")
            pairs.append((context[-(self.max_length + 1 - len(continuation)) :], continuation))
        return self._score(pairs)

    def _score(self, pairs: list[Pair]) -> list[tuple[float, bool]]:
        return score_pairs(self.network, pairs, self.tokens_at_once, self._share_out)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood (natural logarithm) of whole texts, in lm-eval's windows of ``max_length`` tokens.

        Every token is scored once; the last window of a text reaches back to be full.
        """
        windows = [
            (i, make_disjoint_window(window))
            for i, request in enumerate(requests)
            for window in self._windows(*request.args)
        ]
        scored = self._score([pair for _, pair in windows])
        totals = [0.0] * len(requests)
        for (i, _), (log_likelihood, _) in zip(windows, scored, strict=True):
            totals[i] += log_likelihood
        return totals

    def _windows(self, text: str, given: str | None = None) -> Iterator[tuple[list[int], list[int]]]:
        tokens, before = self.tok_encode(text, add_special_tokens=False), self.prefix_token_id
        if given == GIVEN_FIRST_TOKEN and tokens:
            before, *tokens = tokens
        windows: Iterator[tuple[list[int], list[int]]] = get_rolling_token_windows(
            tokens, before, self.max_length, context_len=1
        )
        return windows

    # Generation

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continuations of prompts, up to the end of the document or one of the strings ``until``, which is cut off.

        Each request has arguments of its own: ``until, max_gen_toks, do_sample, temperature, top_p, seed, template``.
        ``template`` tells that the prompt holds the pair template's markers at its ends; else all of it is text. Samples of
        one request (lm-eval's ``repeats``: the same object several times) differ, and depend on the seed, the prompt and
        their number alone; equal prompts of different requests get equal samples.
        """
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(i)
        seen: Counter[int] = Counter()
        texts = [""] * len(requests)
        for members in groups.values():
            arguments = read_arguments(requests[members[0]].args[1])
            room = self.max_length - arguments.max_tokens
            if room < 2:
                raise ValueError(
                    f"max_new_tokens {arguments.max_tokens} leaves {room} of {self.max_length} tokens to the prompt."
                )
            prompts = []
            for i in members:
                prompt = requests[i].args[0]
                ids = self.encode_prompt(prompt) if arguments.template else self.tok_encode(prompt)
                ids = ids[-room:] or [self.prefix_token_id]
                sample = seen[id(requests[i])]
                seen[id(requests[i])] += 1
                prompts.append(Prompt(tuple(ids), prompt_key(prompt, sample, arguments.seed)))
            longest = max(len(prompt.ids) for prompt in prompts) + arguments.max_tokens
            fitting = CACHE_BYTES[self._device.type] // (longest * self.network.cache_bytes_per_token)
            rows_at_once = max(1, min(self.prompts_at_once, fitting))
            answers = generate(
                self.network,
                self.text_tokenizer,
                frozenset(self.ends),
                prompts,
                arguments,
                rows_at_once,
                self._share_out,
            )
            for i, text in zip(members, answers, strict=True):
                texts[i] = text
        return texts

    # Threads

    def _share_out(self, function: Callable[[In], Out], batches: list[In]) -> list[Out]:
        """``function`` of each batch, in order, without gradients."""
        workers = min(CPU_WORKERS, cores()) if self._device.type == "cpu" else 1

        def work(batch: In) -> Out:
            if self._device.type == "cpu":
                torch.set_num_threads(max(1, cores() // workers))  # holds for the calling thread only
            with torch.inference_mode():
                return function(batch)

        # In a thread of their own even where it is one, so that the number of threads stays what it is for others.
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, batches))


def _ends(folder: Path, config: Any) -> list[int]:
    """The tokens that end a document, the first of which stands before a text. Raises ValueError where there is none."""
    found = [getattr(config, "eos_token_id", None)]
    if (folder / "generation_config.json").is_file():
        found.append(json.loads((folder / "generation_config.json").read_text("utf-8")).get("eos_token_id"))
    tokens = [token for value in found for token in (value if isinstance(value, list) else [value])]
    ends = [token for token in dict.fromkeys(tokens) if isinstance(token, int)]
    if not ends:
        raise ValueError("config.json of the checkpoint has no eos_token_id; it must name the token that ends a text.")
    return ends
