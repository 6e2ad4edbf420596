"""Configuration of the model, its pretraining and its checkpoints."""

from typing import Literal

from pydantic import Field, model_validator

from assets.recipe.base import Config, Positive


class Model(Config):
    """A decoder-only language model. BLOOM: ALiBi, LayerNorm after the embedding, GELU, FFN of 4 x hidden, tied embeddings."""

    architecture: Literal["bloom"] = "bloom"
    layers: Positive
    hidden: Positive
    heads: Positive
    init_std: float = Field(0.02, gt=0)
    layer_norm_epsilon: float = Field(1e-5, gt=0)

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "Model":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self

    def parameters(self, vocab_size: int) -> int:
        """Number of parameters: V h + L (12 h^2 + 13 h) + 4 h, 34.217 B for Poro 34B with V = 128,000."""
        return vocab_size * self.hidden + self.layers * (12 * self.hidden**2 + 13 * self.hidden) + 4 * self.hidden


class Training(Config):
    """Schedule, batch, optimizer, parallelism, seeds and checkpoints of one pretraining run."""

    steps: Positive
    sequence_length: Positive = Field(description="tokens per sample")
    global_batch: Positive = Field(description="samples per step, over all ranks and accumulation")
    micro_batch: Positive = Field(description="samples per rank and forward pass")
    data_parallel: Positive = 1
    tensor_parallel: Positive = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    lr: float = Field(gt=0)
    min_lr: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(0.1, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = Field(1e-8, gt=0)
    clip: float = Field(1.0, gt=0, description="gradient norm is clipped to this")
    seed: int = 1234
    checkpoints: tuple[int, ...] = Field(
        min_length=1, description="steps that become checkpoints; 0 is the untrained model"
    )
    log_every: Positive = 10

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
