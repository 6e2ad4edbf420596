"""Checkpoints in the standard Hugging Face layout, written while training goes on.

``checkpoints/step-0000120/`` holds the weights, ``config.json``, ``generation_config.json`` and ``probe.safetensors``: a batch
and the logits that the trainer's own sharded model gives for it. Weights of more than ``FILE_BYTES`` are split into
``model-00001-of-00007.safetensors``, ... with an index.
"""

import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from training_jobs.bloom import BOS, EOS, PAD
from training_jobs.job import write_json
from training_jobs.language_model import LanguageModel

PROBE_SAMPLES, PROBE_LENGTH = 2, 64
FILE_BYTES = 5_000_000_000


def checkpoint_folder(output: Path, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return output / "checkpoints" / f"step-{step:07d}"


def weight_files(sizes: dict[str, int], limit: int) -> dict[str, list[str]]:
    """The tensors of each file, by its name: in order, a new file before ``limit`` bytes are passed."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if groups[-1] and filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    return {f"model-{i:05d}-of-{len(groups):05d}.safetensors": group for i, group in enumerate(groups, start=1)}


def _whole(parameter: Tensor, dtype: torch.dtype) -> Tensor:
    """All of a parameter, on this rank's device; a collective."""
    value = parameter.detach().to(dtype)
    return value.full_tensor() if isinstance(value, DTensor) else value


def export_checkpoint(network: LanguageModel, probe: Tensor, folder: Path, *, writes: bool, dtype: torch.dtype) -> None:
    """Write a checkpoint into ``folder``, with weights of ``dtype``; every rank calls this, and one ``writes``.

    ``probe``: int64 [samples, length], on the model's device. A rank holds one whole tensor at a time, the one that writes
    those of one file. The folder appears under its name when it is whole.
    """
    with torch.no_grad():
        logits = network(probe).float().cpu()
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    partial = folder.with_name(f".{folder.name}.partial")
    if writes:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    parameters = dict(network.named_parameters())
    sizes = {name: parameter.numel() * dtype.itemsize for name, parameter in parameters.items()}
    files = weight_files(sizes, FILE_BYTES)
    for file, names in files.items():
        tensors: dict[str, Tensor] = {}
        for name in names:
            value = _whole(parameters[name], dtype)
            if writes:
                tensors[name] = value.cpu().contiguous()
        if writes:
            save_file(tensors, partial / file, metadata={"format": "pt"})
    if not writes:
        return
    if len(files) > 1:
        places = {name: file for file, names in files.items() for name in names}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": places}
        write_json(partial / "model.safetensors.index.json", index)
    save_file({"input_ids": probe.cpu().contiguous(), "logits": logits.contiguous()}, partial / "probe.safetensors")
    config = network.config.to_diff_dict()
    config |= {"architectures": [network.hugging_face], "dtype": str(dtype).removeprefix("torch."), "use_cache": True}
    write_json(partial / "config.json", config)
    special = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
    write_json(partial / "generation_config.json", {**special, "transformers_version": transformers.__version__})
    partial.replace(folder)
