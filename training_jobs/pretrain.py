"""Pretrain a model: ``torchrun --nproc-per-node R -m training_jobs.pretrain spec.json`` (a PretrainingJob).

Writes ``checkpoints/``, ``metrics.jsonl``, ``summary.json``, ``config.json`` and ``environment.json`` into ``output``.
States for resuming lie in ``work``: started again with the same specification, a killed run goes on from the last one.
Exit codes: 2 bad arguments, 3 bad input, 4 an input has not passed its gate, 5 the loss is not finite.
"""

import logging
import os
import platform
import socket
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assets.lake.receipt import GateNotPassedError
from assets.lake.store import Lake, LakeError
from assets.recipe.jobs import PretrainingJob
from training_jobs.job import BAD_INPUT, GATE_NOT_PASSED, JobError, read_spec, run, write_json
from training_jobs.progress import Channel, Progress, open_channel

LIBRARIES = ("torch", "nemo-toolkit", "lightning", "transformers", "megatron-core", "safetensors", "numpy")


def world() -> tuple[int, int]:
    """Rank and number of ranks of this process. A process that nothing launched is the only rank."""
    if "RANK" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        alone = {"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
        os.environ.update(alone, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def check_inputs(job: PretrainingJob, ranks: int) -> tuple[Path, Path]:
    """The local root of the lake and the mixture's folder, once every input has a passing receipt and fits the job."""
    lake = Lake.open(job.lake)
    try:
        for ref in (job.mixture, job.tokenizer):
            if ref.name not in job.accepted_risks:
                lake.require_receipt(ref)
        shards = lake.manifest(job.mixture).inputs
        mixture = lake.read_json(job.mixture, "mixture.json")
        wanted = [ref for ref in shards if any(s["prefix"].startswith(f"{ref.name}/") for s in mixture["sources"])]
        root = lake.mirror([job.mixture, *wanted])
    except GateNotPassedError as error:
        raise JobError(str(error), GATE_NOT_PASSED) from error
    except (LakeError, FileNotFoundError) as error:
        raise JobError(str(error), BAD_INPUT) from error
    training = job.training
    needed = training.data_parallel * training.tensor_parallel
    if training.tensor_parallel > 1:
        raise JobError("tensor_parallel above 1 is not supported by this trainer yet; use data_parallel.")
    if ranks != needed:
        raise JobError(
            f"The recipe asks for {needed} ranks (data_parallel x tensor_parallel), but {ranks} were started."
        )
    planned = training.steps * training.global_batch
    for name, found, expected in (
        ("sequence_length", mixture["sequence_length"], training.sequence_length),
        ("vocab_size", mixture["vocab_size"], job.vocab_size),
    ):
        if found != expected:
            raise JobError(f"The mixture was made with {name} = {found}, the recipe says {expected}.")
    if mixture["samples"] < planned:
        raise JobError(f"The mixture has {mixture['samples']:,} samples, but the run needs {planned:,}.")
    return root, root / job.mixture.name


def silence() -> None:
    """Keep warnings of the libraries out of the log: about telemetry, about parts that are not installed, about CPU."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def environment(ranks: int) -> dict[str, Any]:
    """The versions and the machine of this run; no environment variables."""
    import torch

    return {
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "host": socket.gethostname(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
        "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
        "threads_per_rank": torch.get_num_threads(),
        "ranks": ranks,
    }


def resolved(job: PretrainingJob) -> dict[str, Any]:
    """The specification without the folders of this machine, with the numbers that follow from it."""
    derived = {
        "parameters": job.model.parameters(job.vocab_size),
        "tokens": job.training.tokens,
        "samples": job.training.steps * job.training.global_batch,
        "accumulation": job.training.accumulation,
    }
    return {**job.model_dump(mode="json", exclude={"lake", "work", "output"}), "derived": derived}


def pretrain(job: PretrainingJob, channel: Channel | None) -> None:
    """Train from the last saved state to the last step, and write what came of it. All ranks call this."""
    rank, ranks = world()
    root, mixture = check_inputs(job, ranks)
    if channel is not None:
        channel.say(f"starting {job.recipe} on {ranks} rank{'s' if ranks > 1 else ''}")
    silence()
    from training_jobs.trainer import Place, Trainee

    output = Path(job.output).resolve()
    output.mkdir(parents=True, exist_ok=True)
    progress = Progress(channel, output, job.training.steps, job.training.sequence_length, job.training.log_every)
    trainee = Trainee(Place(job, root, mixture, rank, ranks), progress)
    if rank == 0:
        for leftover in output.glob(".*.tmp"):
            leftover.unlink()
        write_json(output / "config.json", resolved(job))
        write_json(output / "environment.json", environment(ranks))
    trainee.fit()
    summary = progress.summary(trainee.peak_memory())
    if rank == 0:
        write_json(output / "summary.json", summary)
    if channel is not None:
        channel.say(f"done: {summary['steps']} steps, {summary['tokens']:,} tokens, loss {summary['last_loss']:.2f}")


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    job = read_spec(PretrainingJob, arguments)
    with open_channel(int(os.environ.get("RANK", "0"))) as channel:
        pretrain(job, channel)

    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    run(main)
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written and the process group is closed; taking the libraries down costs seconds, and gloo may abort in it.
    os._exit(0)
