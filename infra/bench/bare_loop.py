"""A bare PyTorch loop over the job's network and batches: ``python -m infra.bench.bare_loop spec.json``, one process per rank.

What is the same as in the job: the network, its FSDP2 sharding, AdamW, clipping, learning rate, initial weights, batches. What
is not there: Lightning, NeMo, the data pipeline (batches come from one array), states, checkpoints, progress, anomalies. The
difference in time is the job's overhead.
"""

import os
from pathlib import Path
from typing import Any

from assets.recipe.training import Model, Training
from infra.bench.peer import Batches, Lines, PeerJob
from training_jobs.job import read_spec, run


def sharded(model: Model, vocab_size: int, training: Training, device: str, ranks: int, local_ranks: int) -> Any:
    """The network as the job shards it, on ``device``, without values; needs a process group."""
    import torch

    from training_jobs.language_model import build
    from training_jobs.sharding import make_mesh, shard

    with torch.device("meta"):
        network = build(model, vocab_size, training.sequence_length)
    mesh = make_mesh(training, ranks, local_ranks, device)
    shard(network, network.blocks, training, mesh, model.parameters(vocab_size))
    return network.to_empty(device=device)


def fill(network: Any, value: Any) -> None:
    """Give every parameter the part of ``value(name, parameter)`` (a whole tensor) that this rank holds."""
    import torch
    from torch.distributed.tensor import DTensor, distribute_tensor

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            assert isinstance(parameter, DTensor)
            part = distribute_tensor(
                value(name, parameter), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
            parameter.to_local().copy_(part.to_local())


def adamw(network: Any, training: Training) -> Any:
    """AdamW with weight decay on matrices only."""
    import torch

    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.lr, betas=training.betas, eps=training.epsilon, fused=True)


def train(job: PeerJob) -> None:
    """Train, one line per step."""
    import torch
    import torch.distributed as dist
    from safetensors.torch import load_file

    training = job.training
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    network = sharded(job.model, job.vocab_size, training, device, ranks, int(os.environ["LOCAL_WORLD_SIZE"]))
    weights = load_file(Path(job.weights) / "model.safetensors")
    fill(network, lambda name, _: weights[name])
    optimizer = adamw(network, training)
    samples = Batches(job.batches)
    lines = Lines(job.lines, rank == 0)
    share = training.global_batch // ranks
    lines.start()
    for step in range(training.steps):
        total = torch.zeros((), device=device)
        for index in range(training.accumulation):
            first = step * training.global_batch + rank * share + index * training.micro_batch
            batch = [samples[number] for number in range(first, first + training.micro_batch)]
            tokens, labels = (torch.stack([item[name] for item in batch]).to(device) for name in ("tokens", "labels"))
            network.set_requires_gradient_sync(index == training.accumulation - 1)
            loss = network(tokens, labels) / training.accumulation
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        optimizer.step()
        optimizer.zero_grad()
        dist.all_reduce(total)
        lines.write(step + 1, total.item() / ranks)
    dist.barrier()
    dist.destroy_process_group()


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    train(read_spec(PeerJob, arguments))


if __name__ == "__main__":
    run(main)
