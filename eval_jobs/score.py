"""The evaluation job: ``python -m eval_jobs.score spec.json``, where the specification is an ``EvaluationJob``.

Writes ``results.json`` and ``items/{task}.jsonl`` into the output folder. Exit codes: 0 when every task was tried (the
results say how each went), 4 when an input has no passing receipt, another one when the job itself broke.
"""

import io
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

from assets.lake.fingerprint import code_digest, digest_of
from assets.lake.manifest import InputRef
from assets.lake.receipt import GateNotPassedError
from assets.lake.store import Lake
from assets.recipe.evaluation import ScoredTask
from assets.recipe.jobs import EvaluationJob, EvaluationTask
from eval_jobs.benchmark import read_info, read_rows
from eval_jobs.kept import Kept, libraries
from eval_jobs.progress import Progress, clock, open_progress
from eval_jobs.settings import Row, Settings, TaskInput

if TYPE_CHECKING:
    import numpy as np

    from eval_jobs.model import CheckpointLM
    from eval_jobs.tasks.common import Run

__all__ = ["Settings", "TaskInput", "definition_digest", "open_model", "score", "score_tasks"]

NOT_PASSED = 4
# Read by the libraries when they are imported. Nothing is fetched and nothing but our own lines is printed.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
MODEL_CODE = (
    "eval_jobs.model",
    "eval_jobs.network",
    "eval_jobs.bloom",
    "eval_jobs.reader",
    "eval_jobs.generation",
    "eval_jobs.tasks.common",
)


def main(arguments: Sequence[str]) -> int:
    """Run the job whose specification is the file named by the one argument; return the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m eval_jobs.score SPEC.json", file=sys.stderr)
        return 2
    job = EvaluationJob.model_validate_json(Path(arguments[0]).read_text("utf-8"))
    lake = Lake.open(job.lake)
    try:
        check_inputs(lake, job)
    except GateNotPassedError as error:
        print(error, file=sys.stderr)
        return NOT_PASSED
    with open_progress() as progress:
        if "TOKKA_PART" in os.environ:
            score_part(lake, job, os.environ["TOKKA_PART"], progress)
        else:
            score(lake, job, progress)
    return 0


def check_inputs(lake: Lake, job: EvaluationJob) -> None:
    """Every input is in the lake with exactly its digest, and passed its gate or is an accepted risk."""
    benchmarks = [task.benchmark for task in job.tasks.values()]
    for ref in [job.checkpoint, job.mixture, *benchmarks]:
        lake.manifest(ref)
        if ref.name not in job.accepted_risks:
            lake.require_receipt(ref)


def score(lake: Lake, job: EvaluationJob, progress: Progress) -> None:
    """Score the checkpoint on every task of the job and write the results into its output folder.

    Tasks whose results the lake keeps are not scored again, and where all are kept, no model is loaded.
    """
    kept = Kept(lake, job.checkpoint.digest, job.mixture.digest, progress.log)
    settings = Settings(job.seed, job.max_length, job.template, _unigram_counts(lake, job.mixture))

    def load() -> "CheckpointLM":
        progress.log(f"Loading {job.checkpoint.name} and lm-eval {version('lm_eval')}.")
        return open_model(lake.local(job.checkpoint), job.max_length)

    tasks = {name: _read_task(lake, task, kept, settings) for name, task in job.tasks.items()}
    score_tasks(tasks, load, settings, Path(job.output), progress, kept)


def score_part(lake: Lake, job: EvaluationJob, part: str, progress: Progress) -> None:
    """Score every n-th task from the i-th, where ``part`` is ``i/n``, for the results that the lake keeps and nothing else."""
    index, parts = (int(number) for number in part.split("/"))
    names = sorted(job.tasks)[index::parts]
    progress.log(f"part {index + 1} of {parts}: {', '.join(names) or 'no task'}")
    with TemporaryDirectory() as output:
        tasks = {name: job.tasks[name] for name in names}
        score(lake, job.model_copy(update={"tasks": tasks, "output": output}), progress)


def open_model(folder: Path, max_length: int) -> "CheckpointLM":
    """Import the libraries, quietly, and load the Hugging Face checkpoint in ``folder``. Nothing is fetched."""
    import logging

    os.environ.update(ENVIRONMENT)
    from eval_jobs import vllm_model
    from eval_jobs.model import CheckpointLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    if vllm_model.is_available():
        return vllm_model.VllmLM(folder, max_length)
    model = CheckpointLM(folder, max_length)
    _ = model.network  # weights that cannot be read are told before any task
    return model


def score_tasks(
    tasks: Mapping[str, TaskInput],
    model: "CheckpointLM | Callable[[], CheckpointLM]",
    settings: Settings,
    output: Path,
    progress: Progress,
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Score a model, or what a function loads, on tasks; return the results and write them into the folder ``output``.

    The results are ``{"tasks": {name: result}, "harness": {library: version}, "seed": int}``; a task that breaks has the
    status "failed" and a reason, one without data the status "missing", and the others go on. ``results.json`` holds the
    same, ``items/{task}.jsonl`` the item-level results, and ``timing.json`` the seconds and what was kept from earlier.
    Each result is added to ``kept`` at once, and what is there is not scored again; the results are the same either way.
    """
    started = time.monotonic()
    (output / "items").mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    keys = {name: kept.key(task, settings) for name, task in tasks.items()} if kept else {}
    for name, key in keys.items():
        if kept and (found := kept.find(key)):
            results[name], lines = found
            _items_path(output, name).write_bytes(lines)
    reused = sorted(results)
    todo = {name: task for name, task in tasks.items() if name not in results}
    if reused:
        progress.log(f"{len(reused)} of {len(tasks)} tasks were scored before: {', '.join(reused)}.")
    timing: dict[str, float] = {}
    for name, result in _scored_one_by_one(todo, model, settings, output, progress, timing):
        results[name] = result
        if kept and result["status"] == "scored":
            kept.keep(keys[name], result, _items_path(output, name).read_bytes())
    seconds = time.monotonic() - started
    whole = {"tasks": results, "harness": libraries(), "seed": settings.seed}
    _write_json(output / "results.json", whole)
    _write_json(output / "timing.json", {"seconds": round(seconds, 3), "tasks": timing, "reused": reused})
    progress.report(len(tasks), len(tasks), 0.0)
    scored = sum(result["status"] == "scored" for result in results.values())
    progress.log(f"{scored} of {len(tasks)} tasks scored in {clock(seconds)}.")
    return whole


def _scored_one_by_one(
    tasks: Mapping[str, TaskInput],
    model: "CheckpointLM | Callable[[], CheckpointLM]",
    settings: Settings,
    output: Path,
    progress: Progress,
    timing: dict[str, float],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The result of each task; the seconds that it took are added to ``timing``."""
    if not tasks:
        return
    os.environ.update(ENVIRONMENT)
    from eval_jobs.tasks import KINDS

    run: Run | None = None
    started = time.monotonic()
    work: dict[str, float] = {}
    for name, task in tasks.items():
        # Items that are not as they should be are the task's own failure, which follows.
        with suppress(Exception):
            work[name] = KINDS[task.config.kind].work(task.rows, task.config)
    work_done, work_left = 0.0, sum(work.values())
    for number, (name, task) in enumerate(tasks.items(), start=1):
        left = (time.monotonic() - started) * work_left / work_done if work_done else None
        progress.log(f"task {number} of {len(tasks)}, {name}" + (f", {clock(left)} left" if left is not None else ""))
        progress.report(number - 1, len(tasks), left)
        task_start = time.monotonic()
        result = _unscored(task, settings)
        if task.rows:
            run = run or _start(model, settings)
            _score_task(name, task, run, output, result)
        if result["status"] != "scored":
            progress.log(f"{name} is {result['status']}: {result['reason']}")
        timing[name] = round(time.monotonic() - task_start, 3)
        work_done, work_left = work_done + work.get(name, 0.0), work_left - work.get(name, 0.0)
        yield name, result


def _start(model: "CheckpointLM | Callable[[], CheckpointLM]", settings: Settings) -> "Run":
    import torch

    from eval_jobs.tasks.common import Run

    torch.manual_seed(settings.seed)
    return Run(model() if callable(model) else model, settings)


def _items_path(output: Path, name: str) -> Path:
    return output / "items" / f"{name}.jsonl"


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", "utf-8")


def _unigram_counts(lake: Lake, mixture: InputRef) -> "Callable[[], np.ndarray]":
    @cache
    def unigram_counts() -> "np.ndarray":
        import numpy as np

        with lake.open_file(mixture, "unigram.npy") as stream:
            counts: np.ndarray = np.load(io.BytesIO(stream.read()), allow_pickle=False)
        return counts

    return unigram_counts


def _read_task(lake: Lake, task: EvaluationTask, kept: Kept, settings: Settings) -> TaskInput:
    """A task with its items; without items, and with the reason, where there is nothing to score.

    A task whose result is kept needs no items.
    """
    contaminated = frozenset(task.contaminated)
    known = TaskInput(task.config, [], 0, "", contaminated, task.benchmark.digest)
    if kept.find(kept.key(known, settings)):
        return known
    os.environ.update(ENVIRONMENT)
    from eval_jobs.tasks import KINDS

    rows: list[Row] = []
    expected, reason, broken = 0, "", False
    try:
        info = read_info(lake, task.benchmark)
        expected = info["items"]
        if info["available"]:
            rows = read_rows(lake, task.benchmark, KINDS[task.config.kind].KEYS)
        else:
            reason = info["reason"]
    except Exception as error:
        reason, broken = _reason(error), True
    return TaskInput(task.config, rows, expected, reason, contaminated, task.benchmark.digest, broken)


def _unscored(task: TaskInput, settings: Settings) -> dict[str, Any]:
    """The result of a task that has not been scored."""
    from eval_jobs.tasks import KINDS

    return {
        "status": "failed" if task.broken else "missing",
        "reason": task.reason,
        "kind": task.config.kind,
        "language": task.config.language,
        "metrics": {},
        "stderr": {},
        "signatures": {},
        "items": 0,
        "contaminated": 0,
        "clean": {"items": 0, "metrics": {}, "stderr": {}},
        "truncated": 0,
        "expected_items": task.expected,
        "version": KINDS[task.config.kind].VERSION,
        "definition": definition_digest(task.config, settings),
        "data": task.data,
    }


def _score_task(name: str, task: TaskInput, run: "Run", output: Path, result: dict[str, Any]) -> None:
    """Score one task into ``result`` and its items' file; what goes wrong is its result, and the other tasks go on."""
    from eval_jobs.tasks import KINDS

    kind = KINDS[task.config.kind]
    try:
        found, samples = _ask(name, task, run)
        summary = kind.summarise(samples, run)
        left = [metric for metric in task.config.metrics if metric not in summary.metrics]
        scores = {metric: float(found[f"{metric},none"]) for metric in left}
        for metric, value in (summary.metrics | scores).items():
            if not math.isfinite(value):
                raise ValueError(f"The metric {metric} is {value}; it must be a finite number.")
        records = [{**record, "contaminated": record["id"] in task.contaminated} for record in summary.items]
        lines = [json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records]
        if len(records) != task.expected:
            raise ValueError(f"{len(records)} of {task.expected} items were scored.")
        _items_path(output, name).write_text("".join(lines), "utf-8")
        result |= {
            "status": "scored",
            "metrics": summary.metrics | scores,
            "stderr": summary.stderr,
            "signatures": summary.signatures,
            "items": len(samples),
            "contaminated": sum(record["contaminated"] for record in records),
            "clean": _clean(samples, task.contaminated, summary.metrics | scores, summary.stderr, run, kind),
            "truncated": summary.truncated,
        }
    except Exception as error:
        traceback.print_exc()
        result |= {"status": "failed", "reason": _reason(error)}


def _ask(name: str, task: TaskInput, run: "Run") -> tuple[dict[str, Any], list[Row]]:
    """Let lm-eval ask the model: what it aggregates, and its samples in the order of the items."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    from eval_jobs.tasks import KINDS

    kind = KINDS[task.config.kind]
    definition = kind.definition(task.rows, task.config, run.settings)
    make: type[ConfigurableTask] = getattr(kind, "Task", ConfigurableTask)
    harness_task = make(
        config={
            "task": name,
            "custom_dataset": lambda **_: {"test": Dataset.from_list(task.rows)},
            "test_split": "test",
            "num_fewshot": 0,
            "metadata": {"version": kind.VERSION},
            **definition,
        }
    )
    found = evaluate(run.model, {"tasks": {name: harness_task}}, bootstrap_iters=0, log_samples=True)
    return found["results"][name], sorted(found["samples"][name], key=lambda sample: sample["doc_id"])


def _clean(
    samples: list[dict[str, Any]],
    contaminated: frozenset[str],
    metrics: dict[str, float],
    stderr: dict[str, float],
    run: "Run",
    kind: ModuleType,
) -> dict[str, Any]:
    """The scores on the clean items alone, from the same answers; those on all items where all are clean."""
    clean = [sample for sample in samples if sample["doc"]["id"] not in contaminated]
    if len(clean) == len(samples):
        return {"items": len(clean), "metrics": metrics, "stderr": stderr}
    if not clean:
        return {"items": 0, "metrics": {}, "stderr": {}}
    summary = kind.summarise(clean, run)
    return {"items": len(clean), "metrics": summary.metrics, "stderr": summary.stderr}


def definition_digest(config: ScoredTask, settings: Settings) -> str:
    """SHA-256 of what defines a task beside its data: configuration without files, code, template, context length."""
    return digest_of(
        {
            "config": config.model_dump(mode="json", exclude={"files"}),
            "code": code_digest([f"eval_jobs.tasks.{config.kind}", *MODEL_CODE]),
            "template": settings.template if config.kind == "translation" else None,
            "max_length": settings.max_length,
        }
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
