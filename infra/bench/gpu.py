"""The training step of Tokka's BLOOM on one GPU, beside Hugging Face's eager BLOOM: ``python -m infra.bench.gpu``.

Both are sharded, kept in float32, computed in bf16 and stepped as the pretraining job does it (FSDP2 over one rank, fused AdamW,
clipping), on random tokens. Micro-batches are doubled until the memory is full, and each is compared at its own best. Both begin
with the same weights and tokens, so that their first losses tell whether they compute the same. What fails is written down beside
what was measured, and the script ends with 1.
It needs no network. ``--device cpu --size tiny --no-compile`` tries it anywhere, which says nothing about a GPU.
"""

import argparse
import gc
import json
import math
import os
import resource
import statistics
import sys
import time
import traceback
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
LOSS_TOLERANCE = 0.01
"""Relative difference of the first losses, in bf16."""


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
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
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
    # What other shapes have compiled counts towards torch's limit.
    torch.compiler.reset()
    network = network_of(kind, model, vocab_size, training, device)
    optimizer = adamw(network, training)
    shape = (training.micro_batch, training.sequence_length + 1)
    torch.manual_seed(1)
    tokens = torch.randint(0, vocab_size, shape, device=device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    meter = EnergyMeter.open()
    seconds, losses = [], []
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
        losses.append(value.item())
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
        "first_loss": round(losses[0], 4),
        "loss": round(losses[-1], 4),
    }


def sweep(kind: str, model: Model, vocab_size: int, asked: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Micro-batches from 1 on, doubled until the memory, ``--largest`` or a failure ends it; the last is said by the text."""
    import torch

    rows: list[dict[str, Any]] = []
    failed = ""
    micro_batch = 1
    while micro_batch <= asked.largest:
        training = settings(asked.sequence, micro_batch, asked.compile)
        try:
            rows.append(measure(kind, model, vocab_size, training, asked.device, asked.steps, asked.warmup))
        except torch.OutOfMemoryError:
            print(f"  {kind}, micro-batch {micro_batch}: the memory is full", file=sys.stderr)
            break
        except Exception as error:  # one that fails must not cost what the others measure
            traceback.print_exc()
            failed = f"micro-batch {micro_batch}: {type(error).__name__}: {str(error)[:300]}"
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
    return rows, failed


def bench(asked: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Measure all sizes; returns what the JSON holds, and gives it to ``keep`` after each size."""
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
            print(f"{name}: {model.parameters(vocab_size) / 1e6:,.0f} M parameters", file=sys.stderr)
            swept = {kind: sweep(kind, model, vocab_size, asked) for kind in ("tokka", "eager")}
            found["sizes"][name] = entry(model, vocab_size, swept)
            keep(found)
    return found


def entry(model: Model, vocab_size: int, swept: dict[str, tuple[list[dict[str, Any]], str]]) -> dict[str, Any]:
    """What the JSON holds of a size: the rows of each kind, the best ones, and how they compare."""
    rows = {kind: of for kind, (of, _) in swept.items()}
    best = {kind: max(of, key=lambda row: row["tokens_per_second"], default=None) for kind, of in rows.items()}
    tokka, eager = best["tokka"], best["eager"]
    size: dict[str, Any] = {
        "parameters": model.parameters(vocab_size),
        "vocabulary": vocab_size,
        **rows,
        "best": best,
        "failed": {kind: failed for kind, (_, failed) in swept.items() if failed},
    }
    if tokka and eager:
        size["times_eager"] = round(tokka["tokens_per_second"] / eager["tokens_per_second"], 3)
        firsts = [(a["first_loss"], b["first_loss"]) for a, b in zip(rows["tokka"], rows["eager"], strict=False)]
        size["losses_agree"] = all(math.isclose(a, b, rel_tol=LOSS_TOLERANCE) for a, b in firsts)
    size["targets"] = {
        "mfu": target(TARGET_MFU, tokka["mfu"] if tokka else None),
        "times_eager": target(TARGET_RATIO, size.get("times_eager")),
    }
    return size


def target(wanted: float, found: float | None) -> dict[str, Any]:
    """A target, and whether it is reached; None where it could not be measured."""
    return {"target": wanted, "reached": None if found is None else found >= wanted}


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

    def keep(found: dict[str, Any]) -> None:
        if asked.output:
            asked.output.parent.mkdir(parents=True, exist_ok=True)
            asked.output.write_text(json.dumps(found, indent=2) + "\n", "utf-8")

    found = bench(asked, keep)
    if not asked.output:
        print(json.dumps(found, indent=2))
    wrong = [
        f"{name}: {text}"
        for name, size in found["sizes"].items()
        for text in (*size["failed"].values(), *([] if size.get("losses_agree", True) else ["the losses differ"]))
    ]
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
