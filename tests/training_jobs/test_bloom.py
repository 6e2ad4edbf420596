"""The trainer's BLOOM against Hugging Face's: the same logits, loss and gradients, and the same start everywhere."""

import pytest
import torch
from torch.nn import functional
from transformers import BloomForCausalLM

from assets.recipe.training import Model
from training_jobs.bloom import Bloom, bloom_config, initial_value


def build(model: Model, vocabulary: int) -> Bloom:
    bloom = Bloom(bloom_config(model, vocabulary))
    with torch.no_grad():
        for name, parameter in bloom.named_parameters():
            parameter.copy_(initial_value(name, parameter, model.init_std, seed=3))
    return bloom


@pytest.mark.parametrize("heads", [1, 4, 6])
def test_logits_loss_and_gradients_equal_hugging_face(heads: int) -> None:
    vocabulary = 301
    model = Model(layers=3, hidden=48, heads=heads, init_std=0.2)
    ours = build(model, vocabulary)
    theirs = BloomForCausalLM(bloom_config(model, vocabulary)).eval()
    assert theirs.load_state_dict(ours.state_dict(), strict=False).missing_keys == ["lm_head.weight"]
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, vocabulary, (3, 65), generator=generator)
    inputs, labels = tokens[:, :-1], tokens[:, 1:]

    logits = theirs(inputs).logits
    assert (ours(inputs) - logits).abs().max() < 1e-4 * logits.abs().max()
    loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert ours(inputs, labels).item() == pytest.approx(loss.item(), rel=1e-5)

    (2 * ours(inputs, labels)).backward()
    (2 * loss).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-3, atol=1e-5)


def test_loss_in_chunks_is_the_whole_loss() -> None:
    from training_jobs.bloom import ChunkedCrossEntropy

    generator = torch.Generator().manual_seed(1)
    hidden, weight = torch.randn(37, 8, generator=generator), torch.randn(50, 8, generator=generator)
    labels = torch.randint(0, 50, (37,), generator=generator)
    whole = functional.cross_entropy(hidden @ weight.T, labels)
    for rows in (1, 10, 37, 100):
        assert ChunkedCrossEntropy.apply(hidden, weight, labels, rows).item() == pytest.approx(whole.item(), rel=1e-5)


def test_parameter_count_and_start() -> None:
    model = Model(layers=2, hidden=32, heads=4)
    bloom = build(model, 512)
    assert sum(p.numel() for p in bloom.parameters()) == model.parameters(512)
    norm = bloom.transformer.ln_f
    assert bool((norm.weight == 1).all()) and bool((norm.bias == 0).all())
    assert bloom.transformer.word_embeddings.weight.std().item() == pytest.approx(0.02, rel=0.05)
    again = build(model, 512).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in bloom.state_dict().items())
