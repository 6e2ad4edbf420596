"""``tokka bench eval``: time to score checkpoints on the same tasks, beside ``lm_eval`` with its own HF model.

Both are commands of their own, timed from start to end, imports and loading of the model included, and get all tasks in one
call, or with ``--group`` those of a group. ``lm_eval`` runs at several batch sizes, its fastest counts. Answers are
compared one by one: log-likelihoods within rounding, greedy or not, the choice that is picked, and generated text to the letter.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.bench.eval_tasks import DATA, GROUPS, write_checkpoint, write_tasks
from infra.bench.measure import BenchError, Measured, machine, measure

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
KINDS = ("bloom", "llama")
BATCH_SIZES = ("1", "8", "32", "auto")
ABSOLUTE, RELATIVE = 1e-4, 1e-6
"""How far a log-likelihood may be off in float32: the former in nats, or the latter as a share of a long text's."""

Say = Callable[[str], None]
Samples = dict[str, dict[int, list[Any]]]


class DifferentScoresError(BenchError):
    """The two sides do not agree. The message names the task and the item."""


def missing_data(data: Path) -> list[str]:
    """The files below the folder of the evaluation data that are not there."""
    return [name for name in DATA if not (data / name).is_file()]


def bench(
    data: Path,
    kinds: tuple[str, ...],
    items: int,
    new_tokens: int,
    max_length: int,
    batch_sizes: tuple[str, ...],
    by_group: tuple[str, ...],
    say: Say,
    work: Path | None = None,
) -> dict[str, Any]:
    """Measure each kind of checkpoint; return what the JSON holds. Raises DifferentScoresError, CommandFailedError.

    Each group of tasks in ``by_group`` is measured by itself, at every batch size; where it is empty, all tasks in one call.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-eval-", dir=work))
    try:
        groups = write_tasks(folder / "tasks", data, items, new_tokens)
        result: dict[str, Any] = {
            "machine": machine(),
            "items_per_task": items,
            "new_tokens": new_tokens,
            "max_length": max_length,
            "tasks": groups,
        }
        for kind in kinds:
            parameters = write_checkpoint(folder / kind, kind, max_length)
            result[kind] = {"parameters": parameters, "measured": {}}
            calls = {group: groups[group] for group in by_group} or {
                "all": [n for group in GROUPS for n in groups[group]]
            }
            for call, names in calls.items():
                say(f"{kind}, {parameters / 1e6:.1f} M parameters, tasks: {call}")
                result[kind]["measured"][call] = _compare(folder, kind, names, max_length, batch_sizes, say)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare(
    folder: Path, kind: str, names: list[str], max_length: int, batch_sizes: tuple[str, ...], say: Say
) -> dict[str, Any]:
    """Both sides on some tasks in one call, and how their answers agree."""
    ours, our_samples = _tokka(folder, kind, names, max_length)
    say(_line("tokka", ours))
    runs: dict[str, Measured] = {}
    difference: dict[str, float] = {}
    for size in batch_sizes:
        runs[size], their_samples = _lm_eval(folder, kind, names, max_length, size)
        say(_line(f"lm_eval, batch {size}", runs[size]))
        difference[size] = compare(our_samples, their_samples)
    best = min(runs, key=lambda size: runs[size].seconds)
    return {
        "items": sum(len(rows) for rows in our_samples.values()),
        "tokka": _figures(ours),
        "lm_eval": {size: _figures(run) for size, run in runs.items()},
        "lm_eval_best_batch_size": best,
        "ratio": round(runs[best].seconds / ours.seconds, 2),
        "cpu_ratio": round(min(run.cpu_seconds for run in runs.values()) / ours.cpu_seconds, 2),
        "largest_difference": difference,
    }


def _line(side: str, run: Measured) -> str:
    return f"  {side:<20}{run.seconds:>8.1f} s, {run.cpu_seconds:>7.1f} s of processor time, {run.peak_bytes / 1e9:>5.2f} GB"


def _figures(run: Measured) -> dict[str, float]:
    return {
        "seconds": round(run.seconds, 2),
        "cpu_seconds": round(run.cpu_seconds, 2),
        "peak_gb": round(run.peak_bytes / 1e9, 3),
    }


def _tokka(folder: Path, kind: str, names: list[str], max_length: int) -> tuple[Measured, Samples]:
    output = folder / "tokka.json"
    checkpoint, tasks = folder / kind, folder / "tasks"
    command = [sys.executable, "-m", "infra.bench.eval_run", str(checkpoint), str(tasks), str(max_length), str(output)]
    measured = measure(_with_environment(folder, [*command, *names]))
    found = json.loads(output.read_text("utf-8"))
    return measured, {name: {row["doc_id"]: row["resps"] for row in rows} for name, rows in found.items()}


def _lm_eval(folder: Path, kind: str, names: list[str], max_length: int, size: str) -> tuple[Measured, Samples]:
    output = folder / f"lm_eval-{kind}-{size}"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", size]
    arguments = f"pretrained={folder / kind},dtype=float32,max_length={max_length}"
    command += ["--model_args", arguments, "--tasks", ",".join(names), "--include_path", str(folder / "tasks")]
    measured = measure(_with_environment(folder, [*command, "--log_samples", "--output_path", str(output)]))
    samples: Samples = {}
    for name in names:
        (path,) = output.rglob(f"samples_{name}_*.jsonl")
        rows = map(json.loads, path.read_text("utf-8").splitlines())
        samples[name] = {row["doc_id"]: row["resps"] for row in rows}
    return measured, samples


def _with_environment(folder: Path, command: list[str]) -> list[str]:
    settings = ENVIRONMENT | {"HF_HOME": str(folder / "hugging_face")}
    return ["env", *(f"{name}={value}" for name, value in settings.items()), *command]


def compare(ours: Samples, theirs: Samples) -> float:
    """The largest difference of two log-likelihoods, in nats. Raises DifferentScoresError where answers are not equal."""
    largest = 0.0
    if {name: sorted(rows) for name, rows in ours.items()} != {name: sorted(rows) for name, rows in theirs.items()}:
        raise DifferentScoresError("Tokka and lm_eval did not answer the same items.")
    for name, rows in ours.items():
        for number, answers in rows.items():
            where = f"{name}, item {number}"
            pairs = list(zip(_flat(answers), _flat(theirs[name][number]), strict=True))
            for one, other in pairs:
                if not isinstance(one, float):
                    if one != other:
                        raise DifferentScoresError(f"{where}: Tokka gives {one!r}, lm_eval {other!r}.")
                    continue
                largest = max(largest, abs(one - other))
                if abs(one - other) > max(ABSOLUTE, RELATIVE * abs(other)):
                    raise DifferentScoresError(f"{where}: Tokka gives {one!r}, lm_eval {other!r}.")
            scores = [(one, other) for one, other in pairs if isinstance(one, float)]
            if len(scores) > 1 and len({max(range(len(scores)), key=lambda i: scores[i][side]) for side in (0, 1)}) > 1:
                raise DifferentScoresError(f"{where}: Tokka and lm_eval pick different choices.")
    return largest


def _flat(value: Any) -> Iterator[Any]:
    """What lm-eval logs of an item, one answer after the other; numbers and truth values may be written as text."""
    if isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    elif value in ("True", "False"):
        yield value == "True"
    elif isinstance(value, str):
        try:
            yield float(value)
        except ValueError:
            yield value
    else:
        yield value
