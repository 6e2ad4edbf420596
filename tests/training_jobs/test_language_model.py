"""Building language models: parameter counts, the same start everywhere, and blocks that can be wrapped."""

import functools

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import AutoModelForCausalLM

from assets.recipe.architecture import PRESETS, Model
from training_jobs.language_model import build, initial_value
from training_jobs.sharding import compile_blocks, recompute

from .networks import started

BLOOM = Model(layers=2, hidden=32, heads=4)
LLAMA = Model(architecture="llama", layers=2, hidden=32, heads=4, kv_heads=2, feed_forward=88)
TIED = LLAMA.model_copy(update={"tied_embeddings": True})


@pytest.mark.parametrize("model", [BLOOM, LLAMA, TIED, *(Model(preset=name) for name in PRESETS)])
def test_the_formula_counts_the_parameters(model: Model) -> None:
    """Every preset, on the meta device."""
    with torch.device("meta"):
        network = build(model, 5000)
        theirs = AutoModelForCausalLM.from_config(network.config)
    assert sum(p.numel() for p in network.parameters()) == model.parameters(5000)
    assert theirs.num_parameters() == model.parameters(5000)
    names = set(network.state_dict()) | ({"lm_head.weight"} if model.tied else set())
    assert names == set(theirs.state_dict())
    assert type(theirs).__name__ == network.hugging_face


def test_poro_34b_has_34_217_billion_parameters() -> None:
    with torch.device("meta"):
        network = build(Model(preset="poro-34b"), 128_000)
    assert sum(p.numel() for p in network.parameters()) == 34_216_949_760
    assert len(network.blocks) == 54


@pytest.mark.parametrize("model", [BLOOM, LLAMA])
def test_every_parameter_starts_as_its_name_and_the_seed_say(model: Model) -> None:
    network = build(model, 512)
    first = {name: initial_value(name, p, model, seed=3) for name, p in network.named_parameters()}
    with torch.device("meta"):
        elsewhere = build(model, 512)
    for name, parameter in reversed(list(elsewhere.named_parameters())):
        assert torch.equal(initial_value(name, parameter, model, seed=3), first[name])
        if parameter.ndim > 1:
            assert first[name].std().item() == pytest.approx(0.02, rel=0.1)
            assert not torch.equal(initial_value(name, parameter, model, seed=4), first[name])
        else:
            assert bool((first[name] == (1.0 if name.endswith("weight") else 0.0)).all())


@pytest.mark.parametrize(
    ("model", "writers"),
    [(BLOOM, ("self_attention.dense", "dense_4h_to_h")), (LLAMA, ("o_proj", "down_proj"))],
)
def test_scaled_start_is_smaller_where_the_residual_stream_is_written(model: Model, writers: tuple[str, ...]) -> None:
    scaled = model.model_copy(update={"scaled_init": True})
    for name, parameter in build(model, 512).named_parameters():
        ratio = 0.5 if name.removesuffix(".weight").endswith(writers) and parameter.ndim > 1 else 1.0  # 1 / sqrt(2 x 2)
        value = initial_value(name, parameter, model, 3)
        torch.testing.assert_close(initial_value(name, parameter, scaled, 3), ratio * value)


@pytest.mark.parametrize("model", [BLOOM, LLAMA])
@pytest.mark.parametrize("which", ["none", "half", "full"])
def test_blocks_are_compiled_in_one_piece_also_where_they_are_computed_again(
    model: Model, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the trainer wraps them: all blocks share one graph, and the loss and gradients stay the same."""
    network = started(model.model_copy(update={"layers": 4}), 64)
    tokens = torch.randint(0, 64, (2, 40), generator=torch.Generator().manual_seed(0))
    plain = network(tokens, tokens)
    expected = torch.autograd.grad(plain, list(network.parameters()))
    torch.compiler.reset()
    seen = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=seen, fullgraph=True))
    compile_blocks(network.blocks)
    recompute(network.blocks, which)
    loss = network(tokens, tokens)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss, list(network.parameters())), expected)
    assert seen.frame_count == 1 and seen.op_count > 20
