"""What rank 0 tells people and keeps about a run: metrics, progress messages and what was consumed."""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training_jobs.cost import EnergyMeter, Gauge, over_ranks
from training_jobs.job import write_whole

MESSAGE_SECONDS = 2.0
WHAT_FOLLOWS = {
    "note": "noted, the step is taken",
    "skip": "the step is left out",
    "rewind": "left out after the run went back to its last good state",
}


@dataclass
class StepResult:
    """One optimizer step over all ranks.

    ``loss``: mean over the global batch in nats per token; ``samples``: the ranges [start, stop) of global samples that
    the ranks used, in their order; ``gradient_norm`` is before clipping. ``anomaly`` is what was out of the ordinary
    (``anomalies.record``); where its action is not ``note`` the weights did not change, and loss and norm say nothing.
    """

    step: int
    loss: float
    gradient_norm: float
    samples: list[tuple[int, int]]
    learning_rate: float = 0.0
    anomaly: dict[str, Any] | None = None

    @property
    def skipped(self) -> bool:
        return self.anomaly is not None and self.anomaly["action"] != "note"


class Channel(Protocol):
    """Where messages go: Dagster Pipes, or the job's own log."""

    def say(self, sentence: str) -> None: ...
    def send(self, payload: dict[str, Any]) -> None: ...


class Stderr:
    """Messages as lines on standard error."""

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def send(self, payload: dict[str, Any]) -> None:
        """Nothing: the sentences say the same."""


class Pipes:
    """Messages to the Dagster run that started the job, and as lines on standard error."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)
        self.context.log.info(sentence)

    def send(self, payload: dict[str, Any]) -> None:
        self.context.report_custom_message(payload)


@contextlib.contextmanager
def open_channel(rank: int) -> Iterator[Channel | None]:
    """The channel of rank 0; other ranks have none and are silent."""
    if rank:
        yield None
    elif "DAGSTER_PIPES_CONTEXT" in os.environ:
        from dagster_pipes import open_dagster_pipes

        with open_dagster_pipes() as context:
            yield Pipes(context)
    else:
        yield Stderr()


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds: ``0:45``, ``2:03:10``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def add_ranges(runs: list[list[int]], ranges: list[tuple[int, int]]) -> None:
    """Append ranges [start, stop) to ``runs``, joining what is adjacent: a run without gaps is one range."""
    for start, stop in ranges:
        if runs and runs[-1][1] == start:
            runs[-1][1] = stop
        else:
            runs.append([start, stop])


def consumed_digest(runs: list[list[int]]) -> str:
    """SHA-256 over the consumed global sample numbers in their order, each as little-endian int64."""
    digest = hashlib.sha256()
    for start, stop in runs:
        for low in range(start, stop, 1 << 20):
            digest.update(np.arange(low, min(low + (1 << 20), stop), dtype="<i8").tobytes())
    return digest.hexdigest()


@dataclass
class Totals:
    """What a run has done so far; part of the saved state, so that a resumed run goes on counting."""

    step: int = 0
    runs: list[list[int]] = field(default_factory=list)
    first_loss: float | None = None
    last_loss: float | None = None
    seconds: float = 0.0
    data_seconds: float = 0.0
    joules: float = 0.0
    recent: list[float] = field(default_factory=list)
    anomalies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return sum(stop - start for start, stop in self.runs)

    @property
    def skips(self) -> int:
        """Steps that were left out one by one."""
        return sum(anomaly["action"] == "skip" for anomaly in self.anomalies)


class Progress:
    """Follows a run: counts on every rank, writes ``metrics.jsonl`` and tells the channel on rank 0.

    ``metrics.jsonl`` has a line for every step in which the weights changed, with the speed over the last ``log_every``
    steps; the steps that were left out are in ``summary.json``, under ``anomalies``. ``window`` is the number of losses that
    are kept for a running median.
    """

    def __init__(
        self,
        channel: Channel | None,
        folder: Path,
        steps: int,
        sequence_length: int,
        log_every: int,
        gauge: Gauge | None = None,
        window: int = 1,
    ) -> None:
        self.channel, self.path = channel, folder / "metrics.jsonl"
        self.steps, self.sequence_length, self.log_every = steps, sequence_length, log_every
        self.gauge, self.window = gauge, window
        self.meter: EnergyMeter | None = None
        self.totals = Totals()
        self.mark = self.said = time.monotonic()
        self.marks: deque[tuple[float, int]] = deque(maxlen=log_every)

    def say(self, sentence: str) -> None:
        """Tell people something; only rank 0 does."""
        if self.channel is not None:
            self.channel.say(sentence)

    def start(self, totals: Totals) -> None:
        """Begin, or go on, from ``totals``. Lines of ``metrics.jsonl`` beyond its step are dropped, to be done anew."""
        self.totals = totals
        self.meter = EnergyMeter.open() if self.gauge else None
        self.mark = time.monotonic()
        self.said = self.mark - MESSAGE_SECONDS
        self.marks.clear()
        self.marks.append((totals.seconds, totals.samples))
        if self.channel is None:
            return
        lines = self.path.read_text("utf-8").splitlines() if totals.step and self.path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= totals.step]
        write_whole(self.path, "".join(f"{line}\n" for line in kept).encode())
        if totals.step:
            self.channel.say(f"going on from step {totals.step} of {self.steps}")

    def skip(self) -> None:
        """Leave the time since the last step out of the training time: it went into a checkpoint."""
        self.mark = time.monotonic()

    def step(self, result: StepResult, data_seconds: float) -> None:
        """Count a step and log it; speak at most every two seconds, and of everything out of the ordinary."""
        now = time.monotonic()
        totals = self.totals
        totals.seconds += now - self.mark
        self.mark = now
        totals.step = result.step
        waited, totals.data_seconds = data_seconds - totals.data_seconds, data_seconds
        totals.joules += self.meter.take() if self.meter else 0.0
        if result.anomaly is not None:
            totals.anomalies.append(result.anomaly)
            self.say(f"{result.anomaly['sentence']}: {WHAT_FOLLOWS[result.anomaly['action']]}")
        if not result.skipped:
            totals.last_loss = result.loss
            totals.first_loss = result.loss if totals.first_loss is None else totals.first_loss
            totals.recent = [*totals.recent, result.loss][-self.window :]
            add_ranges(totals.runs, result.samples)
        if self.channel is None:
            return
        last = result.step == self.steps
        seconds, samples = totals.seconds - self.marks[0][0], totals.samples - self.marks[0][1]
        speed = samples * self.sequence_length / max(seconds, 1e-9)
        self.marks.append((totals.seconds, totals.samples))
        if not result.skipped:
            line = {
                "step": result.step,
                "loss": result.loss,
                "learning_rate": result.learning_rate,
                "gradient_norm": result.gradient_norm,
                "tokens": totals.samples * self.sequence_length,
                "tokens_per_second": round(speed, 1),
                "seconds": round(totals.seconds, 3),
                "data_seconds": round(waited, 4),
                **(self.gauge.rates(speed) if self.gauge else {}),
            }
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        if (self.mark - self.said >= MESSAGE_SECONDS or last) and totals.last_loss is not None:
            self.said = self.mark
            left = (self.steps - result.step) * totals.seconds / result.step
            self.channel.say(
                f"step {result.step} of {self.steps}, loss {totals.last_loss:.2f}, {speed:,.0f} tokens/s, {clock(left)} left"
            )
            self.channel.send(
                {
                    "kind": "progress",
                    "done": result.step,
                    "total": self.steps,
                    "unit": "steps",
                    "loss": totals.last_loss,
                    "tokens_per_second": round(speed, 1),
                    "seconds_left": round(left, 1),
                }
            )

    def summary(self, peak_memory_bytes: int) -> dict[str, Any]:
        """The content of ``summary.json``."""
        totals = self.totals
        tokens = totals.samples * self.sequence_length
        used = totals.joules + (self.meter.take(now=True) if self.meter else 0.0)
        # Before a resume, the GPU of the rank that saved the state stands for all of them.
        joules = over_ranks(used or None) if self.gauge else None
        return {
            "steps": totals.step,
            "tokens": tokens,
            "samples": totals.samples,
            "consumed_digest": consumed_digest(totals.runs),
            "consumed_ranges": totals.runs,
            "first_loss": totals.first_loss,
            "last_loss": totals.last_loss,
            "anomalies": totals.anomalies,
            "loss_finite": totals.last_loss is not None and np.isfinite(totals.last_loss).item(),
            "tokens_per_second": round(tokens / max(totals.seconds, 1e-9), 1),
            "seconds": round(totals.seconds, 3),
            "data_seconds": round(totals.data_seconds, 3),
            "peak_memory_bytes": peak_memory_bytes,
            "cost": self.gauge.cost(tokens, totals.seconds, joules) if self.gauge else {},
        }
