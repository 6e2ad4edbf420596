"""Pretrain a model: ``torchrun --nproc-per-node R -m training_jobs.pretrain spec.json`` (a PretrainingJob).

Writes ``checkpoints/``, ``metrics.jsonl``, ``summary.json``, ``config.json`` and ``environment.json`` into ``output``.
States for resuming lie in ``work``: started again with the same specification, a killed run goes on from the last one.
Exit codes: 2 bad arguments, 3 bad input, 4 an input has not passed its gate, 5 stopped at an anomaly (a loss that is not
finite, a spike, a damaged batch). Worth another start: 6 a rank is lost or hangs, 75 asked to leave (SIGTERM), state saved.
"""

import gc
import logging
import os
import platform
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from assets.lake.receipt import GateNotPassedError
from assets.lake.store import Lake, LakeError
from assets.recipe.jobs import PretrainingJob
from assets.recipe.reliability import LOST_RANK
from training_jobs.anomalies import RewindError
from training_jobs.cost import Gauge, Matrices
from training_jobs.job import BAD_INPUT, GATE_NOT_PASSED, JobError, read_spec, run, write_json
from training_jobs.progress import Channel, Progress, open_channel
from training_jobs.watch import Leaving, Watch

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
        made_from = lake.manifest(job.mixture).inputs
        mixture = lake.read_json(job.mixture, "mixture.json")
        shards = [ref for ref in made_from if ref.asset == "tokenized_shards"]
        # Of the shards of a remote lake only the .idx files come here; token ids are read by ranges.
        root = lake.mirror([job.mixture, *shards], stream=True)
    except GateNotPassedError as error:
        raise JobError(str(error), GATE_NOT_PASSED) from error
    except (LakeError, FileNotFoundError) as error:
        raise JobError(str(error), BAD_INPUT) from error
    for ref in made_from:
        if ref.asset == "tokenizer" and ref.digest != job.tokenizer.digest:
            raise JobError(
                f"The mixture's shards were tokenized with {ref.name}, but the run was given {job.tokenizer.name}. Make the "
                "mixture again with `tokka run`."
            )
    training = job.training
    needed = training.data_parallel * training.tensor_parallel
    for name in ("heads", "kv_heads", "feed_forward"):
        size = getattr(job.model, name)
        if size and size % training.tensor_parallel:
            raise JobError(f"tensor_parallel ({training.tensor_parallel}) must divide the model's {name} ({size}).")
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


def take_gpu() -> None:
    """Make this rank's own GPU the current one, before anything asks torch about GPUs: that would go to the first of all."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def environment(ranks: int) -> dict[str, Any]:
    """The versions and the machine of this run; of the environment only the digest of the container's image."""
    import torch

    return {
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "image": os.environ.get("TOKKA_IMAGE"),
        "host": socket.gethostname(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
        "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
        "threads_per_rank": torch.get_num_threads(),
        "ranks": ranks,
    }


def resolved(job: PretrainingJob) -> dict[str, Any]:
    """The specification without the folders and costs of this machine, with the numbers that follow from it."""
    derived = {
        "parameters": job.model.parameters(job.vocab_size),
        "tokens": job.training.tokens,
        "samples": job.training.steps * job.training.global_batch,
        "accumulation": job.training.accumulation,
    }
    return {**job.model_dump(mode="json", exclude={"lake", "work", "output", "cost"}), "derived": derived}


def pretrain(job: PretrainingJob, channel: Channel | None, leaving: Leaving) -> None:
    """Train from the last saved state to the last step, and write what came of it. All ranks call this."""
    rank, ranks = world()
    root, mixture = check_inputs(job, ranks)
    if channel is not None:
        channel.say(f"starting {job.recipe} on {ranks} rank{'s' if ranks > 1 else ''}")
    silence()
    take_gpu()
    output = Path(job.output).resolve()
    output.mkdir(parents=True, exist_ok=True)
    training, device = job.training, environment(ranks)["device"]
    matrices = Matrices.of(job.model, job.vocab_size)
    gauge = Gauge(matrices, training.sequence_length, ranks, device, training.precision, job.cost)
    if channel is not None:
        channel.say(gauge.sentence())
    window = training.anomalies.window
    progress = Progress(channel, output, training.steps, training.sequence_length, training.log_every, gauge, window)
    if rank == 0:
        for leftover in output.glob(".*.tmp"):
            leftover.unlink()
        write_json(output / "config.json", resolved(job))
        write_json(output / "environment.json", environment(ranks))
    summary = train(job, root, mixture, progress, leaving)
    if rank == 0:
        write_json(output / "summary.json", summary)
    if channel is not None:
        channel.say(f"done: {summary['steps']} steps, {summary['tokens']:,} tokens, loss {summary['last_loss']:.2f}")


def train(job: PretrainingJob, root: Path, mixture: Path, progress: Progress, leaving: Leaving) -> dict[str, Any]:
    """Train, over rewinds, with an eye on all ranks; returns the summary."""
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    from training_jobs.states import States
    from training_jobs.trainer import Place, Trainee

    rank, ranks = world()
    watching = job.training.watching
    # The watch ends a run that hangs; the group's own limit is for the case that the watch hangs too.
    limit = timedelta(minutes=2 * watching.hang_minutes + 10)
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=limit)
    watch = Watch(dist.distributed_c10d._get_default_store(), rank, ranks, watching, speak(progress))
    watch.start()
    try:
        uri = job.states or str(Path(job.work).resolve() / "states")
        states = States(uri, job.training.saving.keep, progress.say, is_remote=bool(job.states))
        place = Place(job, root, mixture, rank, ranks, states, leaving, watch)
        plan, found = states.read_plan(), states.find()
        if rank == 0:
            states.fetch_checkpoints(Path(job.output).resolve() / "checkpoints")
        while True:
            trainee = Trainee(place, progress, found, plan)
            try:
                trainee.fit()
                states.close()
                return progress.summary(trainee.peak_memory())
            except RewindError as rewind:
                found = states.find()
                progress.say(
                    f"{rewind.anomaly.sentence}: back to the state of step {found.step}; the steps since are left out"
                )
                plan = plan.after(rewind.anomaly, found.step)
                states.write_plan(plan)
            del trainee
            gc.collect()
            # What was compiled for the old model counts towards torch's limit for the new one.
            torch.compiler.reset()
    except JobError:
        raise
    except Exception as error:
        lost = watch.explain() if ranks > 1 else None
        if lost is None:
            raise
        # Where rank 0 is what is lost, nobody else would say so: of a machine only the first rank prints a job's error.
        if rank and "rank 0 (" in lost and os.environ["LOCAL_RANK"] != "0":
            speak(progress)(f"error: {lost}.")
        raise JobError(f"{lost}. The run ends; started again, it goes on from its last state.", LOST_RANK) from error
    finally:
        watch.stop()


def speak(progress: Progress) -> Callable[[str], None]:
    """To the run's channel from rank 0, and from other ranks, where rank 0 may be what is lost, to standard error."""
    if progress.channel is not None:
        return progress.say
    return lambda sentence: print(sentence, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments`` is the path of the specification."""
    leaving = Leaving()
    leaving.listen()
    job = read_spec(PretrainingJob, arguments)
    with open_channel(int(os.environ.get("RANK", "0"))) as channel:
        pretrain(job, channel, leaving)

    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def process() -> None:
    """Run the job that the command line names, and end this process."""
    code = 0
    try:
        run(main)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written and the process group is closed; taking the libraries down costs seconds, and gloo may abort in it.
    os._exit(code)


if __name__ == "__main__":
    process()
