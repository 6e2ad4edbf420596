"""A Hugging Face checkpoint behind lm-eval's model interface.

It gives the numbers of lm-eval's own ``HFLM`` (the tests compare the two) with these differences: text is always
ordinary bytes, never special tokens; a context that several choices share is read once; logits are taken at scored
positions only.

Conditioning: training packs documents, each ended by the end-of-document token, so a document's first token is scored
given that token (``prefix_token_id``), and the token itself is never scored. A prompt has nothing before it.

On a CPU the batches are shared out to a few threads that compute with one core each: for small models that is faster
than two cores working on one operation, and other work on the machine slows it down less.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, GenerationConfig

from eval_jobs.bloom import use_fused_kernels

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
# Batches are the same however many threads work on them, and so are scores. More at once is slower on a CPU's caches.
TOKENS_AT_ONCE = {"cpu": 512, "cuda": 16_384}
PROMPTS_AT_ONCE = {"cpu": 20, "cuda": 64}
# Logits of this many positions are made at a time: [512, vocabulary] does not fit a CPU's caches.
LOGITS_AT_ONCE = 128
CPU_WORKERS = 2

Window = tuple[int, list[int], list[int]]
In = TypeVar("In")
Out = TypeVar("Out")


class CheckpointLM(TemplateLM):
    """The checkpoint in ``folder`` (config.json, model.safetensors, tokenizer.json), in float32 on a CPU.

    ``max_length`` is the number of tokens the model reads at most. ``tokens_at_once`` and ``prompts_at_once`` bound a
    batch of texts and of prompts; they change scores only by rounding. Runs on the first GPU where there is one, in the
    checkpoint's own data type. Raises ValueError when the configuration lacks what scoring needs.
    """

    def __init__(
        self, folder: Path, max_length: int, tokens_at_once: int | None = None, prompts_at_once: int | None = None
    ) -> None:
        super().__init__()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        load: Callable[..., Any] = AutoModelForCausalLM.from_pretrained
        self.model = load(
            str(folder),
            dtype=torch.float32 if self._device.type == "cpu" else "auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        self.model.to(self._device).eval()
        if self.model.config.model_type == "bloom":
            use_fused_kernels(self.model)
        self.body = self.model.base_model
        self.head = self.model.get_output_embeddings()
        self.text_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # Text that spells a special token is text: without this, "</s>" in a document becomes the end of the document.
        self.text_tokenizer.encode_special_tokens = True
        end = self.model.config.eos_token_id
        if not isinstance(end, int):
            raise ValueError(f"config.json of the checkpoint has eos_token_id {end!r}; it must be one token's id.")
        self.end_of_document = end
        self.max_length = max_length
        self.tokens_at_once = tokens_at_once or TOKENS_AT_ONCE[self._device.type]
        self.prompts_at_once = prompts_at_once or PROMPTS_AT_ONCE[self._device.type]
        self._last_encoded: tuple[str, list[int]] = ("", [])

    @property
    def eot_token_id(self) -> int:
        return self.end_of_document

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Ids of ``string`` as ordinary text; no special token is added or recognised."""
        if self._last_encoded[0] != string:  # lm-eval encodes a context anew for each of its choices
            self._last_encoded = (string, self.text_tokenizer.encode(string, add_special_tokens=False).ids)
        return list(self._last_encoded[1])

    def encode_prompt(self, prompt: str) -> list[int]:
        """Ids of a prompt of the pair template: the two markers at its ends become special ids, all between is text."""
        if not (prompt.startswith(USER) and prompt.endswith(ASSISTANT)):
            raise ValueError(f"The prompt {prompt!r:.80} does not begin with {USER} and end with {ASSISTANT}.")
        user, assistant = (self.text_tokenizer.token_to_id(marker) for marker in (USER, ASSISTANT))
        if user is None or assistant is None:
            raise ValueError(f"The checkpoint's tokenizer lacks {USER} or {ASSISTANT}, which the pair template needs.")
        return [user, *self.tok_encode(prompt[len(USER) : -len(ASSISTANT)]), assistant]

    # Log-likelihoods

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """Log-likelihood of each (context, continuation), tokenized as one text; see ``_loglikelihood_tokens``."""
        answers: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return answers

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihood (natural logarithm) of each continuation and whether greedy decoding gives it.

        Contexts that are too long lose tokens on their left. Requests of one context share the reading of it.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, (_, context, continuation) in enumerate(requests):
            if not 0 < len(continuation) <= self.max_length:
                raise ValueError(f"A choice has {len(continuation)} tokens; it must have 1 to {self.max_length}.")
            groups.setdefault(tuple(context[-(self.max_length + 1 - len(continuation)) :]), []).append(i)
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        scored = self._share_out(
            lambda group: self._score_choices(group[0], [requests[i][2] for i in group[1]]), list(groups.items())
        )
        for members, group_answers in zip(groups.values(), scored, strict=True):
            for i, answer in zip(members, group_answers, strict=True):
                answers[i] = answer
        return answers

    def _score_choices(self, context: Sequence[int], choices: list[list[int]]) -> list[tuple[float, bool]]:
        longest = max(len(choice) for choice in choices)
        read = self.body(input_ids=self._tensor([context]), use_cache=longest > 1)
        logits = self.head(read.last_hidden_state[:, -1:]).float().expand(len(choices), -1, -1)
        if longest > 1:
            cache = read.past_key_values
            cache.batch_repeat_interleave(len(choices))
            # Padding stands to the right of all that is scored, so causal attention never sees it.
            rest = self._padded([choice[:-1] for choice in choices])
            mask = torch.ones(len(choices), len(context) + rest.shape[1], dtype=torch.long, device=self._device)
            hidden = self.body(input_ids=rest, past_key_values=cache, attention_mask=mask).last_hidden_state
            logits = torch.cat([logits, self.head(hidden).float()], dim=1)
        targets = self._padded(choices)
        losses = cross_entropy(logits.transpose(1, 2), targets, reduction="none").double()
        hits = logits.argmax(dim=-1) == targets
        return [
            (-float(losses[i, : len(choice)].sum()), bool(hits[i, : len(choice)].all()))
            for i, choice in enumerate(choices)
        ]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood (natural logarithm) of whole texts, in lm-eval's windows of ``max_length`` tokens.

        Every token is scored once; the last window of a text reaches back to be full.
        """
        windows = [
            (i, *make_disjoint_window(window))
            for i, request in enumerate(requests)
            for window in get_rolling_token_windows(
                self.tok_encode(request.args[0]), self.prefix_token_id, self.max_length, context_len=1
            )
        ]
        windows.sort(key=lambda window: -len(window[1]) - len(window[2]))
        batches: list[list[Window]] = []
        for window in windows:
            longest = len(batches[-1][0][1]) + len(batches[-1][0][2]) if batches else 0
            if not batches or (len(batches[-1]) + 1) * longest > self.tokens_at_once:
                batches.append([])
            batches[-1].append(window)
        totals = [0.0] * len(requests)
        for batch, scored in zip(batches, self._share_out(self._score_windows, batches), strict=True):
            for (i, _, _), log_likelihood in zip(batch, scored, strict=True):
                totals[i] += log_likelihood
        return totals

    def _score_windows(self, batch: list[Window]) -> list[float]:
        inputs = [(context + scored)[:-1] for _, context, scored in batch]
        hidden = self.body(input_ids=self._padded(inputs), use_cache=False).last_hidden_state
        log_likelihoods = []
        for row, (_, _, scored), tokens in zip(hidden, batch, inputs, strict=True):
            rows = row[len(tokens) - len(scored) : len(tokens)].split(LOGITS_AT_ONCE)
            targets = self._tensor(scored).split(LOGITS_AT_ONCE)
            losses = [
                cross_entropy(self.head(some).float(), wanted, reduction="none")
                for some, wanted in zip(rows, targets, strict=True)
            ]
            log_likelihoods.append(-float(torch.cat(losses).double().sum()))
        return log_likelihoods

    # Generation

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy continuations of pair-template prompts, up to the end of the document or one of the strings ``until``.

        All requests share the generation arguments of the first: ``max_gen_toks`` and ``until``.
        """
        arguments = requests[0].args[1]
        until: list[str] = arguments["until"]
        room = self.max_length - arguments["max_gen_toks"]
        if room < 2:
            raise ValueError(
                f"max_new_tokens {arguments['max_gen_toks']} leaves {room} of {self.max_length} tokens to the prompt."
            )
        tokens = range(self.text_tokenizer.get_vocab_size())
        stops = [t for t, text in zip(tokens, self._decode_each(tokens), strict=True) if any(s in text for s in until)]
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=arguments["max_gen_toks"],
            eos_token_id=[self.end_of_document, *stops],
            pad_token_id=self.end_of_document,
        )
        prompts = [self.encode_prompt(request.args[0])[-room:] for request in requests]
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        batches = [order[i : i + self.prompts_at_once] for i in range(0, len(order), self.prompts_at_once)]
        generated = self._share_out(lambda batch: self._generate([prompts[i] for i in batch], config), batches)
        texts = [""] * len(requests)
        for batch, rows in zip(batches, generated, strict=True):
            for i, ids in zip(batch, rows, strict=True):
                texts[i] = self._decode(ids, until)
        return texts

    def _generate(self, prompts: list[list[int]], config: GenerationConfig) -> list[list[int]]:
        inputs = self._padded(prompts, side="left")
        mask = self._padded([[1] * len(prompt) for prompt in prompts], value=0, side="left")
        output = self.model.generate(input_ids=inputs, attention_mask=mask, generation_config=config)
        rows: list[list[int]] = output[:, inputs.shape[1] :].tolist()
        return rows

    def _decode(self, ids: list[int], until: list[str]) -> str:
        end = ids.index(self.end_of_document) if self.end_of_document in ids else len(ids)
        text = self.text_tokenizer.decode(ids[:end], skip_special_tokens=True)
        for stop in until:
            text = text.split(stop)[0]
        return text

    def _decode_each(self, tokens: Sequence[int]) -> list[str]:
        return self.text_tokenizer.decode_batch([[token] for token in tokens], skip_special_tokens=True)

    # Tensors

    def _tensor(self, values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _padded(self, rows: list[list[int]], value: int | None = None, side: str = "right") -> torch.Tensor:
        """int64 [rows, longest row], padded with the end-of-document token or ``value``."""
        padding = self.end_of_document if value is None else value
        return pad_sequence([self._tensor(r) for r in rows], batch_first=True, padding_value=padding, padding_side=side)

    # Threads

    def _share_out(self, function: Callable[[In], Out], batches: list[In]) -> list[Out]:
        """``function`` of each batch, in order, without gradients."""

        def work(batch: In) -> Out:
            torch.set_num_threads(1)  # holds for the calling thread only
            with torch.inference_mode():
                return function(batch)

        if self._device.type != "cpu":
            with torch.inference_mode():
                return [function(batch) for batch in batches]
        with ThreadPoolExecutor(CPU_WORKERS) as workers:
            return list(workers.map(work, batches))
