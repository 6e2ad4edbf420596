"""Where the weights start: from the seed, from a checkpoint of the lake, or from a Hugging Face folder pinned by its digest."""

import json
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.models.bloom.configuration_bloom import BloomConfig
from transformers.models.llama.configuration_llama import LlamaConfig

from assets.lake.hugging_face import FolderError, HuggingFaceFolder, token_ids
from assets.lake.receipt import GateNotPassedError
from assets.lake.store import Lake, LakeError
from assets.recipe.architecture import Model
from assets.recipe.jobs import PretrainingJob
from assets.recipe.load import RecipeError, expand
from training_jobs.job import BAD_INPUT, GATE_NOT_PASSED, JobError
from training_jobs.language_model import initial_value

Start = Callable[[str, Tensor], Tensor]
"""The whole starting value of a parameter, given its name and the parameter, whose shape it has."""


def starting_values(job: PretrainingJob) -> Start:
    """How ``job`` starts. Raises JobError where the weights are not those of the recipe's architecture and vocabulary.

    The weights are read one tensor at a time, as they are asked for. The first rank of each machine compares a folder with its
    digest; a checkpoint of the lake has been verified when it was copied, and needs a passing receipt.
    """
    wanted = job.model.start_from
    if wanted is None:
        return lambda name, parameter: initial_value(name, parameter, job.model, job.training.seed)
    try:
        lake = Lake.open(job.lake)
        if job.checkpoint is not None:
            if job.checkpoint.name not in job.accepted_risks:
                lake.require_receipt(job.checkpoint)
            folder = HuggingFaceFolder(str(lake.mirror([job.checkpoint]) / job.checkpoint.name))
        else:
            folder = HuggingFaceFolder(expand(str(wanted.folder)))
            if os.environ.get("LOCAL_RANK", "0") == "0":
                _check_digest(folder, str(wanted.digest))
        check_architecture(folder, job.model, job.vocab_size)
        check_vocabulary(folder, token_ids(lake.read_json(job.tokenizer, "tokenizer.json")))
    except GateNotPassedError as error:
        raise JobError(str(error), GATE_NOT_PASSED) from error
    except (FolderError, LakeError, RecipeError, OSError) as error:
        raise JobError(f"model.start_from: {error}", BAD_INPUT) from error
    return lambda name, parameter: read(folder, name, parameter)


def _check_digest(folder: HuggingFaceFolder, expected: str) -> None:
    found = folder.digest()
    if found != expected:
        raise FolderError(f"{folder.uri} has the digest {found}, the recipe says {expected}.")


def check_architecture(folder: HuggingFaceFolder, model: Model, vocab_size: int) -> None:
    """Raise FolderError where the folder's configuration is not what the recipe says, with both values."""
    kind = folder.config.get("model_type")
    if kind != model.architecture:
        raise FolderError(f"{folder.uri} is of the architecture {kind!r}, the recipe's is {model.architecture!r}.")
    pairs: list[tuple[str, Any, Any]]
    if model.architecture == "bloom":
        bloom = BloomConfig.from_dict(folder.config)
        pairs = [
            ("layers", bloom.n_layer, model.layers),
            ("heads", bloom.n_head, model.heads),
            ("layer_norm_epsilon", bloom.layer_norm_epsilon, model.layer_norm_epsilon),
            ("apply_residual_connection_post_layernorm", bloom.apply_residual_connection_post_layernorm, False),
        ]
    else:
        llama = LlamaConfig.from_dict(folder.config)
        rope = dict(llama.rope_parameters or {})
        pairs = [
            ("layers", llama.num_hidden_layers, model.layers),
            ("heads", llama.num_attention_heads, model.heads),
            ("kv_heads", llama.num_key_value_heads, model.key_value_heads),
            ("feed_forward", llama.intermediate_size, model.mlp_width),
            ("hidden / heads", llama.head_dim, model.head_size),
            ("layer_norm_epsilon", llama.rms_norm_eps, model.layer_norm_epsilon),
            ("rope_theta", rope.get("rope_theta"), model.rope_base),
            ("the scaling of RoPE", rope.get("rope_type"), "default"),
            ("the MLP's activation", llama.hidden_act, "silu"),
            ("biases in attention", llama.attention_bias, False),
            ("biases in the MLP", llama.mlp_bias, False),
        ]
    config: Any = bloom if model.architecture == "bloom" else llama
    pairs = [
        ("hidden", config.hidden_size, model.hidden),
        ("tied_embeddings", config.tie_word_embeddings, model.tied),
        *pairs,
        ("the vocabulary's size", config.vocab_size, vocab_size),
    ]
    for name, found, expected in pairs:
        if found != expected:
            raise FolderError(f"{folder.uri} has {name} = {found}, the recipe says {expected}.")


def check_vocabulary(folder: HuggingFaceFolder, expected: dict[str, int]) -> None:
    """Raise FolderError where the folder brings a tokenizer whose ids are not ``expected``, those of the run's tokenizer."""
    found = folder.vocabulary()
    if found is None or found == expected:
        return
    token = min(t for t in found.keys() | expected.keys() if found.get(t) != expected.get(t))
    theirs, ours = ("no id" if ids.get(token) is None else f"the id {ids[token]}" for ids in (found, expected))
    raise FolderError(
        f"{folder.uri} has another tokenizer than the run: {json.dumps(token)} has {theirs} there and {ours} here. Train with "
        "the tokenizer that the weights were trained with."
    )


def read(folder: HuggingFaceFolder, name: str, parameter: Tensor) -> Tensor:
    """The float32 value of a parameter. Some folders leave out the name of the body, ``transformer.`` or ``model.``."""
    _body, _, rest = name.partition(".")
    known = name if name in folder.tensors or rest not in folder.tensors else rest
    try:
        return folder.read(known, tuple(parameter.shape)).to(torch.float32)
    except FolderError as error:
        raise JobError(f"model.start_from: {error}", BAD_INPUT) from error
