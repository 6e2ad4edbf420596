"""Lightning, NeMo's exp_manager and saved states, put together for one pretraining run."""

import dataclasses
import logging
import os
import resource
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy
from nemo.utils import logging as nemo_logging
from nemo.utils.callbacks import NeMoModelCheckpoint
from nemo.utils.exp_manager import exp_manager

from assets.recipe.jobs import PretrainingJob
from training_jobs.data import StepLoader, Steps, open_mixture
from training_jobs.export import PROBE_LENGTH, PROBE_SAMPLES, checkpoint_folder, export_checkpoint
from training_jobs.job import JobError
from training_jobs.model import PretrainingModel
from training_jobs.progress import Progress, Totals

STATE_MINUTES = 10


def newest_state(folder: Path) -> Path | None:
    """The saved state with the highest step in ``folder`` that was written to its end, or None."""
    states = []
    for path in folder.glob("step=*.ckpt"):
        whole = (path / "meta.pt").is_file() and (path / ".metadata").is_file()
        if whole and not NeMoModelCheckpoint.is_checkpoint_unfinished(path):
            states.append((int(path.stem.removeprefix("step=")), path))
    return max(states)[1] if states else None


@dataclasses.dataclass(frozen=True)
class Place:
    """A job with what this process is in it: its rank, and the folders of the lake and the mixture on this machine."""

    job: PretrainingJob
    root: Path
    mixture: Path
    rank: int
    ranks: int


class Keeper(pl.Callback):
    """Exports checkpoints at the recipe's steps, saves a state there, and keeps the totals as part of every state."""

    state_key = "tokka"

    def __init__(self, trainee: "Trainee") -> None:
        self.trainee = trainee

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self.trainee.progress.totals)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.trainee.progress.totals = Totals(**state_dict)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        progress = self.trainee.progress
        if progress.totals.step != trainer.global_step:
            raise JobError(
                f"The saved state is of step {trainer.global_step}, its totals of step {progress.totals.step}."
            )
        self.trainee.loader.seconds = progress.totals.data_seconds
        self.trainee.export(trainer.global_step)
        progress.start(progress.totals)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step in self.trainee.job.training.checkpoints:
            states = self.trainee.states
            states._save_topk_checkpoint(trainer, states._monitor_candidates(trainer))
            self.trainee.export(step)
            self.trainee.progress.skip()


class Trainee:
    """One rank of a pretraining run. ``fit`` trains from the newest saved state in ``job.work`` to the last step."""

    def __init__(self, place: Place, progress: Progress) -> None:
        job, rank, ranks = place.job, place.rank, place.ranks
        self.job, self.progress, self.rank = job, progress, rank
        self.output = Path(job.output).resolve()
        training = job.training
        dataset, _ = open_mixture(place.mixture, place.root)
        on_gpu = torch.cuda.is_available()
        data = Steps(dataset, training.global_batch, training.micro_batch, rank, ranks)
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
            strategy=ModelParallelStrategy(
                data_parallel_size=training.data_parallel,
                tensor_parallel_size=training.tensor_parallel,
                process_group_backend="nccl" if on_gpu else "gloo",
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
        self.states = self._manage_experiment()
        self.model = PretrainingModel(
            job.model,
            training,
            job.vocab_size,
            self.loader,
            lambda result: self.progress.step(result, self.loader.seconds),
        )

    def _manage_experiment(self) -> NeMoModelCheckpoint:
        """Give logs, saved states and resuming to NeMo's exp_manager; returns the callback that saves states."""
        nemo_logging.setLevel(logging.CRITICAL)
        work = Path(self.job.work).resolve()
        states = work / "states"
        states.mkdir(parents=True, exist_ok=True)
        newest = newest_state(states)
        exp_manager(
            self.trainer,
            {
                "explicit_log_dir": str(work / "logs"),
                "resume_from_checkpoint": str(newest) if newest else None,
                "create_tensorboard_logger": False,
                "log_step_timing": False,
                "seconds_to_sleep": 0,
                "checkpoint_callback_params": {
                    "dirpath": str(states),
                    "filename": "{step}",
                    "monitor": "step",
                    "mode": "max",
                    "save_top_k": 2,
                    "save_last": False,
                    "verbose": False,
                    "every_n_epochs": None,
                    "save_nemo_on_train_end": False,
                },
            },
        )
        nemo_logging.setLevel(logging.ERROR)
        callbacks: list[pl.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        callback = next(c for c in callbacks if isinstance(c, NeMoModelCheckpoint))
        callback._train_time_interval = timedelta(minutes=STATE_MINUTES)
        return callback

    def fit(self) -> None:
        """Train. Raises JobError where the loss is not finite or the saved state does not fit the job."""
        self.trainer.fit(self.model, ckpt_path=self.trainer.ckpt_path)
        # A run that was killed after its last step has nothing to train, but may lack its last checkpoint.
        self.export(self.job.training.steps)

    def export(self, step: int) -> None:
        """Export the checkpoint of ``step`` where the recipe wants one and it is not there. All ranks call this."""
        folder = checkpoint_folder(self.output, step)
        if step not in self.job.training.checkpoints or folder.exists():
            return
        bloom = self.model.bloom
        assert bloom is not None
        probe = self.probe.to(self.trainer.strategy.root_device)
        dtype = torch.bfloat16 if self.job.training.precision == "bf16" else torch.float32
        export_checkpoint(bloom, probe, folder, writes=self.rank == 0, dtype=dtype)
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
