"""What the tests of the language models share: a network at its start, and Hugging Face's with the same weights."""

from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from assets.recipe.architecture import Model
from training_jobs.language_model import LanguageModel, build, initial_value


def started(model: Model, vocabulary: int, seed: int = 3) -> LanguageModel:
    """The network with its starting values."""
    network = build(model, vocabulary)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(initial_value(name, parameter, model, seed))
            if parameter.ndim == 1:  # so that every bias and norm counts
                parameter.add_(torch.linspace(-0.3, 0.3, parameter.numel()))
    return network


def hugging_face(network: LanguageModel) -> Any:
    """Hugging Face's eager model of the same configuration, with the same weights."""
    theirs = AutoModelForCausalLM.from_config(network.config, attn_implementation="eager", dtype=torch.float32)
    found = theirs.load_state_dict(network.state_dict(), strict=False)
    assert found.missing_keys == (["lm_head.weight"] if network.config.tie_word_embeddings else [])
    assert not found.unexpected_keys
    return theirs


def assert_same_model(network: LanguageModel, length: int) -> None:
    """The same logits, loss and gradients of every parameter as Hugging Face's eager model."""
    theirs = hugging_face(network).train()
    vocabulary = network.config.vocab_size
    tokens = torch.randint(0, vocabulary, (3, length + 1), generator=torch.Generator().manual_seed(0))
    inputs, labels = tokens[:, :-1], tokens[:, 1:]

    logits = theirs(inputs).logits
    assert (network(inputs) - logits).abs().max() < 1e-5 * logits.abs().max()
    loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert network(inputs, labels).item() == pytest.approx(loss.item(), rel=1e-6)

    (2 * network(inputs, labels)).backward()
    (2 * loss).backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        largest = expected[name].abs().max().item()
        # A key's bias shifts all scores of a query alike, so its gradient is zero but for rounding.
        torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=2e-5 * largest + 1e-7, msg=name)
    assert len(expected) == len(list(network.parameters()))
