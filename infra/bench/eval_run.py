"""Tokka's side of ``tokka bench eval``: ``python -m infra.bench.eval_run CHECKPOINT TASKS MAX_LENGTH OUTPUT NAME...``.

The tasks ``NAME`` are lm-eval's YAML in the folder ``TASKS``. lm-eval asks, as in an evaluation; the model is Tokka's. Writes
``{"task": [{"doc_id", "resps"}]}`` to the file ``OUTPUT``.
"""

import json
import sys
from pathlib import Path


def main(checkpoint: str, tasks: str, max_length: str, output: str, *names: str) -> None:
    """Score the checkpoint."""
    from eval_jobs.score import open_model

    model = open_model(Path(checkpoint), int(max_length))
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager, get_task_dict

    loaded = get_task_dict(list(names), TaskManager(include_path=tasks, include_defaults=False))
    found = evaluate(model, loaded, bootstrap_iters=0, log_samples=True)
    samples = {
        name: [{"doc_id": s["doc_id"], "resps": s["resps"]} for s in rows] for name, rows in found["samples"].items()
    }
    Path(output).write_text(json.dumps(samples), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
