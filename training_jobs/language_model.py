"""The language models that are pretrained: built by architecture, with starting values that no number of ranks changes."""

import hashlib

import torch
from torch import Tensor

from assets.recipe.architecture import Model
from training_jobs.bloom import Bloom, bloom_config
from training_jobs.llama import Llama, llama_config

LanguageModel = Bloom | Llama
"""A decoder-only language model for pretraining.

``config`` is its Hugging Face configuration, ``hugging_face`` the class that it is exported as, ``blocks`` the layers, which are
sharded, compiled and checkpointed one by one. ``forward(tokens, labels=None)`` gives the mean loss, or without labels the
logits; it is the one way in, as FSDP's hooks need it.
"""

# The matrices that write into the residual stream.
_WRITERS = ("self_attention.dense", "dense_4h_to_h", "o_proj", "down_proj")


def build(model: Model, vocab_size: int, sequence_length: int = 2048) -> LanguageModel:
    """The network of ``model``, made on the current default device; its weights are not those of a start yet.

    ``sequence_length`` only goes into the exported configuration, as the longest input that it is trained on.
    """
    if model.architecture == "bloom":
        return Bloom(bloom_config(model, vocab_size))
    return Llama(llama_config(model, vocab_size, sequence_length))


def initial_value(name: str, parameter: Tensor, model: Model, seed: int) -> Tensor:
    """The float32 starting value of a parameter, as Hugging Face starts: normal weights, zero biases, unit norms.

    Each parameter has a random stream of its own, from ``seed`` and its name: neither the number of ranks nor the
    order in which parameters are made changes it. ``parameter`` gives the shape and may lie on the meta device.
    """
    if parameter.ndim > 1:
        stream = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little") >> 1
        generator = torch.Generator().manual_seed(stream)
        writes = model.scaled_init and name.removesuffix(".weight").endswith(_WRITERS)
        std = model.init_std / (2 * model.layers) ** 0.5 if writes else model.init_std
        return torch.empty(parameter.shape, dtype=torch.float32).normal_(0.0, std, generator=generator)
    is_norm_weight = name.endswith("weight")
    return torch.full(parameter.shape, 1.0 if is_norm_weight else 0.0, dtype=torch.float32)
