"""The training step of Tokka's BLOOM on one GPU, beside Hugging Face's eager BLOOM: ``python -m infra.bench.gpu``.

Both are sharded, kept in float32, computed in bf16 and stepped as the pretraining job does it (FSDP2 over one rank, fused AdamW,
clipping), on random tokens. Micro-batches are doubled until the memory is full, and each is compared at its own best.
It needs no network. ``--device cpu --size tiny --no-compile`` tries it anywhere, which says nothing about a GPU.
"""

import argparse
import gc
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assets.recipe.cost import CostAssumptions
from assets.recipe.training import Model, Training
from infra.bench.bare_loop import adamw, sharded
from infra.bench.measure import machine
from training_jobs.cost import EnergyMeter, Gauge, Matrices

SIZES = {
    # FinGPT's small size with its vocabulary: 186 M parameters (Luukkonen et al. 2023).
    "poro-186m": (Model(layers=12, hidden=768, heads=12), 131_072),
    # GPT-3 XL's size (Brown et al. 2020, table 2.1) with Megatron's padded GPT-2 vocabulary.
    "bloom-1.3b": (Model(layers=24, hidden=2048, heads=16), 51_200),
    # To try the script.
    "tiny": (Model(layers=2, hidden=64, heads=4), 512),
}
MEASURED = ("poro-186m", "bloom-1.3b")
TARGET_MFU, TARGET_RATIO = 0.45, 2.5


@contextmanager
def single_rank(device: str) -> Iterator[None]:
    """A process group of this process alone."""
    import torch
    import torch.distributed as dist

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if device == "cuda":
        torch.cuda.set_device(0)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def settings(sequence_length: int, micro_batch: int, compiled: bool) -> Training:
    """One micro-batch per step, in bf16."""
    return Training(
        steps=1,
        sequence_length=sequence_length,
        global_batch=micro_batch,
        micro_batch=micro_batch,
        precision="bf16",
        lr=1e-4,
        min_lr=1e-4,
        warmup_steps=0,
        checkpoints=(1,),
        compile=compiled,
    )


def network_of(kind: str, model: Model, vocab_size: int, training: Training, device: str) -> Any:
    """``tokka``: the job's network; ``eager``: Hugging Face's BLOOM with its own attention. Both sharded, with random weights."""
    import torch

    from training_jobs.bloom import bloom_config
    from training_jobs.sharding import make_mesh, shard

    if kind == "tokka":
        network = sharded(model, vocab_size, training, device, 1, 1)
    else:
        from transformers import BloomForCausalLM

        with torch.device(device):
            network = BloomForCausalLM._from_config(bloom_config(model, vocab_size), attn_implementation="eager")
        mesh = make_mesh(training, 1, 1, device)
        plain = training.model_copy(update={"compile": False})
        shard(network, network.transformer.h, plain, mesh, model.parameters(vocab_size))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            local = parameter.to_local()
            if parameter.ndim > 1:
                local.normal_(0.0, model.init_std)
            else:
                local.fill_(1.0 if name.endswith("weight") else 0.0)
    return network


def loss_of(kind: str, network: Any, tokens: Any, labels: Any) -> Any:
    """The mean loss: by the network's own chunked head, or over all logits in float32 as Hugging Face takes it."""
    import torch

    if kind == "tokka":
        return network(tokens, labels)
    logits = network(input_ids=tokens).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())


def measure(
    kind: str, model: Model, vocab_size: int, training: Training, device: str, steps: int, warmup: int
) -> dict[str, Any]:
    """Time ``steps`` steps after ``warmup``. Raises torch.OutOfMemoryError where the memory does not suffice."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
    torch.manual_seed(0)
    network = network_of(kind, model, vocab_size, training, device)
    optimizer = adamw(network, training)
    shape = (training.micro_batch, training.sequence_length + 1)
    tokens = torch.randint(0, vocab_size, shape, device=device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    meter = EnergyMeter.open()
    seconds, loss = [], 0.0
    for step in range(warmup + steps):
        if step == warmup and meter:
            meter.take(now=True)
        wait()
        begin = time.perf_counter()
        value = loss_of(kind, network, tokens[:, :-1], tokens[:, 1:])
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        optimizer.step()
        optimizer.zero_grad()
        wait()
        if step >= warmup:
            seconds.append(time.perf_counter() - begin)
        loss = value.item()
    joules = meter.take(now=True) if meter else None
    median = statistics.median(seconds)
    speed = training.micro_batch * training.sequence_length / median
    peak = (
        torch.cuda.max_memory_allocated()
        if device == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    name = torch.cuda.get_device_name() if device == "cuda" else str(machine()["processor"])
    gauge = Gauge(
        Matrices.of(model, vocab_size),
        training.sequence_length,
        1,
        name,
        training.precision,
        CostAssumptions.from_environment(),
    )
    tokens_timed = training.micro_batch * training.sequence_length * steps
    return {
        "micro_batch": training.micro_batch,
        "seconds_per_step": round(median, 4),
        "spread": [round(min(seconds), 4), round(max(seconds), 4)],
        "tokens_per_second": round(speed, 1),
        "memory_gb": round(peak / 1e9, 2),
        **gauge.rates(speed),
        "joules_per_token": round(joules / tokens_timed, 6) if joules is not None else None,
        "loss": round(loss, 4),
    }


def sweep(kind: str, model: Model, vocab_size: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Micro-batches from 1 on, doubled until the memory or ``--largest`` ends it."""
    import torch

    rows: list[dict[str, Any]] = []
    micro_batch = 1
    while micro_batch <= asked.largest:
        training = settings(asked.sequence, micro_batch, asked.compile)
        try:
            rows.append(measure(kind, model, vocab_size, training, asked.device, asked.steps, asked.warmup))
        except torch.OutOfMemoryError:
            print(f"  {kind}, micro-batch {micro_batch}: the memory is full", file=sys.stderr)
            break
        finally:
            gc.collect()
            if asked.device == "cuda":
                torch.cuda.empty_cache()
        row = rows[-1]
        share = "" if row["mfu"] is None else f", MFU {row['mfu']:.1%}"
        print(
            f"  {kind}, micro-batch {micro_batch}: {row['seconds_per_step']} s, {row['tokens_per_second']:,.0f} tokens/s, "
            f"{row['tflops']:.4g} TFLOP/s{share}, {row['memory_gb']} GB",
            file=sys.stderr,
        )
        micro_batch *= 2
    return rows


def bench(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all sizes; returns what the JSON holds."""
    import torch

    found: dict[str, Any] = {
        "machine": machine(),
        "device": torch.cuda.get_device_name() if asked.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "setting": {name: getattr(asked, name) for name in ("sequence", "steps", "warmup", "compile")},
        "sizes": {},
    }
    with single_rank(asked.device):
        for name in asked.size or MEASURED:
            model, vocab_size = SIZES[name]
            parameters = model.parameters(vocab_size)
            print(f"{name}: {parameters / 1e6:,.0f} M parameters", file=sys.stderr)
            rows = {kind: sweep(kind, model, vocab_size, asked) for kind in ("tokka", "eager")}
            best = {kind: max(of, key=lambda row: row["tokens_per_second"], default=None) for kind, of in rows.items()}
            entry: dict[str, Any] = {"parameters": parameters, "vocabulary": vocab_size, **rows, "best": best}
            if best["tokka"] and best["eager"]:
                ratio = best["tokka"]["tokens_per_second"] / best["eager"]["tokens_per_second"]
                entry["times_eager"] = round(ratio, 3)
            if best["tokka"]:
                mfu = best["tokka"]["mfu"]
                entry["targets"] = {
                    "mfu": {"target": TARGET_MFU, "reached": None if mfu is None else mfu >= TARGET_MFU},
                    "times_eager": {
                        "target": TARGET_RATIO,
                        "reached": entry["times_eager"] >= TARGET_RATIO if "times_eager" in entry else None,
                    },
                }
            found["sizes"][name] = entry
    return found


def main(arguments: list[str] | None = None) -> None:
    """Entry point; prints JSON on standard output, or writes it into ``--output``."""
    parser = argparse.ArgumentParser(prog="python -m infra.bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--size", action="append", choices=tuple(SIZES), help=f"may be repeated; by default {', '.join(MEASURED)}"
    )
    parser.add_argument("--sequence", type=int, default=2048, help="tokens per sample")
    parser.add_argument("--largest", type=int, default=64, help="largest micro-batch")
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    parser.add_argument("--warmup", type=int, default=4, help="steps before them; the first compiles")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="Tokka's blocks")
    parser.add_argument("--output", type=Path, help="write the JSON here")
    asked = parser.parse_args(arguments)
    import torch

    if asked.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "There is no GPU that torch can use; --device cpu --size tiny --no-compile tries the script without one."
        )
    text = json.dumps(bench(asked), indent=2) + "\n"
    if asked.output:
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(text, "utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
