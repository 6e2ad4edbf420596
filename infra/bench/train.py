"""``tokka bench train``: the pretraining job beside Hugging Face's Trainer and beside a bare PyTorch loop.

All three train the same model from the same weights on the same batches, on two ranks of one thread each, in turns: a busy
machine slows all of them, so ratios are taken within a round. The job's overhead is a few per cent, which runs one after the
other cannot show: job and bare loop then take their steps in turns (see ``turns``).
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.lake import InputRef, Lake, Manifest
from assets.recipe.jobs import PretrainingJob
from assets.recipe.load import PROJECT
from assets.recipe.training import Model, Training
from infra.bench.measure import CommandFailedError, machine
from infra.bench.turns import Command, in_turns, ratio

if TYPE_CHECKING:
    import psutil

RANKS = 2
MODEL = Model(layers=8, hidden=384, heads=6)
VOCABULARY = 28_160
"""With MODEL 25.0 M parameters."""
RECIPE, TOKENIZER = "bench-train", "bench-28k"
MODULES = {"tokka": "training_jobs.pretrain", "bare": "infra.bench.bare_loop", "hugging_face": "infra.bench.hf_trainer"}
WARMUP_STEPS = 3
LOSS_TOLERANCE = 2e-3
"""Relative difference of the losses at the same step, in float32 with another order of summation."""

Say = Callable[[str], None]


def training(steps: int, sequence_length: int = 2048, lr: float = 3e-4) -> Training:
    """One sample per rank and step at a constant learning rate, which every trainer knows how to do."""
    return Training(
        steps=steps,
        sequence_length=sequence_length,
        global_batch=RANKS,
        micro_batch=1,
        data_parallel=RANKS,
        lr=lr,
        min_lr=lr,
        warmup_steps=0,
        checkpoints=(0, steps),
        log_every=1,
    )


@dataclass(frozen=True)
class Data:
    """A lake with a mixture and the tokenizer of its shards."""

    lake: Lake
    mixture: InputRef
    tokenizer: InputRef
    vocab_size: int


def bench(steps: int, rounds: int, say: Say, work: Path | None = None) -> dict[str, Any]:
    """Prepare the data in ``work`` and compare; see ``prepare`` and ``compare``. Runs go, and the data too without ``work``."""
    folder = Path(work) if work else Path(tempfile.mkdtemp(prefix="tokka-bench-train-"))
    try:
        data = prepare(folder, steps, say)
        runs = Path(tempfile.mkdtemp(prefix="runs-", dir=folder))
        try:
            return compare(data, MODEL, training(steps), rounds, WARMUP_STEPS, runs, say)
        finally:
            shutil.rmtree(runs, ignore_errors=True)
    finally:
        if not work:
            shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path, steps: int, say: Say) -> Data:
    """Make the data with Tokka itself: the demo corpora, a tokenizer of VOCABULARY, shards and a mixture of long samples.

    What lies in ``folder`` already is not made again. Raises CommandFailedError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / f"{RECIPE}.yaml"
    # JSON is YAML.
    recipe.write_text(json.dumps(_recipe(steps), indent=2), "utf-8")
    lake = str(folder / "lake")
    say("data: the demo corpora, by way of `tokka run --to mixture`")
    command = [sys.executable, "-m", "orchestration.cli", "run", str(recipe), "--to", "mixture", "--lake", lake]
    done = subprocess.run(
        command, env={**os.environ, "TOKKA_HOME": str(folder / "home")}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailedError(f"tokka run ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    opened = Lake.open(lake)
    # A folder that is used again may hold versions of other settings.
    enough = [m for m in opened.manifests("mixture", RECIPE) if _samples(opened, m) >= steps * RANKS]
    mixture = max(enough, key=lambda manifest: manifest.started).ref
    tokenizer = max(opened.manifests("tokenizer", TOKENIZER), key=lambda manifest: manifest.started).ref
    return Data(opened, mixture, tokenizer, VOCABULARY)


def _samples(lake: Lake, mixture: Manifest) -> int:
    count: int = lake.read_json(mixture, "mixture.json")["samples"]
    return count


def _recipe(steps: int) -> dict[str, Any]:
    settings = training(steps).model_dump(mode="json", exclude_defaults=True)
    return {
        "extends": "mini",
        "description": "The data of `tokka bench train`.",
        "tokenizer": {"name": TOKENIZER, "vocab_size": VOCABULARY, "sample_bytes": 8_000_000},
        "model": {"init_std": 0.02, **MODEL.model_dump(include={"layers", "hidden", "heads"})},
        "training": settings,
    }


def compare(
    data: Data, model: Model, plan: Training, rounds: int, warmup: int, folder: Path, say: Say
) -> dict[str, Any]:
    """Train with all three in turns, ``rounds`` times; the first ``warmup`` steps of each run are not timed.

    Returns what ``train.json`` holds. Raises CommandFailedError where one of them fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[Run]] = {name: [] for name in MODULES}
    for number in range(rounds):
        for name in MODULES:
            place = folder / f"{name}-{number}"
            place.mkdir()
            first = folder / "tokka-0" / "output" / "checkpoints" / "step-0000000"
            command = _command(name, data, model, plan, place, folder / "batches.npy", first)
            run = _run(name, command, plan.steps, warmup)
            runs[name].append(run)
            say(f"round {number + 1}, {name}: {statistics.median(run.seconds):.2f} s per step, {run.cpu:.2f} s of CPU")
    say("job and bare loop, step by step in turns")
    commands = {}
    for name in ("tokka", "bare"):
        place = folder / f"{name}-turns"
        place.mkdir()
        commands[name] = _command(name, data, model, plan, place, folder / "batches.npy", first)
    turns = in_turns(commands, plan.steps, warmup, PROJECT)
    result = _result(runs, model, plan, data.vocab_size, warmup, folder)
    result["ratios"]["tokka_over_bare_loop_in_turns"] = ratio(turns["tokka"], turns["bare"])
    return result


def _command(name: str, data: Data, model: Model, plan: Training, place: Path, batches: Path, weights: Path) -> Command:
    """Write a trainer's specification, and say how it runs on RANKS processes."""
    spec, lines = _spec(name, data, model, plan, place, batches, weights)
    arguments = [sys.executable, "-m", "training_jobs.launchers.ranks", str(RANKS), MODULES[name], str(spec)]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "HF_HUB_OFFLINE": "1"}
    return Command(arguments, environment, lines, place / "log")


def _spec(
    name: str, data: Data, model: Model, plan: Training, place: Path, batches: Path, weights: Path
) -> tuple[Path, Path]:
    """Write a trainer's specification; returns its path and that of the lines that the trainer will write."""
    spec = place / "spec.json"
    if name == "tokka":
        job = PretrainingJob(
            lake=data.lake.uri,
            recipe=RECIPE,
            mixture=data.mixture,
            tokenizer=data.tokenizer,
            vocab_size=data.vocab_size,
            model=model,
            training=plan,
            accepted_risks={},
            work=str(place / "work"),
            output=str(place / "output"),
        )
        spec.write_text(job.model_dump_json(), "utf-8")
        return spec, place / "output" / "metrics.jsonl"
    if not batches.exists():
        _write_batches(data, plan, batches)
    fields = {"model": model.model_dump(mode="json"), "training": plan.model_dump(mode="json")}
    paths = {"weights": str(weights), "batches": str(batches), "lines": str(place / "lines.jsonl")}
    spec.write_text(json.dumps({**fields, **paths, "vocab_size": data.vocab_size}), "utf-8")
    return spec, place / "lines.jsonl"


def _write_batches(data: Data, plan: Training, path: Path) -> None:
    """The samples that the job trains on as one array, int64 [steps, global_batch, sequence_length + 1]."""
    import numpy as np

    from training_jobs.data import open_mixture

    root = Path(data.lake.root)
    dataset, _ = open_mixture(root / data.mixture.name, root)
    samples = [dataset[index] for index in range(plan.steps * plan.global_batch)]
    rows = [np.append(sample["tokens"].numpy(), sample["labels"].numpy()[-1]) for sample in samples]
    np.save(path, np.stack(rows).reshape(plan.steps, plan.global_batch, -1))


@dataclass(frozen=True)
class Run:
    """One run after its warm-up: seconds and loss of each step, seconds of CPU per step over all ranks, share of waiting."""

    seconds: list[float]
    losses: list[float]
    cpu: float
    data_share: float | None


def _run(name: str, command: Command, steps: int, warmup: int) -> Run:
    """Run a trainer and read its lines."""
    import psutil

    environment, lines, log = {**os.environ, **command.environment}, command.lines, command.log
    # Steps from the warm-up to the last but one: after the last one a trainer writes checkpoints or ends.
    marks: dict[int, float] = {}
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            command.arguments, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=PROJECT
        ) as process,
    ):
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            done = lines.read_bytes().count(b"\n") if lines.exists() else 0
            if done >= warmup and done not in marks:
                marks[done] = _cpu(watched)
            time.sleep(0.02)
    if process.returncode:
        raise CommandFailedError(f"{name} ended with exit code {process.returncode}:\n{log.read_text('utf-8')[-3000:]}")
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    # Where steps are shorter than the interval of looking, the processor's time counts from the start of the process.
    seen = [step for step in marks if step < steps]
    begin, end = (min(seen), max(seen)) if len(seen) > 1 else (0, max(marks))
    times = [row["seconds"] for row in rows]
    seconds = [after - before for before, after in zip(times[warmup - 1 :], times[warmup:], strict=False)]
    waited = [row["data_seconds"] for row in rows[warmup:] if "data_seconds" in row]
    return Run(
        seconds=seconds,
        losses=[row["loss"] for row in rows],
        cpu=(marks[end] - marks.get(begin, 0.0)) / (end - begin),
        data_share=max(w / s for w, s in zip(waited, seconds, strict=True)) if waited else None,
    )


def _cpu(process: "psutil.Process") -> float:
    """Seconds of CPU of a process's descendants so far."""
    times = (child.cpu_times() for child in process.children(recursive=True))
    return sum(time.user + time.system for time in times)


def _result(
    runs: dict[str, list[Run]], model: Model, plan: Training, vocab_size: int, warmup: int, folder: Path
) -> dict[str, Any]:
    tokens = plan.global_batch * plan.sequence_length
    summary = json.loads((folder / "tokka-0" / "output" / "summary.json").read_text("utf-8"))
    reference = runs["tokka"][0].losses
    difference = {
        name: max(abs(a - b) / abs(b) for run in runs[name] for a, b in zip(run.losses, reference, strict=True))
        for name in MODULES
    }
    return {
        "machine": machine(),
        "setting": {
            "parameters": model.parameters(vocab_size),
            **model.model_dump(include={"architecture", "layers", "hidden", "heads"}),
            "vocabulary": vocab_size,
            **{name: getattr(plan, name) for name in ("sequence_length", "global_batch", "micro_batch", "precision")},
            "ranks": RANKS,
            "threads_per_rank": 1,
            "steps": plan.steps,
            "warmup_steps": warmup,
            "rounds": len(runs["tokka"]),
        },
        **{name: _figures(found, tokens) for name, found in runs.items()},
        "ratios": {
            "hugging_face_over_tokka": _ratio(runs["hugging_face"], runs["tokka"]),
            "tokka_over_bare_loop": _ratio(runs["tokka"], runs["bare"]),
        },
        "data_share_of_slowest_step": max(run.data_share or 0.0 for run in runs["tokka"]),
        "loss_difference": {name: float(f"{value:.2g}") for name, value in difference.items()},
        "losses_agree": all(value <= LOSS_TOLERANCE for value in difference.values()),
        "model_flops": {name: summary["cost"][name] for name in ("formula", "tflops", "peak")},
    }


def _figures(runs: list[Run], tokens: int) -> dict[str, Any]:
    """Figures over the timed steps of all rounds."""
    seconds = sorted(second for run in runs for second in run.seconds)
    median = statistics.median(seconds)
    quarters = statistics.quantiles(seconds, n=4)
    return {
        "seconds_per_step": round(median, 4),
        "quartiles": [round(quarters[0], 4), round(quarters[2], 4)],
        "fastest": round(seconds[0], 4),
        "tokens_per_second": round(tokens / median, 1),
        "cpu_seconds_per_step": round(statistics.median(run.cpu for run in runs), 4),
    }


def _ratio(slow: list[Run], fast: list[Run]) -> dict[str, Any]:
    """How many times as long ``slow`` takes, round by round; by the fastest steps of all, and by the CPU's time."""
    rounds = [statistics.median(a.seconds) / statistics.median(b.seconds) for a, b in zip(slow, fast, strict=True)]
    fastest = min(min(run.seconds) for run in slow) / min(min(run.seconds) for run in fast)
    cpu = statistics.median(run.cpu for run in slow) / statistics.median(run.cpu for run in fast)
    return {
        "median_of_rounds": round(statistics.median(rounds), 4),
        "rounds": [round(ratio, 4) for ratio in rounds],
        "fastest_steps": round(fastest, 4),
        "cpu": round(cpu, 4),
    }
