"""Steps out of the ordinary: what is recognised before the weights change, and what follows from it by policy."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from assets.recipe.reliability import Action, Anomalies
from training_jobs.job import NOT_FINITE, JobError

Kind = Literal["not_finite", "bad_tokens", "loss_spike", "gradient_norm"]
ADVICE = "Lower the learning rate or look at these samples; the last good state is kept."


@dataclass(frozen=True)
class Anomaly:
    """One anomaly: its step (counted from 1), a sentence that says what was found, and the samples [start, stop) concerned."""

    kind: Kind
    step: int
    sentence: str
    samples: tuple[tuple[int, int], ...]


class RewindError(Exception):
    """The run goes back to its last good state because of ``anomaly``."""

    def __init__(self, anomaly: Anomaly) -> None:
        super().__init__(anomaly.sentence)
        self.anomaly = anomaly


def spans(samples: Sequence[tuple[int, int]]) -> str:
    """Sample ranges for people: ``8 to 11, 16 to 19``."""
    return ", ".join(f"{start} to {stop - 1}" for start, stop in samples)


def judge(
    policy: Anomalies,
    step: int,
    losses: Sequence[tuple[float, tuple[int, int]]],
    norm: float,
    bad_tokens: Sequence[tuple[int, int]],
    recent: Sequence[float],
) -> Anomaly | None:
    """What is wrong with a step, or None.

    ``losses``: of every forward pass of every rank, with its samples [start, stop); ``norm``: of the whole gradient, before
    clipping; ``bad_tokens``: samples with ids outside the vocabulary; ``recent``: the losses of the last good steps.
    """
    everything = ((losses[0][1][0], losses[-1][1][1]),)
    if bad_tokens:
        named = tuple(bad_tokens)
        sentence = f"Token ids outside the vocabulary in step {step}, in the samples {spans(named)}"
        return Anomaly("bad_tokens", step, sentence, named)
    named = tuple(samples for loss, samples in losses if not math.isfinite(loss))
    if named:
        sentence = f"The loss is not finite in step {step}, in the samples {spans(named)}"
        return Anomaly("not_finite", step, sentence, named)
    where = f"in step {step}, in the samples {spans(everything)}"
    if not math.isfinite(norm):
        return Anomaly("not_finite", step, f"The gradient norm is not finite {where}", everything)
    low, high = policy.gradient_norm_bounds
    if not low <= norm <= high:
        sentence = f"The gradient norm is {norm:.4g}, outside {low:g} to {high:g}, {where}"
        return Anomaly("gradient_norm", step, sentence, everything)
    if 2 * len(recent) >= policy.window:
        loss, usual = sum(loss for loss, _ in losses) / len(losses), statistics.median(recent)
        if loss > policy.spike_factor * usual:
            sentence = (
                f"The loss is {loss:.4g}, above {policy.spike_factor:g} times {usual:.4g}, the median of the last "
                f"{len(recent)} steps, {where}"
            )
            return Anomaly("loss_spike", step, sentence, everything)
    return None


def decide(policy: Anomalies, anomaly: Anomaly, skipped: int, rewinds: int) -> Literal["note", "skip"]:
    """Whether the step is taken (``note``) or left out (``skip``) after so many skips and rewinds of this run.

    Raises RewindError where the run goes back, and JobError (NOT_FINITE) where the policy is to stop, or its limit is reached.
    """
    action: Action = getattr(policy, anomaly.kind)
    if action == "note":
        return "note"
    if action == "skip" and skipped < policy.max_skips:
        return "skip"
    if action == "rewind" and rewinds < policy.max_rewinds:
        raise RewindError(anomaly)
    limit = ""
    if action != "stop":
        most, unit = (policy.max_skips, "skipped step") if action == "skip" else (policy.max_rewinds, "rewind")
        limit = f" The limit of {most} {unit}{'' if most == 1 else 's'} is reached."
    raise JobError(f"{anomaly.sentence}.{limit} {ADVICE}", NOT_FINITE)


@dataclass(frozen=True)
class Detour:
    """A rewind: the steps after ``good`` up to ``step`` are left out when they come again."""

    kind: str
    step: int
    good: int
    sentence: str


@dataclass(frozen=True)
class Plan:
    """The rewinds of a run so far. It lies beside the states, so that a run that is killed after a rewind knows of it."""

    detours: tuple[Detour, ...] = ()

    @classmethod
    def read(cls, text: bytes) -> "Plan":
        """The plan that ``as_json`` wrote."""
        return cls(tuple(Detour(**detour) for detour in json.loads(text)))

    def as_json(self) -> bytes:
        return json.dumps([asdict(detour) for detour in self.detours], indent=1).encode()

    def after(self, anomaly: Anomaly, good: int) -> "Plan":
        """The plan with one more rewind, to the state of step ``good``."""
        return Plan((*self.detours, Detour(anomaly.kind, anomaly.step, good, anomaly.sentence)))

    def leaves_out(self, step: int) -> Detour | None:
        """The rewind that leaves out ``step`` (counted from 1), or None."""
        return next((detour for detour in self.detours if detour.good < step <= detour.step), None)


def record(kind: str, action: str, step: int, sentence: str, samples: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What ``summary.json`` keeps of a step out of the ordinary; ``samples`` are all of the step, [start, stop) joined."""
    return {
        "step": step,
        "kind": kind,
        "action": action,
        "samples": [samples[0][0], samples[-1][1]],
        "sentence": sentence,
    }
