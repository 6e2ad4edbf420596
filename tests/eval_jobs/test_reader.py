"""Log-likelihoods do not depend on what is read together: against texts read one by one, for all architectures that pack.

Tolerance: float32 keeps 24 bits, and sums over 32 hidden values, a few dozen keys and 320 logits are taken in another order.
A log-likelihood of some tens of nats is then off by some 1e-5; 1e-4 leaves room and is far from what tells choices apart.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_jobs.model import CheckpointLM
from eval_jobs.network import PACKED, Network
from eval_jobs.reader import Share, _clusters, _packs, _shares, _tree, score_pairs
from tests.eval_jobs.checkpoints import write_random

TOLERANCE = 1e-4
LENGTH = 128
MORE: dict[str, Any] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": None},
}
MORE |= {kind: {"num_key_value_heads": 2, "head_dim": 8} for kind in ("qwen2", "qwen3")}
MORE["opt"] = {"ffn_dim": 64, "word_embed_proj_dim": 32}


def in_turn(function: Any, jobs: list[Any]) -> list[Any]:
    with torch.inference_mode():
        return [function(job) for job in jobs]


def random_pairs(seed: int, vocabulary: int = 320) -> list[tuple[list[int], list[int]]]:
    """Subjects with long shots, items of each with several choices, some of one token; texts of their own; one twice."""
    rng = np.random.default_rng(seed)

    def some(low: int, high: int) -> list[int]:
        return rng.integers(24, vocabulary, size=rng.integers(low, high)).tolist()

    pairs = []
    for _ in range(2):
        shots = some(40, 60)
        for _ in range(6):
            context = shots + some(3, 20)
            choices = [some(1, 2) for _ in range(3)] if rng.random() < 0.5 else [some(2, 8) for _ in range(3)]
            pairs += [(context, choice) for choice in choices]
    pairs += [([2], some(10, LENGTH)) for _ in range(4)]  # whole texts, scored from their first token on
    pairs += [(pairs[0][0][:45], pairs[0][0][45:]), pairs[0], ([2], [30])]
    return pairs


def direct(network: Network, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """The answer by one pass of transformers' own model over one text."""
    with torch.no_grad():
        logits = network.model(torch.tensor([context + continuation])).logits[0, len(context) - 1 : -1].double()
    wanted = torch.tensor(continuation)
    chosen = torch.log_softmax(logits, dim=-1)[torch.arange(len(wanted)), wanted]
    return float(chosen.sum()), bool((logits.argmax(dim=-1) == wanted).all())


@pytest.fixture(scope="module", params=[*PACKED, "opt"])
def network(request: Any, world: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network of each architecture; OPT does not pack."""
    if request.param == "bloom":
        return Network(world.lake.local(world.refs["tiny"]), torch.device("cpu"), LENGTH)
    folder = tmp_path_factory.mktemp(request.param)
    write_random(folder, tokenizer, request.param, **MORE.get(request.param, {}))
    return Network(folder, torch.device("cpu"), LENGTH)


def test_answers_equal_those_of_texts_read_one_by_one(network: Network) -> None:
    assert network.packs == (network.config.model_type != "opt")
    pairs = random_pairs(0)
    expected = [direct(network, *pair) for pair in pairs]
    for tokens_at_once in (1, 100, 512):
        found = score_pairs(network, pairs, tokens_at_once, in_turn)
        assert [f[0] for f in found] == pytest.approx([e[0] for e in expected], abs=TOLERANCE)
        assert [f[1] for f in found] == [e[1] for e in expected]


def test_a_sliding_window_that_is_shorter_than_a_text_is_not_packed(tokenizer: Any, tmp_path: Path) -> None:
    write_random(tmp_path, tokenizer, "mistral", sliding_window=16, num_key_value_heads=2)
    assert not Network(tmp_path, torch.device("cpu"), LENGTH).packs
    short = Network(tmp_path, torch.device("cpu"), 16)
    assert short.packs
    long = Network(tmp_path, torch.device("cpu"), LENGTH)
    pairs = random_pairs(1)[:9]
    found = [answer for answer, _ in score_pairs(long, pairs, 512, in_turn)]
    assert found == pytest.approx([direct(long, *pair)[0] for pair in pairs], abs=TOLERANCE)


def test_a_shared_beginning_is_read_once(world: Any) -> None:
    """What is read is counted by the network itself: the shots of a subject once, not once for each item."""
    network = Network(world.lake.local(world.refs["tiny"]), torch.device("cpu"), LENGTH)
    read: list[int] = []
    network.body.word_embeddings.register_forward_hook(lambda module, given, found: read.append(given[0].numel()))
    rng = np.random.default_rng(3)
    shots = rng.integers(24, 320, size=100).tolist()
    contexts = [[*shots, 24 + item, *rng.integers(24, 320, size=9).tolist()] for item in range(20)]
    pairs = [(context, [30 + choice]) for context in contexts for choice in range(4)]
    score_pairs(network, pairs, 64, in_turn)
    assert sum(read) == 100 + 20 * 10
    read.clear()
    score_pairs(network, pairs[:8], 512, in_turn)
    assert read == [100 + 2 * 10]


TEXTS = st.lists(
    st.tuples(
        st.sampled_from([[], [1] * 40, [1] * 40 + [2] * 40, [3] * 33]),
        st.lists(st.integers(1, 4), min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=20,
)


@given(TEXTS, st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_every_text_is_in_one_pack_and_its_path_spells_it(made: Any, tokens_at_once: int) -> None:
    texts = [np.array(text) for text in sorted({tuple(start + rest) for start, rest in made})]
    shares = _shares(texts, [len(text) for text in texts], tokens_at_once)
    assert sorted(i for share in shares for pack in share.packs for i in pack) == list(range(len(texts)))
    for share in shares:
        for pack in share.packs:
            ids, depths, sees, paths = _tree(texts, pack, share.beginning)
            if len(pack) > 1:
                assert len(ids) <= max(tokens_at_once, 1.5 * 89)
            for i, path in zip(pack, paths, strict=True):
                assert share.beginning < len(texts[i])
                assert (texts[i][: share.beginning] == texts[pack[0]][: share.beginning]).all()
                assert ids[path].tolist() == texts[i][share.beginning :].tolist()
                assert depths[path].tolist() == list(range(share.beginning, len(texts[i])))
                seen = [sorted(np.flatnonzero(sees[node].numpy()).tolist()) for node in path]
                assert seen == [sorted(path[: n + 1].tolist()) for n in range(len(path))]


def test_clusters_end_where_beginnings_do() -> None:
    shots = {name: np.full(50, number) for number, name in enumerate("ab")}
    texts = [
        np.concatenate([shots[name], [9, item, choice]]) for name in "ab" for item in (1, 2, 3) for choice in (4, 5)
    ]
    found = list(_clusters(texts, [52] * len(texts)))
    assert [cluster for _, cluster in found] == [list(range(6)), list(range(6, 12))]
    assert [beginning for beginning, _ in found] == [51, 51]
    assert _packs(texts, list(range(6)), 51, 6) == [[0, 1, 2, 3], [4, 5]]
    # With so little beside the beginning, it is read with the rest.
    assert _shares(texts, [52] * 12, 6) == [Share(0, [list(range(6))]), Share(0, [list(range(6, 12))])]
    assert _shares(texts, [52] * 12, 512) == [Share(0, [list(range(12))])]
    more = [np.concatenate([text, np.arange(20)]) for text in texts]
    assert [share.beginning for share in _shares(more, [72] * 12, 6)] == [51, 51]


@pytest.mark.parametrize("tokens_at_once", [1, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_neither_threads_nor_order_nor_size_decide(
    world: Any, monkeypatch: pytest.MonkeyPatch, tokens_at_once: int, threads: int
) -> None:
    from eval_jobs import model as module

    folder = world.lake.local(world.refs["tiny"])
    requests = [(None, list(context), list(continuation)) for context, continuation in random_pairs(5)]
    expected = CheckpointLM(folder, LENGTH)._loglikelihood_tokens(requests)
    order = np.random.default_rng(0).permutation(len(requests))
    monkeypatch.setattr(module, "CPU_WORKERS", threads)
    found = CheckpointLM(folder, LENGTH, tokens_at_once=tokens_at_once)._loglikelihood_tokens(
        [requests[i] for i in order]
    )
    assert [f[0] for f in found] == pytest.approx([expected[i][0] for i in order], abs=TOLERANCE)
    assert [f[1] for f in found] == [expected[i][1] for i in order]


@pytest.mark.gpu
def test_a_gpu_gives_the_scores_of_a_cpu(world: Any) -> None:
    """In float32 on both, with the GPU's own float32: without TF32, whose 11 bits are too few for the tolerance."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    torch.backends.cuda.matmul.allow_tf32 = False
    folder = world.lake.local(world.refs["tiny"])
    pairs = random_pairs(6)
    one, other = (
        score_pairs(Network(folder, torch.device(device), LENGTH), pairs, 512, in_turn) for device in ("cpu", "cuda")
    )
    assert [o[0] for o in one] == pytest.approx([o[0] for o in other], abs=1e-3)
    assert [o[1] for o in one] == [o[1] for o in other]


def test_the_bytes_of_a_cache(world: Any) -> None:
    network = Network(world.lake.local(world.refs["tiny"]), torch.device("cpu"), LENGTH)
    ids = torch.arange(30, 40)
    with torch.inference_mode():
        _, cache = network.read_pack(ids, torch.arange(10), torch.ones(10, 10, dtype=torch.bool).tril(), keep=True)
    assert sum(part.nbytes for layer in cache for part in layer) == 10 * network.cache_bytes_per_token
    assert json.loads(json.dumps(network.cache_bytes_per_token)) == 2 * 2 * 32 * 4
