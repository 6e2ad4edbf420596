"""Translation of held-out pairs: greedy, no shots, the prompt that training used; corpus BLEU and chrF by sacrebleu."""

import os
from typing import Any

from assets.recipe.evaluation import Translation
from assets.recipe.jobs import EvaluationJob
from eval_jobs.model import ASSISTANT, USER
from eval_jobs.tasks.common import Row, Run, Summary, digest

VERSION = 1
KEYS = {"source": str, "reference": str}
RESAMPLES = 200
# A generated token costs about as much as reading this many characters of a held-out document.
CHARACTERS_PER_GENERATED_TOKEN = 20


def definition(rows: list[Row], task: Translation, job: EvaluationJob) -> dict[str, Any]:
    instruction = job.template.instructions.get(task.language)
    if instruction is None:
        raise ValueError(f"The pair template has no instruction for the language {task.language!r}.")
    for row in rows:
        row["prompt"] = f"{USER}{instruction}{row['source']}{job.template.separator}{ASSISTANT}"
    return {
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "reference",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": task.max_new_tokens, "do_sample": False},
        "process_results": lambda doc, results: {
            "bleu": (doc["reference"], results[0]),
            "chrf": (doc["reference"], results[0]),
        },
        "metric_list": [
            {"metric": "bleu", "aggregation": "bleu", "higher_is_better": True},
            {"metric": "chrf", "aggregation": "chrf", "higher_is_better": True},
        ],
    }


def summarise(samples: list[Row], run: Run) -> Summary:
    import sacrebleu

    os.environ["SACREBLEU_SEED"] = str(run.job.seed)
    references = [sample["doc"]["reference"] for sample in samples]
    generations = [sample["filtered_resps"][0] for sample in samples]
    summary = Summary()
    for name, metric in (("bleu", sacrebleu.BLEU()), ("chrf", sacrebleu.CHRF())):
        score = metric.corpus_score(generations, [references], n_bootstrap=RESAMPLES)
        summary.metrics[name] = float(score.score)
        # sacrebleu gives half of the 95 % interval, which is 1.96 standard errors.
        summary.stderr[name] = float(score._ci) / 1.96
        summary.signatures[name] = str(metric.get_signature())
    bleu, chrf = sacrebleu.BLEU(effective_order=True), sacrebleu.CHRF()
    for sample, reference, generation in zip(samples, references, generations, strict=True):
        prompt, arguments = sample["arguments"][0]
        room = run.model.max_length - arguments["max_gen_toks"]
        summary.truncated += len(run.model.encode_prompt(prompt)) > room
        summary.items.append(
            {
                "id": sample["doc"]["id"],
                "prompt": digest(prompt),
                "generation": generation,
                "reference": reference,
                "scores": {
                    "bleu": bleu.sentence_score(generation, [reference]).score,
                    "chrf": chrf.sentence_score(generation, [reference]).score,
                },
            }
        )
    return summary


def work(rows: list[Row], task: Translation) -> float:
    return float(len(rows) * task.max_new_tokens * CHARACTERS_PER_GENERATED_TOKEN)
