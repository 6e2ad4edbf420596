"""Programs written by the model: HumanEval and MBPP, pass@k by the unbiased estimator (Chen et al. 2021, arXiv 2107.03374).

Prompts, the words that end a program, and what is run are those of bigcode-evaluation-harness. Every program runs in the sandbox
and nowhere else: a machine without one fails the task before anything is generated.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from lm_eval.api.filter import Filter

from assets.recipe.evaluation import Programming
from eval_jobs.sandbox import Limits, Outcome, Program, available, run_programs
from eval_jobs.tasks.common import (
    CHARACTERS_PER_GENERATED_TOKEN,
    Row,
    Run,
    Settings,
    Summary,
    digest,
    new_tokens,
)

VERSION = 1
KEYS = {"prompt": str, "tests": str, "solution": str}
STOPS = {
    "humaneval": ["\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"],
    "mbpp": ["\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```"],
}
# Of what a program printed, the last line is kept: the error that ended it.
LAST_LINE = 200
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


class RunPrograms(Filter):
    """lm-eval's step between answers and scores: each answer becomes the outcome of its program, a dict."""

    def __init__(self, limits: Limits, stops: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limits, self.stops = limits, stops

    def apply(self, resps: Iterable[list[str]], docs: Iterable[Row]) -> list[list[Row]]:
        sources = [
            [program(doc, cut(answer, self.stops)) for answer in answers]
            for doc, answers in zip(docs, resps, strict=True)
        ]
        # Samples are often alike, and a program runs once.
        different = list(dict.fromkeys(source for of_doc in sources for source in of_doc))
        programs = [Program(str(number), source) for number, source in enumerate(different)]
        outcomes = [_outcome(outcome) for outcome in run_programs(programs, self.limits)]
        by_source = dict(zip(different, outcomes, strict=True))
        return [[by_source[source] for source in of_doc] for of_doc in sources]


def definition(rows: list[Row], task: Programming, settings: Settings) -> dict[str, Any]:
    available()
    stops = STOPS[task.benchmark]
    limits = limits_of(task)
    sampled = {"do_sample": True, "temperature": task.temperature, "top_p": task.top_p, "seed": settings.seed}
    return {
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "solution",
        "generation_kwargs": {
            "until": stops,
            "max_gen_toks": new_tokens(task.max_new_tokens, settings),
            **(sampled if task.temperature else {"do_sample": False}),
        },
        "repeats": task.samples,
        "filter_list": [
            {"name": "none", "filter": [{"function": RunPrograms, "limits": limits, "stops": stops}]},
        ],
        "process_results": lambda doc, results: {
            f"pass@{k}": pass_at(len(results[0]), passed(results[0]), k) for k in task.k
        },
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in task.metrics],
    }


def limits_of(task: Programming) -> Limits:
    """What a program of the task may take."""
    return Limits(cpu_seconds=math.ceil(task.seconds), wall_seconds=2 * task.seconds)


def cut(answer: str, stops: Iterable[str]) -> str:
    """An answer up to the first of the strings that end a program."""
    places = [place for stop in stops if (place := answer.find(stop)) >= 0]
    return answer[: min(places)] if places else answer


def program(doc: Row, answer: str) -> str:
    """The whole program of an answer: the prompt, the answer, the tests."""
    return f"{doc['prompt']}{answer}\n{doc['tests']}\n"


def passed(outcomes: list[Row]) -> int:
    """How many programs passed their tests."""
    return sum(outcome["status"] == "passed" for outcome in outcomes)


def pass_at(samples: int, correct: int, k: int) -> float:
    """1 - C(samples - correct, k) / C(samples, k): how likely one of ``k`` samples passes (Chen et al. 2021, section 2.1)."""
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {correct} correct samples among {samples} is not defined.")
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k)


def _outcome(outcome: Outcome) -> Row:
    lines = outcome.output.strip().splitlines()
    error = _ADDRESS.sub("0x…", lines[-1][:LAST_LINE]) if lines and outcome.status == "failed" else ""
    return {"status": outcome.status, "error": error}


def summarise(samples: list[Row], run: Run) -> Summary:
    metrics = list(samples[0]["metrics"])
    summary = Summary()
    for metric in metrics:
        values = np.array([sample[metric] for sample in samples])
        summary.metrics[metric] = float(values.mean())
        summary.stderr[metric] = float(values.std() / np.sqrt(len(values)))
    for sample in samples:
        doc, (prompt, arguments) = sample["doc"], sample["arguments"][0]
        summary.truncated += len(run.model.tok_encode(prompt)) > run.model.max_length - arguments["max_gen_toks"]
        summary.items.append(
            {
                "id": doc["id"],
                "prompt": digest(prompt),
                "generations": list(sample["resps"][0]),
                "outcomes": [dict(outcome) for outcome in sample["filtered_resps"][0]],
                "reference": doc["solution"],
                "scores": {metric: float(sample[metric]) for metric in metrics},
            }
        )
    return summary


def work(rows: list[Row], task: Programming) -> float:
    characters = sum(len(row["prompt"]) for row in rows)
    return float(characters + len(rows) * task.samples * task.max_new_tokens * CHARACTERS_PER_GENERATED_TOKEN)
