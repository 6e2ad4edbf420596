"""Lightning, NeMo's exp_manager and saved states, put together for one pretraining run."""

import dataclasses
import logging
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from nemo.utils import logging as nemo_logging
from nemo.utils.exp_manager import exp_manager

from assets.recipe.jobs import PretrainingJob
from assets.recipe.reliability import PREEMPTED
from training_jobs.anomalies import Plan
from training_jobs.data import StepLoader, Steps, open_mixture, open_validation
from training_jobs.export import PROBE_LENGTH, PROBE_SAMPLES, checkpoint_folder, export_checkpoint
from training_jobs.job import JobError, write_whole
from training_jobs.model import PretrainingModel, Surroundings
from training_jobs.progress import Progress, Totals
from training_jobs.sharding import ShardedStrategy
from training_jobs.start import starting_values
from training_jobs.states import Found, States, state_name
from training_jobs.validation import VALIDATION, read_lines, validation_losses, write_lines
from training_jobs.watch import Leaving, Watch


@dataclasses.dataclass(frozen=True)
class Place:
    """A job with what this process is in it: its rank, the folders on this machine, and what it shares with the others."""

    job: PretrainingJob
    root: Path
    mixture: Path
    rank: int
    ranks: int
    states: States
    leaving: Leaving
    watch: Watch


class Keeper(pl.Callback):
    """Saves states, exports checkpoints at the recipe's steps, and keeps the totals as part of every state."""

    state_key = "tokka"

    def __init__(self, trainee: "Trainee") -> None:
        self.trainee = trainee

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self.trainee.progress.totals)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.trainee.progress.totals = Totals(**state_dict)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainee = self.trainee
        if trainee.progress.totals.step != trainer.global_step:
            raise JobError(
                f"The saved state is of step {trainer.global_step}, its totals of step {trainee.progress.totals.step}."
            )
        # Lightning has put handlers of its own in place by now.
        trainee.place.leaving.listen()
        trainee.place.leaving.training = True
        trainee.loader.seconds = trainee.progress.totals.data_seconds
        trainee.export(trainer.global_step)
        trainee.progress.start(trainee.progress.totals)
        trainee.saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainee, step = self.trainee, trainer.global_step
        training, model = trainee.job.training, trainee.model
        leaves = model.asked_to_leave and step < training.steps
        every = training.saving.every_steps
        is_checkpoint = step in training.checkpoints
        if not (leaves or is_checkpoint or model.asked_to_save or (every and step % every == 0)):
            return
        trainee.place.watch.at(step, "saving")
        if is_checkpoint:
            trainee.export(step)
        trainer.save_checkpoint(state_name(step))
        trainee.saved = time.monotonic()
        if leaves:
            whole = trainee.place.states.wait()
            where = f"its state of step {step} is saved" if whole else "its state could not be saved"
            raise JobError(
                f"The run was asked to leave (SIGTERM) in step {step} of {training.steps}; {where}. Start it again to go on.",
                PREEMPTED,
            )
        trainee.progress.skip()


class Trainee:
    """One rank of a pretraining run. ``fit`` trains from the state ``found`` to the last step, but what ``plan`` leaves out."""

    def __init__(self, place: Place, progress: Progress, found: Found, plan: Plan) -> None:
        job, ranks = place.job, place.ranks
        self.place, self.job, self.progress, self.found = place, job, progress, found
        self.output = Path(job.output).resolve()
        self.saved = time.monotonic()
        training = job.training
        progress.totals = Totals()
        self.logs = (progress.path, self.output / VALIDATION)
        dataset, _ = open_mixture(place.mixture, place.root)
        self.validation = open_validation(place.mixture, place.root)
        on_gpu = torch.cuda.is_available()
        self.data_place = (place.rank // training.tensor_parallel, ranks // training.tensor_parallel)
        data = Steps(dataset, training.global_batch, training.micro_batch, *self.data_place)
        self.loader = StepLoader(data, training.steps, lambda: self.trainer.global_step, workers=2 if on_gpu else 0)
        count = min(PROBE_SAMPLES, training.steps * training.global_batch)
        self.probe = torch.stack([dataset[index]["tokens"] for index in range(count)])[:, :PROBE_LENGTH]
        pl.seed_everything(training.seed, verbose=False)
        local_ranks = int(os.environ["LOCAL_WORLD_SIZE"])
        self.trainer = pl.Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=local_ranks,
            num_nodes=ranks // local_ranks,
            plugins=[TorchElasticEnvironment()],
            strategy=ShardedStrategy(
                place.states,
                self._logs,
                data_parallel_size=training.data_parallel,
                tensor_parallel_size=training.tensor_parallel,
            ),
            max_steps=training.steps,
            max_epochs=-1,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[Keeper(self)],
        )
        self._manage_experiment()
        surroundings = Surroundings(
            plan=plan,
            leaving=place.leaving,
            totals=lambda: self.progress.totals,
            on_step=lambda result: self.progress.step(result, self.loader.seconds),
            at=place.watch.at,
            save_is_due=lambda: time.monotonic() - self.saved > 60 * training.saving.every_minutes,
        )
        self.model = PretrainingModel(
            job.model, training, job.vocab_size, self.loader, surroundings, starting_values(job)
        )

    def _manage_experiment(self) -> None:
        """Give the folder for logs to NeMo's exp_manager. Its own checkpoints and its callback for preemption stay off:
        they are written while the step waits, and work on NVIDIA GPUs and for a signal to rank 0 only."""
        nemo_logging.setLevel(logging.CRITICAL)
        exp_manager(
            self.trainer,
            {
                "explicit_log_dir": str(Path(self.job.work).resolve() / "logs"),
                "create_tensorboard_logger": False,
                "create_checkpoint_callback": False,
                "log_step_timing": False,
                "seconds_to_sleep": 0,
            },
        )
        nemo_logging.setLevel(logging.ERROR)

    def fit(self) -> None:
        """Train. Raises what ``anomalies.decide`` raises, and JobError where the state does not fit the job."""
        if self.place.rank == 0:
            self._leave_later_work()
        self.trainer.fit(self.model, ckpt_path=self.found.path)
        # A run that was killed after its last step has nothing to train, but may lack its last checkpoint.
        self.export(self.job.training.steps)

    def _leave_later_work(self) -> None:
        """Have the logs as they were with the state, and no checkpoint after it.

        This machine may have stopped long before the state or gone beyond it, with samples that are left out now.
        """
        for path in self.logs:
            if self.found.path is not None and self.place.states.has(self.found.path, path.name):
                write_whole(path, self.place.states.read(self.found.path, path.name))
            else:
                path.unlink(missing_ok=True)
        for folder in (self.output / "checkpoints").glob("step-*"):
            if int(folder.name.removeprefix("step-")) > self.found.step:
                shutil.rmtree(folder)

    def _logs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.logs if path.exists()}

    def export(self, step: int) -> None:
        """Validate and export the checkpoint of ``step`` where the recipe wants one and it is not there. All ranks call this."""
        if step not in self.job.training.checkpoints:
            return
        network = self.model.network
        assert network is not None
        folder, log = checkpoint_folder(self.output, step), self.output / VALIDATION
        rows = read_lines(log, step)
        # Rank 0 decides: where machines do not share their folders, only its own shows what is there.
        is_there = torch.tensor([folder.exists(), any(row["step"] == step for row in rows)])
        dist.broadcast(is_there, 0)
        if self.validation and not is_there[1]:
            losses = validation_losses(
                network,
                self.validation,
                self.job.training.micro_batch,
                *self.data_place,
                self.trainer.strategy.root_device,
            )
            if self.place.rank == 0:
                write_lines(log, [*rows, {"step": step, "losses": losses}])
            self.progress.say(
                f"validation loss in step {step}: " + ", ".join(f"{k} {v:.2f}" for k, v in losses.items())
            )
        if is_there[0]:
            return
        probe = self.probe.to(self.trainer.strategy.root_device)
        dtype = torch.bfloat16 if self.job.training.precision == "bf16" else torch.float32
        export_checkpoint(network, probe, folder, writes=self.place.rank == 0, dtype=dtype)
        if self.place.rank == 0:
            self.place.states.keep_checkpoint(folder)
        dist.barrier()

    def peak_memory(self) -> int:
        """Bytes that the hungriest rank took at its peak: of the GPU, or of the process on CPU."""
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated()
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        value = torch.tensor([peak], dtype=torch.int64, device=self.trainer.strategy.root_device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value.item())
