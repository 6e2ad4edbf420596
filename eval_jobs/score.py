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
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from assets.lake.fingerprint import code_digest, digest_of
from assets.lake.receipt import GateNotPassedError
from assets.lake.store import Lake
from assets.recipe.jobs import EvaluationJob, EvaluationTask
from eval_jobs.benchmark import read_info, read_rows
from eval_jobs.progress import Progress, clock, open_progress

if TYPE_CHECKING:
    from eval_jobs.tasks.common import Run

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
LIBRARIES = ("lm_eval", "transformers", "tokenizers", "torch", "sacrebleu")


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
    """Score the checkpoint on every task and write the results into the output folder."""
    started = time.monotonic()
    output = Path(job.output)
    (output / "items").mkdir(parents=True, exist_ok=True)
    progress.log(f"Loading {job.checkpoint.name} and lm-eval {version('lm_eval')}.")
    run = _load(lake, job)
    tasks: dict[str, dict[str, Any]] = {}
    todo = {name: _read_task(lake, job, name, tasks.setdefault(name, {})) for name in job.tasks}
    clock_start, work_done, work_left = time.monotonic(), 0.0, sum(work for _, work in todo.values())
    for number, (name, (rows, work)) in enumerate(todo.items(), start=1):
        elapsed = time.monotonic() - clock_start
        left = elapsed * work_left / work_done if work_done else None
        progress.log(f"task {number} of {len(todo)}, {name}" + (f", {clock(left)} left" if left is not None else ""))
        progress.report(number - 1, len(todo), left)
        task_start = time.monotonic()
        if rows:
            _score_task(name, rows, run, tasks[name])
        if tasks[name]["status"] != "scored":
            progress.log(f"{name} is {tasks[name]['status']}: {tasks[name]['reason']}")
        tasks[name]["seconds"] = round(time.monotonic() - task_start, 3)
        work_done, work_left = work_done + work, work_left - work
    seconds = time.monotonic() - started
    results = {
        "tasks": tasks,
        "harness": {library: version(library) for library in LIBRARIES},
        "seed": job.seed,
        "seconds": round(seconds, 3),
    }
    text = json.dumps(results, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (output / "results.json").write_text(text + "\n", "utf-8")
    progress.report(len(todo), len(todo), 0.0)
    scored = sum(task["status"] == "scored" for task in tasks.values())
    progress.log(f"{scored} of {len(tasks)} tasks scored in {clock(seconds)}.")


def _load(lake: Lake, job: EvaluationJob) -> "Run":
    """Import the libraries, quietly, and load the checkpoint."""
    import logging

    os.environ.update(ENVIRONMENT)
    import numpy as np
    import torch

    from eval_jobs.model import CheckpointLM
    from eval_jobs.tasks.common import Run

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    torch.manual_seed(job.seed)

    @cache
    def unigram_counts() -> np.ndarray:
        with lake.open_file(job.mixture, "unigram.npy") as stream:
            counts: np.ndarray = np.load(io.BytesIO(stream.read()), allow_pickle=False)
        return counts

    return Run(CheckpointLM(lake.local(job.checkpoint), job.max_length), job, unigram_counts)


def _read_task(lake: Lake, job: EvaluationJob, name: str, result: dict[str, Any]) -> tuple[list[dict[str, Any]], float]:
    """A task's items and the work they make; no items where there is nothing to score, which ``result`` then says."""
    from eval_jobs.tasks import KINDS

    task = job.tasks[name]
    kind = KINDS[task.config.kind]
    result |= {
        "status": "missing",
        "reason": "",
        "kind": task.config.kind,
        "language": task.config.language,
        "metrics": {},
        "stderr": {},
        "signatures": {},
        "items": 0,
        "contaminated": 0,
        "clean": {"items": 0, "metrics": {}, "stderr": {}},
        "truncated": 0,
        "expected_items": 0,
        "version": kind.VERSION,
        "definition": definition_digest(task, job),
        "data": task.benchmark.digest,
    }
    try:
        info = read_info(lake, task.benchmark)
        result["expected_items"] = info["items"]
        if not info["available"]:
            result["reason"] = info["reason"]
            return [], 0.0
        rows = read_rows(lake, task.benchmark, kind.KEYS)
        return rows, kind.work(rows, task.config)
    except Exception as error:
        result |= {"status": "failed", "reason": _reason(error)}
        return [], 0.0


def _score_task(name: str, rows: list[dict[str, Any]], run: "Run", result: dict[str, Any]) -> None:
    """Score one task into ``result`` and its items' file; what goes wrong is its result, and the other tasks go on."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    from eval_jobs.tasks import KINDS

    task = run.job.tasks[name]
    kind = KINDS[task.config.kind]
    try:
        definition = kind.definition(rows, task.config, run.job)
        harness_task = ConfigurableTask(
            config={
                "task": name,
                "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
                "test_split": "test",
                "num_fewshot": 0,
                "metadata": {"version": kind.VERSION},
                **definition,
            }
        )
        found = evaluate(run.model, {"tasks": {name: harness_task}}, bootstrap_iters=0, log_samples=True)
        samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
        summary = kind.summarise(samples, run)
        scores = {m: float(found["results"][name][f"{m},none"]) for m in task.config.metrics}
        for metric, value in (summary.metrics | scores).items():
            if not math.isfinite(value):
                raise ValueError(f"The metric {metric} is {value}; it must be a finite number.")
        known = set(task.contaminated)
        records = [{**record, "contaminated": record["id"] in known} for record in summary.items]
        lines = [json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records]
        (Path(run.job.output) / "items" / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        result |= {
            "status": "scored",
            "metrics": summary.metrics | scores,
            "stderr": summary.stderr,
            "signatures": summary.signatures,
            "items": len(samples),
            "contaminated": sum(record["contaminated"] for record in records),
            "clean": _clean(samples, known, summary.metrics | scores, summary.stderr, run, kind),
            "truncated": summary.truncated,
        }
    except Exception as error:
        traceback.print_exc()
        result |= {"status": "failed", "reason": _reason(error)}


def _clean(
    samples: list[dict[str, Any]],
    contaminated: set[str],
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


def definition_digest(task: EvaluationTask, job: EvaluationJob) -> str:
    """SHA-256 of what defines a task beside its data: configuration without files, code, template, context length."""
    return digest_of(
        {
            "config": task.config.model_dump(mode="json", exclude={"files"}),
            "code": code_digest([f"eval_jobs.tasks.{task.config.kind}", "eval_jobs.model"]),
            "template": job.template if task.config.kind == "translation" else None,
            "max_length": job.max_length,
        }
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
