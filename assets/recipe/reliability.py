"""Configuration of what a pretraining run does against loss of work: saved states, watching over ranks, anomalies."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from assets.recipe.base import Config, Positive

LOST_RANK = 6
"""Exit code of a pretraining job that lost a rank, or whose ranks hang."""
PREEMPTED = 75
"""Exit code of a pretraining job that was asked to leave (SIGTERM) and has saved its state: EX_TEMPFAIL of sysexits.h."""
KILLED = 137
"""Exit code of a process that was killed, by the kernel for its memory or with its machine: the shell's code for SIGKILL."""

Action = Literal["note", "skip", "rewind", "stop"]
"""What follows an anomaly. ``note``: it is recorded and the step is taken. ``skip``: the step's samples are left out and the
weights stay. ``rewind``: back to the last good state, and all samples from there up to the anomaly are left out, as PaLM did
(Chowdhery et al. 2022, section 5.1). ``stop``: the run ends."""


class Saving(Config):
    """Saved training states: how often, how many, and where. Nothing of it changes the weights."""

    every_minutes: float = Field(10.0, gt=0, description="time between saved states; checkpoint steps are always saved")
    every_steps: Positive | None = Field(None, description="save at the multiples of this step too")
    keep: Positive = Field(2, description="whole states that are kept; older ones go")
    place: Literal["scratch", "lake"] = Field(
        "scratch", description="lake: under the lake's URI, where the scratch folder is not shared between machines"
    )


class Watching(Config):
    """When a rank counts as lost or hanging, and how often a run that lost one is started again."""

    silent_seconds: float = Field(60.0, gt=0, description="a rank that gives no sign of life for so long is lost")
    hang_minutes: float = Field(30.0, gt=0, description="no rank got any further for so long: the run hangs")
    restarts: int = Field(3, ge=0, description="starts after a lost rank or a hang, and as many after a killed process")
    preemptions: int = Field(100, ge=0, description="starts after the run was asked to leave (SIGTERM)")

    @property
    def starts_again(self) -> dict[int, int]:
        """How often a job is started again, by its exit code."""
        return {LOST_RANK: self.restarts, KILLED: self.restarts, PREEMPTED: self.preemptions}


class Anomalies(Config):
    """What is out of the ordinary in a step, what follows, and how often. All is judged before the weights change."""

    not_finite: Action = Field("skip", description="a loss or the gradient norm is no number; never note")
    bad_tokens: Action = Field("skip", description="a token id outside the vocabulary: a damaged shard; never note")
    loss_spike: Action = Field("skip", description="loss above spike_factor x median of the last window steps")
    gradient_norm: Action = Field("skip", description="gradient norm outside gradient_norm_bounds")
    spike_factor: float = Field(1.5, gt=1, description="of loss_spike: times the running median")
    window: Positive = Field(64, description="steps of the running median; it judges once half of them are there")
    gradient_norm_bounds: tuple[float, float] = Field(
        (0.0, 1000.0), description="lowest and highest gradient norm that are ordinary"
    )
    max_skips: int = Field(20, ge=0, description="steps skipped one by one; one more stops the run")
    max_rewinds: int = Field(3, ge=0, description="one more stops the run")

    @field_validator("not_finite", "bad_tokens")
    @classmethod
    def _cannot_be_trained_on(cls, value: Action) -> Action:
        if value == "note":
            raise ValueError("must be skip, rewind or stop: such a step cannot be taken")
        return value

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "Anomalies":
        low, high = self.gradient_norm_bounds
        if not 0 <= low < high:
            raise ValueError(f"gradient_norm_bounds must be 0 <= low < high, not {low:g} and {high:g}")
        return self
