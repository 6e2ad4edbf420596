"""The NeMo model: a language model sharded by FSDP2, its optimizer and schedule, and one training step."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from nemo.core.classes.modelPT import ModelPT
from omegaconf import OmegaConf
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from assets.recipe.training import Model, Training
from training_jobs.anomalies import Anomaly, Detour, Plan, decide, judge, record
from training_jobs.data import StepBatch, StepLoader
from training_jobs.language_model import LanguageModel, build
from training_jobs.progress import StepResult, Totals
from training_jobs.sharding import copies, is_cut, make_mesh, shard
from training_jobs.start import Start
from training_jobs.watch import Leaving


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


@dataclass(frozen=True)
class Surroundings:
    """What a step has to do with besides the model.

    ``on_step`` is called on every rank after each step, ``at`` tells the watch which stage of which step is reached;
    ``save_is_due`` counts on rank 0.
    """

    plan: Plan
    leaving: Leaving
    totals: Callable[[], Totals]
    on_step: Callable[[StepResult], None]
    at: Callable[[int, str], None]
    save_is_due: Callable[[], bool]


class PretrainingModel(ModelPT):
    """A language model as a NeMo model. One training step of Lightning is one optimizer step over all accumulated passes.

    The optimization is manual, so that a step is the same unit for the data, the schedule and the saved state whatever
    the accumulation is. What the ranks asked for in the last step is in ``asked_to_leave`` and ``asked_to_save``.
    """

    def __init__(
        self,
        model: Model,
        training: Training,
        vocab_size: int,
        loader: StepLoader,
        surroundings: Surroundings,
        start: Start,
    ) -> None:
        self.recipe, self.training_recipe, self.vocab_size = model, training, vocab_size
        self.surroundings, self.start = surroundings, start
        self.asked_to_leave = self.asked_to_save = False
        super().__init__(cfg=OmegaConf.create({"optim": optimization_config(training, fused=True)}))
        self.automatic_optimization = False
        self._train_dl = loader
        self.network: LanguageModel | None = None

    def configure_model(self) -> None:
        """Build the model on no device, shard it, and give every rank its part of the starting values."""
        if self.network is not None:
            return
        with torch.device("meta"):
            network = build(self.recipe, self.vocab_size, self.training_recipe.sequence_length)
        training, device = self.training_recipe, self.trainer.strategy.root_device
        mesh = make_mesh(training, dist.get_world_size(), int(os.environ["LOCAL_WORLD_SIZE"]), device.type)
        shard(network, network.blocks, training, mesh, self.recipe.parameters(self.vocab_size))
        network.to_empty(device=device)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                value = self.start(name, parameter)
                assert isinstance(parameter, DTensor)
                part = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
                parameter.to_local().copy_(part.to_local())
        self.network = network
        self.setup_optimization()

    def configure_optimizers(self) -> Any:
        """The optimizer and scheduler that ``configure_model`` made with the sharded parameters."""
        return [self._optimizer], [{"scheduler": self._scheduler["scheduler"], "interval": "step"}]

    def setup_optimizer_param_groups(self) -> None:
        """Weight decay on matrices only, not on biases and LayerNorm's parameters.

        What tensor parallel ranks cut is in groups of its own, since the optimizer takes a group at once, on one mesh; it is so
        without them too, so that any number of ranks reads the same state.
        """
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault((parameter.ndim <= 1, is_cut(name)), []).append(parameter)
        self._optimizer_param_groups = [
            {"params": parameters, **({"weight_decay": 0.0} if is_vector else {})}
            for (is_vector, _), parameters in sorted(groups.items(), key=lambda group: group[0])
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
        """``batch`` with its tensors on ``device``, and nothing in them that a GPU's kernels would end the process for.

        Forward passes with ids outside the vocabulary get zeros instead and are reported with the step.
        """
        tokens, labels = batch.tokens, batch.labels
        wrong = (tokens < 0) | (tokens >= self.vocab_size) | (labels < 0) | (labels >= self.vocab_size)
        self.bad_passes = wrong.flatten(1).any(1).double()
        if self.bad_passes.any():
            tokens, labels = tokens.masked_fill(wrong, 0), labels.masked_fill(wrong, 0)
        return StepBatch(batch.step, batch.samples, tokens.to(device), labels.to(device))

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """One optimizer step, or none where the step is out of the ordinary and the policy says so; see ``anomalies``."""
        step = batch.step + 1
        self.surroundings.at(step, "computing")
        detour = self.surroundings.plan.leaves_out(step)
        if detour is not None:
            self._take_step(self._left_out(batch, detour))
            return
        network: Any = self.network
        passes = len(batch.tokens)
        losses = []
        for index in range(passes):
            last = index == passes - 1
            network.set_requires_gradient_sync(last)
            loss = network(batch.tokens[index], batch.labels[index])
            self.manual_backward(loss / passes)
            losses.append(loss.detach())
        gradients = [p.grad for p in network.parameters() if isinstance(p.grad, DTensor)]
        shards = [(gradient.to_local(), copies(gradient)) for gradient in gradients]
        filled = [(part, count) for part, count in shards if part.numel()]
        norms = torch.stack(torch._foreach_norm([part for part, _ in filled])).double()
        # What several ranks hold counts once.
        squares = (norms.square() / torch.tensor([count for _, count in filled]).to(norms)).sum()
        self.surroundings.at(step, "exchanging results")
        result, anomaly = self._gather(batch, torch.stack(losses).double(), squares)
        self.surroundings.at(step, "updating weights")
        if anomaly is not None:
            rewinds = len(self.surroundings.plan.detours)
            action = decide(self.training_recipe.anomalies, anomaly, self.surroundings.totals().skips, rewinds)
            result.anomaly = record(anomaly.kind, action, step, anomaly.sentence, result.samples)
        norm = result.gradient_norm
        if not result.skipped and norm > self.training_recipe.clip:
            torch._foreach_mul_([part for part, _ in filled], self.training_recipe.clip / (norm + 1e-6))
        self._take_step(result)
        self.surroundings.at(step, "waiting for data")

    def _left_out(self, batch: StepBatch, detour: Detour) -> StepResult:
        """The result of a step that a rewind leaves out: nothing is computed."""
        size = self.training_recipe.global_batch
        samples = [(batch.step * size, (batch.step + 1) * size)]
        anomaly = record(detour.kind, "rewind", batch.step + 1, detour.sentence, samples)
        return StepResult(batch.step + 1, math.nan, math.nan, samples, anomaly=anomaly)

    def _take_step(self, result: StepResult) -> None:
        """Move weights and schedule on. A skipped step has no gradients, so it moves the schedule and no weight."""
        optimizer: Any = self.optimizers()
        scheduler: Any = self.lr_schedulers()
        result.learning_rate = optimizer.param_groups[0]["lr"]
        if result.skipped:
            optimizer.zero_grad()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        self.surroundings.on_step(result)

    def _gather(self, batch: StepBatch, losses: Tensor, squares: Tensor) -> tuple[StepResult, Anomaly | None]:
        """What all ranks did in this step, in one message: losses, squared gradient norm, sample range, and requests."""
        start, stop = batch.samples.start, batch.samples.stop
        # Sample numbers are exact in float64 below 2^53.
        numbers = [start, stop, float(self.surroundings.leaving.asked), float(self.surroundings.save_is_due())]
        head = torch.tensor([*numbers, *self.bad_passes.tolist()], dtype=torch.float64, device=losses.device)
        message = torch.cat([squares.view(1), head, losses])
        ranks = [torch.empty_like(message) for _ in range(dist.get_world_size())]
        dist.all_gather(ranks, message)
        rows = [rank.tolist() for rank in ranks]
        self.asked_to_leave, self.asked_to_save = any(row[3] for row in rows), bool(rows[0][4])
        norm = sum(row[0] for row in rows) ** 0.5
        rows = rows[:: self.training_recipe.tensor_parallel]
        micro, passes = self.training_recipe.micro_batch, len(losses)
        values, bad = [], []
        for row in rows:
            for index, value in enumerate(row[5 + passes :]):
                first = int(row[1]) + index * micro
                values.append((value, (first, first + micro)))
                if row[5 + index]:
                    bad.append((first, first + micro))
        step = batch.step + 1
        anomaly = judge(self.training_recipe.anomalies, step, values, norm, bad, self.surroundings.totals().recent)
        mean = sum(value for value, _ in values) / len(values)
        return StepResult(step, mean, norm, [(int(row[1]), int(row[2])) for row in rows]), anomaly

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep plain types only: a state is read with ``weights_only``, which refuses NeMo's configuration objects."""
        for key in [key for key in checkpoint if key.startswith("hyper_parameters") or key.startswith("hparams")]:
            del checkpoint[key]
