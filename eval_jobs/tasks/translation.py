"""Translation of held-out pairs: greedy, no shots, the prompt that training used; corpus BLEU and chrF by sacrebleu."""

from typing import Any

from assets.recipe.evaluation import Translation
from eval_jobs.model import ASSISTANT, USER
from eval_jobs.tasks.common import (
    CHARACTERS_PER_GENERATED_TOKEN,
    Row,
    Run,
    Settings,
    Summary,
    add_corpus_scores,
    chrf,
    digest,
)

VERSION = 1
KEYS = {"source": str, "reference": str}


def definition(rows: list[Row], task: Translation, settings: Settings) -> dict[str, Any]:
    instruction = settings.template.instructions.get(task.language)
    if instruction is None:
        raise ValueError(f"The pair template has no instruction for the language {task.language!r}.")
    for row in rows:
        row["prompt"] = f"{USER}{instruction}{row['source']}{settings.template.separator}{ASSISTANT}"
    return {
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "reference",
        "generation_kwargs": {
            "until": ["\n"],
            "max_gen_toks": task.max_new_tokens,
            "do_sample": False,
            "template": True,
        },
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

    references = [sample["doc"]["reference"] for sample in samples]
    generations = [sample["filtered_resps"][0] for sample in samples]
    summary = Summary()
    scorers = {"bleu": sacrebleu.BLEU(), "chrf": chrf()}
    add_corpus_scores(summary, scorers, generations, references, run.settings.seed)
    of_sentences = {"bleu": sacrebleu.BLEU(effective_order=True), "chrf": chrf()}
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
                    name: scorer.sentence_score(generation, [reference]).score for name, scorer in of_sentences.items()
                },
            }
        )
    return summary


def work(rows: list[Row], task: Translation) -> float:
    return float(len(rows) * task.max_new_tokens * CHARACTERS_PER_GENERATED_TOKEN)
