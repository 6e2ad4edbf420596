"""FIN-bench: the likeliest choice after a finished prompt (Poro 34B, section 4; lm-eval 0.3.0's BIG-bench tasks).

Log-likelihoods are not normalised by length. A task of several files (arithmetic, cause and effect) is the mean of its
files' accuracies, as in the paper's table 6.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from assets.recipe.evaluation import FinBench
from eval_jobs.tasks.common import Row, Run, Settings, Summary, digest

VERSION = 1
KEYS = {"subtask": str, "context": str, "choices": list, "target_scores": list}


def definition(rows: list[Row], task: FinBench, settings: Settings) -> dict[str, Any]:
    for row in rows:
        if not 2 <= len(row["choices"]) == len(row["target_scores"]):
            raise ValueError(f"The item {row['id']!r} has not one score for each of two or more choices.")
    return {
        "output_type": "multiple_choice",
        "doc_to_text": "context",
        "doc_to_choice": "choices",
        "doc_to_target": lambda doc: int(np.argmax(doc["target_scores"])),
        "target_delimiter": "",
        "process_results": lambda doc, results: {"accuracy": (doc["subtask"], _score(doc, results))},
        "metric_list": [{"metric": "accuracy", "aggregation": mean_of_subtasks, "higher_is_better": True}],
    }


def pick(log_likelihoods: Sequence[float]) -> int:
    """The likeliest choice; among equals the one that the SHA-256 of all log-likelihoods (float64) points at."""
    values = np.asarray(log_likelihoods, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"The log-likelihoods {values.tolist()} are not all finite.")
    best = np.flatnonzero(values == values.max())
    return int(best[int(hashlib.sha256(values.tobytes()).hexdigest(), 16) % len(best)])


def _score(doc: Row, results: list[tuple[float, bool]]) -> float:
    return float(doc["target_scores"][pick([result[0] for result in results])])


def mean_of_subtasks(scores: list[tuple[str, float]]) -> float:
    """Mean of the subtasks' means; with one subtask the mean over its items."""
    return float(np.mean([values.mean() for values in _by_subtask(scores).values()]))


def _by_subtask(scores: list[tuple[str, float]]) -> dict[str, np.ndarray]:
    grouped: dict[str, list[float]] = {}
    for subtask, score in scores:
        grouped.setdefault(subtask, []).append(score)
    return {subtask: np.array(values) for subtask, values in grouped.items()}


def summarise(samples: list[Row], run: Run) -> Summary:
    scores = [sample["accuracy"] for sample in samples]
    summary = Summary()
    subtasks = _by_subtask(scores)
    # For scores of 0 and 1 a subtask's variance is p(1-p), so that one subtask gives sqrt(p(1-p)/n).
    variances = [values.var() / len(values) for values in subtasks.values()]
    summary.metrics["accuracy"] = mean_of_subtasks(scores)
    summary.stderr["accuracy"] = float(np.sqrt(sum(variances)) / len(subtasks))
    if len(subtasks) > 1:
        summary.metrics |= {f"accuracy/{subtask}": float(values.mean()) for subtask, values in subtasks.items()}
    for sample in samples:
        doc = sample["doc"]
        log_likelihoods = [float(response[0]) for response in sample["filtered_resps"]]
        longest = max(len(run.model.tok_encode(doc["context"] + choice)) for choice in doc["choices"])
        summary.truncated += longest > run.model.max_length + 1
        summary.items.append(
            {
                "id": doc["id"],
                "prompt": digest(doc["context"]),
                "choices": doc["choices"],
                "log_likelihoods": log_likelihoods,
                "pick": doc["choices"][pick(log_likelihoods)],
                "reference": [c for c, s in zip(doc["choices"], doc["target_scores"], strict=True) if s > 0],
                "scores": {"accuracy": sample["accuracy"][1]},
            }
        )
    return summary


def work(rows: list[Row], task: FinBench) -> float:
    return float(sum(len(row["context"]) + sum(len(choice) for choice in row["choices"]) for row in rows))
