"""The NeMo model: BLOOM sharded by FSDP2, its optimizer and schedule, and one training step."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from nemo.core.classes.modelPT import ModelPT
from omegaconf import OmegaConf
from torch import Tensor
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from assets.recipe.training import Model, Training
from training_jobs.bloom import Bloom, bloom_config, initial_value
from training_jobs.data import StepBatch, StepLoader
from training_jobs.job import NOT_FINITE, JobError
from training_jobs.progress import StepResult

LARGE = 1_000_000_000
ADVICE = "Lower the learning rate or look at these samples; the last good state is kept."


def optimization_config(training: Training, fused: bool) -> dict[str, Any]:
    """NeMo's optimizer configuration: AdamW, linear warm-up to ``lr``, then a cosine to ``min_lr`` at ``steps``."""
    return {
        "name": "adamw",
        "lr": training.lr,
        "betas": list(training.betas),
        "eps": training.epsilon,
        "weight_decay": training.weight_decay,
        "fused": fused,
        "sched": {"name": "CosineAnnealing", "warmup_steps": training.warmup_steps, "min_lr": training.min_lr},
    }


class PretrainingModel(ModelPT):
    """``Bloom`` as a NeMo model. One training step of Lightning is one optimizer step over all accumulated passes.

    The optimization is manual, so that a step is the same unit for the data, the schedule and the saved state whatever
    the accumulation is. ``on_step`` is called on every rank after each step.
    """

    def __init__(
        self,
        model: Model,
        training: Training,
        vocab_size: int,
        loader: StepLoader,
        on_step: Callable[[StepResult], None],
    ) -> None:
        self.recipe, self.training_recipe, self.vocab_size = model, training, vocab_size
        self.on_step = on_step
        super().__init__(cfg=OmegaConf.create({"optim": optimization_config(training, fused=True)}))
        self.automatic_optimization = False
        self._train_dl = loader
        self.bloom: Bloom | None = None

    def configure_model(self) -> None:
        """Build the model on no device, shard it, and give every rank its part of the starting values."""
        if self.bloom is not None:
            return
        with torch.device("meta"):
            bloom = Bloom(bloom_config(self.recipe, self.vocab_size))
        mesh = self.device_mesh["data_parallel"]
        large = self.recipe.parameters(self.vocab_size) > LARGE
        options: dict[str, Any] = {"mesh": mesh, "reshard_after_forward": large}
        if self.training_recipe.precision == "bf16":
            options["mp_policy"] = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        for block in bloom.transformer.h:
            fully_shard(block, **options)
        fully_shard(bloom, **options)
        bloom.to_empty(device=self.trainer.strategy.root_device)
        with torch.no_grad():
            for name, parameter in bloom.named_parameters():
                value = initial_value(name, parameter, self.recipe.init_std, self.training_recipe.seed)
                assert isinstance(parameter, DTensor)
                shard = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
                parameter.to_local().copy_(shard.to_local())
        self.bloom = bloom
        self.setup_optimization()

    def configure_optimizers(self) -> Any:
        """The optimizer and scheduler that ``configure_model`` made with the sharded parameters."""
        return [self._optimizer], [{"scheduler": self._scheduler["scheduler"], "interval": "step"}]

    def setup_optimizer_param_groups(self) -> None:
        """Weight decay on matrices only, not on biases and LayerNorm's parameters."""
        parameters = list(self.parameters())
        self._optimizer_param_groups = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]

    def setup_training_data(self, train_data_config: Any) -> None:
        """Nothing: the loader is given to the constructor."""

    def setup_validation_data(self, val_data_config: Any) -> None:
        """Nothing: checkpoints are evaluated outside of training."""

    @classmethod
    def list_available_models(cls) -> None:
        """None: models come from recipes."""
        return None

    def transfer_batch_to_device(self, batch: StepBatch, device: torch.device, dataloader_idx: int) -> StepBatch:
        """``batch`` with its tensors on ``device``."""
        return StepBatch(batch.step, batch.samples, batch.tokens.to(device), batch.labels.to(device))

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """One optimizer step. Raises JobError (NOT_FINITE) before the weights change where a loss is not finite."""
        bloom: Any = self.bloom
        optimizer: Any = self.optimizers()
        scheduler: Any = self.lr_schedulers()
        passes = len(batch.tokens)
        losses = []
        for index in range(passes):
            last = index == passes - 1
            bloom.set_requires_gradient_sync(last)
            loss = bloom(batch.tokens[index], batch.labels[index])
            self.manual_backward(loss / passes)
            losses.append(loss.detach())
        shards = [p.grad.to_local() for p in bloom.parameters() if isinstance(p.grad, DTensor)]
        filled = [shard for shard in shards if shard.numel()]
        squares = torch.stack(torch._foreach_norm(filled)).double().square().sum()
        step = self._gather(batch, torch.stack(losses).double(), squares)
        if step.gradient_norm > self.training_recipe.clip:
            torch._foreach_mul_(filled, self.training_recipe.clip / (step.gradient_norm + 1e-6))
        step.learning_rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        self.on_step(step)

    def _gather(self, batch: StepBatch, losses: Tensor, squares: Tensor) -> StepResult:
        """What all ranks did in this step: one message of losses, squared gradient norm and sample range per rank."""
        # Sample numbers are exact in float64 below 2^53.
        bounds = torch.tensor([batch.samples.start, batch.samples.stop], dtype=torch.float64, device=losses.device)
        message = torch.cat([squares.view(1), bounds, losses])
        ranks = [torch.empty_like(message) for _ in range(dist.get_world_size())]
        dist.all_gather(ranks, message)
        rows = [rank.tolist() for rank in ranks]
        micro = self.training_recipe.micro_batch
        bad = []
        for _square, start, _stop, *values in rows:
            for index, value in enumerate(values):
                if not math.isfinite(value):
                    first = int(start) + index * micro
                    bad.append(f"{first} to {first + micro - 1}")
        if bad:
            raise JobError(
                f"The loss is not finite in step {batch.step + 1}, in the samples {', '.join(bad)}. {ADVICE}",
                NOT_FINITE,
            )
        norm = sum(row[0] for row in rows) ** 0.5
        if not math.isfinite(norm):
            raise JobError(
                f"The gradient norm is not finite in step {batch.step + 1}, in the samples {int(rows[0][1])} to "
                f"{int(rows[-1][2]) - 1}. {ADVICE}",
                NOT_FINITE,
            )
        values = [value for row in rows for value in row[3:]]
        return StepResult(
            step=batch.step + 1,
            loss=sum(values) / len(values),
            gradient_norm=norm,
            samples=[(int(row[1]), int(row[2])) for row in rows],
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep plain types only: a state is read with ``weights_only``, which refuses NeMo's configuration objects."""
        for key in [key for key in checkpoint if key.startswith("hyper_parameters") or key.startswith("hparams")]:
            del checkpoint[key]
