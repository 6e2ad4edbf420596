"""Continuations of prompts: greedy or sampled, in batches whose make-up decides nothing but rounding.

A sampled token is the one at which the cumulative probability passes a number between 0 and 1 that is a digest of the seed,
the prompt, the sample's number and the token's position: neither batch, order, thread nor device has a part in it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from lm_eval.models.utils import normalize_gen_kwargs
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from eval_jobs.network import Cache, Network, layers_of

KNOWN = ("until", "max_gen_toks", "do_sample", "temperature", "top_p", "seed", "template")
SHORTEST_BEGINNING = 16
# A stop string is looked for in so many tokens more than it has bytes.
SLACK = 4
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Arguments:
    """How a prompt is continued. ``temperature`` 0 takes the likeliest token; ``top_p`` keeps the likeliest tokens whose
    probabilities add up to it (Holtzman et al. 2020, arXiv 1904.09751, section 3.1). ``template`` tells that the markers at
    the prompt's ends are special tokens.
    """

    until: tuple[str, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    template: bool


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt, and a digest that tells it, its sample and the seed apart from all others."""

    ids: tuple[int, ...]
    key: bytes


def read_arguments(given: dict[str, Any]) -> Arguments:
    """lm-eval's ``generation_kwargs``, with its defaults and other names for ``max_gen_toks``. Raises ValueError."""
    known: dict[str, Any] = dict(normalize_gen_kwargs(given))
    if unknown := sorted(set(known) - set(KNOWN)):
        raise ValueError(f"generation_kwargs has {', '.join(unknown)}; allowed are {', '.join(KNOWN)}.")
    temperature, top_p = float(known.get("temperature", 1.0)), float(known.get("top_p", 1.0))
    if temperature < 0 or not 0 < top_p <= 1 or known["max_gen_toks"] < 1:
        raise ValueError(
            f"generation_kwargs has temperature {temperature}, top_p {top_p} and max_gen_toks {known['max_gen_toks']}; "
            "the first is 0 or more, the second above 0 and at most 1, the third 1 or more."
        )
    return Arguments(
        until=tuple(stop for stop in known["until"] if stop),
        max_tokens=known["max_gen_toks"],
        temperature=temperature if known["do_sample"] else 0.0,
        top_p=top_p,
        seed=int(known.get("seed", 0)),
        template=bool(known.get("template", False)),
    )


def prompt_key(prompt: str, sample: int, seed: int) -> bytes:
    """What makes a sample's random numbers its own."""
    return hashlib.sha256(f"{seed}\0{sample}\0{prompt}".encode(errors="surrogatepass")).digest()


def uniform(key: bytes, position: int) -> float:
    """A number of 53 bits in [0, 1)."""
    digest = hashlib.blake2b(position.to_bytes(8, "little"), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2**53


def cut(text: str, until: Sequence[str]) -> str:
    """A text up to the first stop string, as lm-eval cuts it: each string in turn cuts what the one before has left."""
    for stop in until:
        text = text.split(stop, maxsplit=1)[0]
    return text


def generate(
    network: Network,
    tokenizer: Tokenizer,
    ends: frozenset[int],
    prompts: Sequence[Prompt],
    arguments: Arguments,
    rows_at_once: int,
    share_out: Callable[[Callable[[list[int]], list[str]], list[list[int]]], list[list[str]]],
) -> list[str]:
    """The continuation of each prompt, up to one of the tokens ``ends``, a stop string, or ``max_tokens``.

    Prompts of a batch are at most ``rows_at_once``; what all prompts begin with is read once.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i].ids), prompts[i].ids))
    batches = [order[i : i + rows_at_once] for i in range(0, len(order), rows_at_once)]
    beginning = _beginning([prompt.ids for prompt in prompts]) if len(batches) > 1 else 0
    before: Cache | None = None
    if beginning:
        with torch.inference_mode():
            before = _read_beginning(network, prompts[0].ids[:beginning], None)

    def work(batch: list[int]) -> list[str]:
        found = _generate(network, tokenizer, ends, [prompts[i] for i in batch], arguments, before)
        return [cut(tokenizer.decode(ids, skip_special_tokens=True), arguments.until) for ids in found]

    texts = [""] * len(prompts)
    for batch, answers in zip(batches, share_out(work, batches), strict=True):
        for i, text in zip(batch, answers, strict=True):
            texts[i] = text
    return texts


def _beginning(texts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all texts begin with, without the last of the shortest; 0 where that is not worth a reading."""
    first, last = min(texts), max(texts)  # all others stand between the two
    length = min(len(text) for text in texts) - 1
    common = next((i for i in range(length) if first[i] != last[i]), length)
    return common if common >= SHORTEST_BEGINNING else 0


def _read_beginning(network: Network, ids: tuple[int, ...], before: Cache | None) -> Cache:
    """Keys and values [1, heads, tokens, size] of each layer of ``ids``, of which ``before`` holds the first."""
    cache = DynamicCache(before) if before else DynamicCache()
    start = before[0][0].shape[2] if before else 0
    if start < len(ids):
        network.read_last(torch.tensor([ids[start:]]), torch.ones(1, len(ids), dtype=torch.long), cache)
    return layers_of(cache)


def _generate(
    network: Network,
    tokenizer: Tokenizer,
    ends: frozenset[int],
    prompts: list[Prompt],
    arguments: Arguments,
    before: Cache | None,
) -> list[list[int]]:
    """Token ids that continue each prompt, without the token that ends it."""
    texts = sorted({prompt.ids for prompt in prompts})
    start = _beginning(texts) if len(prompts) > 1 else 0
    read = before[0][0].shape[2] if before else 0
    if start > read:
        before = _read_beginning(network, texts[0][:start], before)
    start = max(start, read)
    cache = DynamicCache(
        [(k.expand(len(texts), -1, -1, -1), v.expand(len(texts), -1, -1, -1)) for k, v in before or []]
    )
    rest = [torch.tensor(text[start:]) for text in texts]
    width = max(len(row) for row in rest)
    ids = pad_sequence(rest, batch_first=True, padding_side="left")
    mask = torch.ones(len(texts), start + width, dtype=torch.long)
    for row_mask, suffix in zip(mask, rest, strict=True):
        row_mask[start : start + width - len(suffix)] = 0
    logits = network.read_last(ids, mask, cache)
    # Every sample of a prompt goes on from one reading of it.
    place = {text: i for i, text in enumerate(texts)}
    rows = torch.tensor([place[prompt.ids] for prompt in prompts])
    logits, mask = logits[rows.to(logits.device)], mask[rows]
    cache.batch_select_indices(rows.to(logits.device))

    generated: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    for position in range(arguments.max_tokens):
        draws = [uniform(prompts[i].key, position) for i in active] if arguments.temperature else []
        tokens = choose(logits, arguments.temperature, arguments.top_p, draws)
        kept = []
        for row, (i, token) in enumerate(zip(active, tokens, strict=True)):
            if token not in ends:
                generated[i].append(token)
                if not _stopped(tokenizer, generated[i], arguments.until):
                    kept.append(row)
        if not kept or position + 1 == arguments.max_tokens:
            break
        if len(kept) < len(active):
            rows = torch.tensor(kept)
            cache.batch_select_indices(rows.to(logits.device))
            mask, active = mask[rows], [active[row] for row in kept]
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
        logits = network.read_last(torch.tensor([[tokens[row]] for row in kept]), mask, cache)
    return generated


def choose(logits: torch.Tensor, temperature: float, top_p: float, draws: Sequence[float]) -> list[int]:
    """The next token of each row of ``logits`` [rows, vocabulary]; ``draws`` holds a number in [0, 1) for each row.

    With ``temperature`` 0 the likeliest, and no number is needed.
    """
    if not temperature:
        greedy: list[int] = logits.argmax(dim=-1).tolist()
        return greedy
    shares = torch.softmax(logits.double() / temperature, dim=-1)
    order = None
    if top_p < 1:
        shares, order = shares.sort(dim=-1, descending=True, stable=True)
        shares = shares.masked_fill(shares.cumsum(dim=-1) - shares >= top_p, 0.0)
    sums = shares.cumsum(dim=-1)
    wanted = torch.tensor(draws, dtype=torch.float64, device=logits.device)[:, None] * sums[:, -1:]
    found = torch.searchsorted(sums, wanted, right=True)
    # Rounding may carry the product up to the whole sum, behind which there is no token.
    found = torch.minimum(found, torch.searchsorted(sums, sums[:, -1:].contiguous()))
    chosen: list[int] = (found if order is None else order.gather(1, found))[:, 0].tolist()
    return chosen


def _stopped(tokenizer: Tokenizer, ids: list[int], until: Sequence[str]) -> bool:
    """Whether the end of a continuation holds a stop string."""
    if not until:
        return False
    # A token that is not special gives at least one byte.
    tail = tokenizer.decode(ids[-max(len(stop.encode()) for stop in until) - SLACK :], skip_special_tokens=True)
    return any(stop in tail for stop in until)
