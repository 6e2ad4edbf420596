"""Configuration of pretraining and its checkpoints."""

from typing import Literal

from pydantic import Field, model_validator

from assets.recipe.architecture import Model
from assets.recipe.base import Config, Positive
from assets.recipe.reliability import Anomalies, Saving, Watching

__all__ = ["Model", "Training"]


class Training(Config):
    """Schedule, batch, optimizer, parallelism, seeds and checkpoints of one pretraining run."""

    steps: Positive = Field(description="optimizer steps of the run")
    sequence_length: Positive = Field(description="tokens per sample")
    global_batch: Positive = Field(description="samples per step, over all ranks and accumulation")
    micro_batch: Positive = Field(description="samples per rank and forward pass")
    data_parallel: Positive = Field(1, description="ranks that take different samples")
    tensor_parallel: Positive = Field(1, description="ranks that share the work on each sample")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="numbers that the forward and backward pass calculate in"
    )
    lr: float = Field(gt=0, description="learning rate at its highest, after the warm-up")
    min_lr: float = Field(ge=0, description="learning rate at the last step")
    warmup_steps: int = Field(ge=0, description="steps in which the learning rate rises")
    weight_decay: float = Field(0.1, ge=0, description="AdamW's weight decay")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's averages of gradient and squared gradient")
    epsilon: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    clip: float = Field(1.0, gt=0, description="gradient norm is clipped to this")
    seed: int = Field(1234, description="of the first weights and the order of the samples")
    checkpoints: tuple[int, ...] = Field(
        min_length=1, description="steps that become checkpoints; 0 is the untrained model"
    )
    log_every: Positive = Field(10, description="steps over which the speed is taken; every step is logged")
    activation_checkpointing: Literal["none", "half", "full"] = Field(
        "none", description="blocks whose activations are computed again in the backward pass: none, every second, all"
    )
    compile: bool = Field(False, description="torch.compile, block by block")
    shard_over: Literal["all", "node"] = Field(
        "all", description="ranks that share one copy of the weights: all, or those of a node (hybrid sharding)"
    )
    saving: Saving = Field(Saving(), description="saved states for resuming")
    watching: Watching = Field(Watching(), description="when a rank counts as lost")
    anomalies: Anomalies = Field(Anomalies(), description="what follows a step out of the ordinary")

    @model_validator(mode="after")
    def _consistent(self) -> "Training":
        per_pass = self.micro_batch * self.data_parallel
        if self.global_batch % per_pass:
            raise ValueError(
                f"global_batch ({self.global_batch}) must be a multiple of micro_batch x data_parallel ({per_pass})"
            )
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be below steps ({self.steps})")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr ({self.min_lr:g}) must not be above lr ({self.lr:g})")
        if list(self.checkpoints) != sorted(set(self.checkpoints)) or self.checkpoints[0] < 0:
            raise ValueError("checkpoints must be different steps in ascending order, none below 0")
        if self.checkpoints[-1] != self.steps:
            raise ValueError(f"the last checkpoint must be the last step ({self.steps}), not {self.checkpoints[-1]}")
        return self

    @property
    def accumulation(self) -> int:
        """Forward passes per rank and step."""
        return self.global_batch // (self.micro_batch * self.data_parallel)

    @property
    def tokens(self) -> int:
        """Tokens consumed by the whole run."""
        return self.steps * self.global_batch * self.sequence_length
