"""How a model is spread over the ranks, and Lightning's strategy with states that are saved in the background."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from torch.utils.checkpoint import checkpoint

from assets.recipe.training import Training
from training_jobs.attention import Alibi
from training_jobs.job import JobError
from training_jobs.states import States

LARGE = 1_000_000_000
"""From so many parameters on, a block's weights are freed after its forward pass and gathered again for the backward one."""


def make_mesh(training: Training, ranks: int, local_ranks: int, device: str) -> DeviceMesh:
    """The ranks as a mesh ``[shard, tensor]``, or ``[replicate, shard, tensor]`` where each node holds a copy of the weights.

    Neighbouring ranks are those of one tensor parallel group. Raises JobError where the ranks do not come out even.
    """
    tensor = training.tensor_parallel
    if training.shard_over == "all":
        return init_device_mesh(device, (ranks // tensor, tensor), mesh_dim_names=("shard", "tensor"))
    if ranks % local_ranks or local_ranks % tensor:
        raise JobError(
            f"shard_over: node needs nodes with as many ranks each; {ranks} ranks, {local_ranks} on this node."
        )
    sizes = (ranks // local_ranks, local_ranks // tensor, tensor)
    return init_device_mesh(device, sizes, mesh_dim_names=("replicate", "shard", "tensor"))


def recompute(blocks: Any, which: str) -> None:
    """Compute the activations of blocks again in the backward pass: of ``none``, every second (``half``), or all (``full``)."""
    every = {"none": 0, "half": 2, "full": 1}[which]
    for index, block in enumerate(blocks):
        if every and index % every == 0:
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)


def compile_blocks(blocks: Any) -> None:
    """Compile the forward passes of blocks, before ``recompute``: torch does not look into what is computed again.

    Each of the few shapes (training, validation, the probe) is compiled by itself. After the first, torch would go on to one
    graph of unknown sizes, which it cannot make of tensor parallel blocks.
    """
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=False)


# By the last part of a module's name, for BLOOM and Llama. What is cut by columns gives each rank whole heads, or a part of
# the MLP's width; what is cut by rows adds up over the ranks (Shoeybi et al. 2019, section 3).
COLUMNS = {"query_key_value", "dense_h_to_4h", "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}
ROWS = {"dense", "dense_4h_to_h", "o_proj", "down_proj"}


def is_cut(parameter: str) -> bool:
    """Whether tensor parallel ranks cut the parameter of this name."""
    return parameter.split(".")[-2] in COLUMNS | ROWS


def split(block: nn.Module, tensor: DeviceMesh) -> None:
    """Cut a block's projections over the ranks of ``tensor``; the rest of it, and the embeddings, every rank has whole."""
    plan: dict[str, ParallelStyle] = {}
    for name, _ in block.named_modules():
        last = name.rpartition(".")[2]
        if last in COLUMNS:
            plan[name] = ColwiseParallel()
        elif last in ROWS:
            plan[name] = RowwiseParallel()
    parallelize_module(block, tensor, plan)
    ranks, rank = tensor.size(), tensor.get_local_rank()

    def own_heads(_block: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(each.part(rank, ranks) if isinstance(each, Alibi) else each for each in arguments)

    block.register_forward_pre_hook(own_heads)


def shard(network: nn.Module, blocks: Any, training: Training, mesh: DeviceMesh, parameters: int) -> None:
    """Spread ``network`` over ``mesh``: block by block, with the recipe's recomputation and compilation."""
    options: dict[str, Any] = {
        "mesh": mesh["replicate", "shard"] if mesh.ndim == 3 else mesh["shard"],
        "reshard_after_forward": parameters > LARGE,
    }
    if training.precision == "bf16":
        options["mp_policy"] = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    tensor = mesh["tensor"]
    if tensor.size() > 1:
        for block in blocks:
            split(block, tensor)
    if training.compile:
        compile_blocks(blocks)
    recompute(blocks, training.activation_checkpointing)
    for block in blocks:
        fully_shard(block, **options)
    fully_shard(network, **options)


def reshard(network: nn.Module) -> None:
    """Free the gathered weights: after a pass without gradients they would outlive the next change of the shards."""
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def copies(tensor: DTensor) -> int:
    """How many of all ranks hold the same part of a tensor."""
    sizes = zip(tensor.placements, tensor.device_mesh.shape, strict=True)
    return dist.get_world_size() // math.prod(size for placement, size in sizes if not isinstance(placement, Replicate))


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's FSDP2 strategy; a checkpoint is a state of ``states``, and its path is the state's.

    ``logs`` gives the files in which rank 0 has logged so far, by name; they are kept with the state.
    """

    def __init__(self, states: States, logs: Callable[[], dict[str, bytes]], **options: Any) -> None:
        super().__init__(**options)
        self.states, self.logs = states, logs

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The model's tensors where they are: the states copy them."""
        assert self.model is not None
        return get_model_state_dict(self.model)

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """The optimizer's tensors where they are."""
        assert self.model is not None
        return get_optimizer_state_dict(self.model, getattr(optimizer, "_optimizer", optimizer))

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Begin to save a state; see ``States.save``."""
        tensors = {"model": checkpoint.pop("state_dict"), "optimizer": checkpoint.pop("optimizer_states")[0]}
        logs = self.logs() if dist.get_rank() == 0 else {}
        self.states.save(int(checkpoint["global_step"]), tensors, checkpoint, logs)

    def load_checkpoint(self, checkpoint_path: Any) -> dict[str, Any]:
        """Fill model and optimizer from a state and return the rest of it."""
        (optimizer,) = self.optimizers
        assert self.model is not None
        tensors: dict[str, Any] = {
            "model": get_model_state_dict(self.model),
            "optimizer": get_optimizer_state_dict(self.model, optimizer),
        }
        self.states.load(str(checkpoint_path), tensors)
        set_model_state_dict(self.model, tensors["model"])
        set_optimizer_state_dict(self.model, optimizer, optim_state_dict=tensors["optimizer"])
        return self.states.meta(str(checkpoint_path))
