"""Log-likelihoods of continuations, each token of what texts have in common read once.

Sorted texts with a long common beginning (the same shots before every question of a subject) become a share: its beginning is
read once and kept as keys and values, and the rest of its texts is read after it in packs, trees of at most so many tokens (see
``network``). Scores differ from those of texts read one by one by rounding alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from eval_jobs.network import LOGITS_AT_ONCE, Cache, Network

Pair = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context, at least one, and of its continuation, at least one."""
Answer = tuple[float, bool]

# A shorter beginning is not worth a reading of its own.
SHORTEST_BEGINNING = 32
# Packs that one worker reads after one reading of their beginning, so that workers have something to share out.
PACKS_PER_SHARE = 16


@dataclass
class Share:
    """Texts (their numbers) that begin with the same ``beginning`` tokens, in packs."""

    beginning: int
    packs: list[list[int]] = field(default_factory=list)


Job = Share | list[int]
ShareOut = Callable[[Callable[[Job], list[tuple[int, Answer]]], list[Job]], list[list[tuple[int, Answer]]]]
"""Gives a function's results for jobs, in their order."""


def score_pairs(network: Network, pairs: Sequence[Pair], tokens_at_once: int, share_out: ShareOut) -> list[Answer]:
    """Log-likelihood (natural logarithm) of each continuation after its context, and whether greedy decoding gives it.

    A pack, or a padded batch, has at most ``tokens_at_once`` tokens unless one text alone has more.
    """
    of_text: dict[tuple[int, ...], list[int]] = {}
    for i, (context, continuation) in enumerate(pairs):
        of_text.setdefault((*context, *continuation[:-1]), []).append(i)
    texts = sorted(of_text)
    members = [of_text[text] for text in texts]
    arrays = [np.array(text, dtype=np.int64) for text in texts]
    answers: list[Answer] = [(0.0, False)] * len(pairs)

    def score(job: Job) -> list[tuple[int, Answer]]:
        if isinstance(job, Share):
            return list(_score_share(network, job, arrays, members, pairs))
        return list(_score_batch(network, job, arrays, members, pairs))

    jobs: Sequence[Job]
    contexts = [min(len(pairs[i][0]) for i in group) for group in members]
    jobs = _shares(arrays, contexts, tokens_at_once) if network.packs else _batches(arrays, tokens_at_once)
    for scored in share_out(score, list(jobs)):
        for i, answer in scored:
            answers[i] = answer
    return answers


# Planning


def _common(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two texts have in common at their beginning."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length


def _clusters(texts: list[np.ndarray], contexts: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Neighbours among sorted texts with a common beginning, cut where one more context would save less than it costs.

    ``contexts``: the length of each text's shortest context. Texts of one context are never parted.
    """
    beginning, cluster, distinct = 0, list[int](), 0
    for i, text in enumerate(texts):
        common = _common(text, texts[cluster[0]][:beginning]) if cluster else len(text)
        again = bool(cluster) and _common(text, texts[i - 1]) >= min(contexts[i], contexts[i - 1])
        if cluster and not again:
            saved = beginning * (distinct - 1)
            if common < SHORTEST_BEGINNING or common * distinct < saved:
                yield beginning, cluster
                cluster, distinct, common = [], 0, len(text)
        beginning = common
        distinct += not again
        cluster.append(i)
    if cluster:
        yield beginning, cluster


def _packs(texts: list[np.ndarray], numbers: list[int], beginning: int, tokens_at_once: int) -> list[list[int]]:
    """Texts in packs; ``beginning`` tokens of each are read before."""
    packs: list[list[int]] = []
    tokens = 0
    for i in numbers:
        new = len(texts[i]) - (max(_common(texts[packs[-1][-1]], texts[i]), beginning) if packs else beginning)
        if not packs or tokens + new > tokens_at_once:
            packs.append([])
            tokens, new = 0, len(texts[i]) - beginning
        packs[-1].append(i)
        tokens += new
    return packs


def _shares(texts: list[np.ndarray], contexts: list[int], tokens_at_once: int) -> list[Share]:
    """All texts in shares, the longest work first. What fits into a pack as a whole needs no beginning of its own."""
    shares, loose = [], list[int]()
    for beginning, cluster in _clusters(texts, contexts):
        tree = _tree_size(texts, cluster)
        if len(cluster) == 1 or tree <= tokens_at_once:
            loose += cluster
            continue
        if tree <= 1.5 * beginning:
            # Little but the beginning itself: one reading of all costs less than two.
            shares.append(Share(0, [cluster]))
            continue
        # The last token of a text is read with the rest of it, so that there is something to score.
        start = min(beginning, min(len(texts[i]) for i in cluster) - 1)
        packs = _packs(texts, cluster, start, tokens_at_once)
        shares += [Share(start, packs[i : i + PACKS_PER_SHARE]) for i in range(0, len(packs), PACKS_PER_SHARE)]
    shares += [Share(0, [pack]) for pack in _packs(texts, loose, 0, tokens_at_once)]
    return sorted(shares, key=lambda share: -share.beginning - sum(_tree_size(texts, pack) for pack in share.packs))


def _tree_size(texts: list[np.ndarray], numbers: list[int]) -> int:
    """Tokens of the tree of some texts."""
    size = len(texts[numbers[0]])
    return size + sum(len(texts[i]) - _common(texts[before], texts[i]) for before, i in pairwise(numbers))


def _batches(texts: list[np.ndarray], tokens_at_once: int) -> list[list[int]]:
    """Texts of about the same length in batches, the longest first."""
    batches: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lambda i: -len(texts[i])):
        if not batches or (len(batches[-1]) + 1) * len(texts[batches[-1][0]]) > tokens_at_once:
            batches.append([])
        batches[-1].append(i)
    return batches


# Reading


def _score_share(
    network: Network, share: Share, texts: list[np.ndarray], members: list[list[int]], pairs: Sequence[Pair]
) -> Iterator[tuple[int, Answer]]:
    before: Cache | None = None
    start = share.beginning
    # A context may end within the beginning where its continuations are long; what is scored there needs it too.
    first = min(len(pairs[i][0]) for pack in share.packs for text in pack for i in members[text]) - 1
    beginning: torch.Tensor | None = None
    if start:
        ids = torch.from_numpy(texts[share.packs[0][0]][:start])
        sees = torch.ones(start, start, dtype=torch.bool).tril_()
        hidden, before = network.read_pack(ids, torch.arange(start), sees, keep=True)
        beginning = hidden[min(first, start) :]
    for pack in share.packs:
        ids, depths, sees, nodes = _tree(texts, pack, start)
        hidden, _ = network.read_pack(ids, depths, sees, before)
        if beginning is not None and len(beginning):
            # Rows of the beginning come first; nodes of the pack move up by them.
            hidden = torch.cat([beginning, hidden])
        shift = 0 if beginning is None else len(beginning)
        yield from _answers(network, hidden, shift, start, pack, nodes, members, pairs)


def _tree(
    texts: list[np.ndarray], pack: list[int], start: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[np.ndarray]]:
    """Ids and depths [tokens] of the tree of the texts from token ``start`` on, what each token sees, bool [tokens,
    tokens], and for each text its path, the numbers of its tokens in the tree.
    """
    paths: list[np.ndarray] = []
    ids: list[np.ndarray] = []
    size = 0
    for number, i in enumerate(pack):
        shared = _common(texts[pack[number - 1]], texts[i]) - start if number else 0
        new = len(texts[i]) - start - shared
        path = np.concatenate([paths[-1][:shared] if number else paths[:0], np.arange(size, size + new)])
        paths.append(path.astype(np.int64))
        ids.append(texts[i][start + shared :])
        size += new
    sees = np.zeros((size, size), dtype=bool)
    depths = np.zeros(size, dtype=np.int64)
    done = 0
    for path in paths:
        depths[path] = np.arange(start, start + len(path))
        fresh = path[path >= done]
        sees[np.ix_(fresh, path[: len(path) - len(fresh)])] = True
        sees[done : done + len(fresh), done : done + len(fresh)] = np.tri(len(fresh), dtype=bool)
        done += len(fresh)
    return torch.from_numpy(np.concatenate(ids)), torch.from_numpy(depths), torch.from_numpy(sees), paths


def _answers(
    network: Network,
    hidden: torch.Tensor,
    shift: int,
    start: int,
    pack: list[int],
    paths: list[np.ndarray],
    members: list[list[int]],
    pairs: Sequence[Pair],
) -> Iterator[tuple[int, Answer]]:
    """Answers of a pack: ``hidden`` has ``shift`` rows of the end of the beginning, and then those of the pack's tree."""
    rows, targets, numbers = [], [], []
    for text, path in zip(pack, paths, strict=True):
        # The row of the token at each position of the text, as far back as there are rows.
        row = np.concatenate([np.arange(shift), path + shift])
        for i in members[text]:
            context, continuation = pairs[i]
            first = len(context) - 1 - (start - shift)
            rows.append(row[first : first + len(continuation)])
            targets.append(np.asarray(continuation, dtype=np.int64))
            numbers.append(i)
    asked, place = np.unique(np.concatenate(rows), return_inverse=True)
    losses, hits = _losses(network, hidden[torch.from_numpy(asked).to(network.device)], place, np.concatenate(targets))
    ends = np.cumsum([len(row) for row in rows])
    for i, begin, end in zip(numbers, [0, *ends[:-1]], ends, strict=True):
        yield i, (-float(losses[begin:end].sum()), bool(hits[begin:end].all()))


def _losses(
    network: Network, hidden: torch.Tensor, place: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """-log p of each target, float64 [targets], and whether it is the likeliest token.

    ``hidden`` [positions, hidden]; target ``i`` is scored at position ``place[i]``.
    """
    losses, hits = np.zeros(len(targets)), np.zeros(len(targets), dtype=bool)
    order = np.argsort(place, kind="stable")
    for begin in range(0, len(hidden), LOGITS_AT_ONCE):
        logits = network.logits(hidden[begin : begin + LOGITS_AT_ONCE])
        here = order[np.searchsorted(place[order], begin) : np.searchsorted(place[order], begin + len(logits))]
        at = torch.from_numpy(place[here] - begin).to(network.device)
        wanted = torch.from_numpy(targets[here]).to(network.device)
        losses[here] = (logits.logsumexp(dim=-1)[at] - logits[at, wanted]).double().cpu().numpy()
        hits[here] = (logits.argmax(dim=-1)[at] == wanted).cpu().numpy()
    return losses, hits


def _score_batch(
    network: Network, batch: list[int], texts: list[np.ndarray], members: list[list[int]], pairs: Sequence[Pair]
) -> Iterator[tuple[int, Answer]]:
    # Padding stands to the right of all that is scored, so causal attention never sees it.
    logits = network.read_batch(pad_sequence([torch.from_numpy(texts[i]) for i in batch], batch_first=True))
    for row, text in zip(logits, batch, strict=True):
        for i in members[text]:
            context, continuation = pairs[i]
            scored = row[len(context) - 1 : len(texts[text])]
            wanted = torch.tensor(continuation, device=scored.device)
            losses = scored.logsumexp(dim=-1) - scored.gather(1, wanted[:, None])[:, 0]
            yield i, (-float(losses.double().sum()), bool((scored.argmax(dim=-1) == wanted).all()))
