"""What is counted and said about a run."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from training_jobs.progress import Progress, StepResult, Totals, add_ranges, clock, consumed_digest


class Recorder:
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.payloads: list[dict[str, Any]] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def send(self, payload: dict[str, Any]) -> None:
        self.payloads.append(payload)


def test_ranges_join_and_digest_is_over_the_numbers() -> None:
    runs: list[list[int]] = []
    for step in range(5):
        add_ranges(runs, [(8 * step, 8 * step + 4), (8 * step + 4, 8 * step + 8)])
    assert runs == [[0, 40]]
    assert consumed_digest(runs) == hashlib.sha256(np.arange(40, dtype="<i8").tobytes()).hexdigest()
    add_ranges(runs, [(48, 50)])
    assert runs == [[0, 40], [48, 50]]


def test_clock() -> None:
    assert [clock(s) for s in (0, 45.4, 61, 7390)] == ["0:00", "0:45", "1:01", "2:03:10"]


def test_resumed_metrics_hold_no_step_twice(tmp_path: Path) -> None:
    def result(step: int) -> StepResult:
        return StepResult(step, 5.21, 1.0, [(4 * step - 4, 4 * step)], 1e-3)

    channel = Recorder()
    progress = Progress(channel, tmp_path, steps=10, sequence_length=8, log_every=2)
    progress.start(Totals())
    for step in range(1, 8):
        progress.step(result(step), 0.0)
    state = Totals(step=4, runs=[[0, 16]], first_loss=6.0, last_loss=5.0, seconds=1.0)
    # A killed run may leave half a line behind.
    with progress.path.open("a") as stream:
        stream.write('{"step": 8, "lo')
    resumed = Progress(channel, tmp_path, steps=10, sequence_length=8, log_every=2)
    resumed.start(state)
    for step in range(5, 11):
        resumed.step(result(step), 0.0)
    lines = [json.loads(line) for line in progress.path.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert lines[-1]["tokens"] == 40 * 8
    summary = resumed.summary(1)
    assert (summary["samples"], summary["first_loss"], summary["consumed_ranges"]) == (40, 6.0, [[0, 40]])
    assert channel.sentences[-1].startswith("step 10 of 10, loss 5.21, ")
    assert channel.payloads[-1]["done"] == channel.payloads[-1]["total"] == 10
