"""Checkpoints in the standard Hugging Face layout, written while training goes on.

``checkpoints/step-0000120/`` holds ``model.safetensors``, ``config.json``, ``generation_config.json`` and
``probe.safetensors``: a batch and the logits that the trainer's own sharded model gives for it.
"""

import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule

from training_jobs.bloom import BOS, EOS, PAD, Bloom
from training_jobs.job import write_json

PROBE_SAMPLES, PROBE_LENGTH = 2, 64


def checkpoint_folder(output: Path, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return output / "checkpoints" / f"step-{step:07d}"


def export_checkpoint(bloom: Bloom, probe: Tensor, folder: Path, *, writes: bool, dtype: torch.dtype) -> None:
    """Write a checkpoint into ``folder``, with weights of ``dtype``; every rank calls this, and one ``writes``.

    ``probe``: int64 [samples, length], on the model's device. The folder appears under its name when it is whole.
    """
    with torch.no_grad():
        logits = bloom(probe).float().cpu()
    for module in bloom.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    weights = get_model_state_dict(bloom, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if not writes:
        return
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {name: value.to(dtype).contiguous() for name, value in weights.items() if isinstance(value, Tensor)}
    save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
    save_file({"input_ids": probe.cpu().contiguous(), "logits": logits.contiguous()}, partial / "probe.safetensors")
    config = bloom.config.to_diff_dict()
    config |= {"architectures": ["BloomForCausalLM"], "dtype": str(dtype).removeprefix("torch."), "use_cache": True}
    write_json(partial / "config.json", config)
    special = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
    write_json(partial / "generation_config.json", {**special, "transformers_version": transformers.__version__})
    partial.replace(folder)
