"""Translation by examples as Poro 34B is measured (Luukkonen et al. 2024, section 4.5): greedy, up to ``END``.

BLEU and chrF++ are sacrebleu's. spBLEU, BLEU over pieces of the SentencePiece model of Flores-101 (Goyal et al. 2022), stands
beside them where that model is at hand (``assets.recipe.pieces``).
"""

from typing import Any

from assets.recipe.evaluation import FewShotTranslation
from assets.recipe.pieces import pieces_path
from eval_jobs.tasks.common import (
    CHARACTERS_PER_GENERATED_TOKEN,
    Row,
    Run,
    Settings,
    Summary,
    add_corpus_scores,
    chrf,
    digest,
    new_tokens,
)

VERSION = 1
KEYS = {"prompt": str, "source": str, "reference": str}
END = "END"


def definition(rows: list[Row], task: FewShotTranslation, settings: Settings) -> dict[str, Any]:
    return {
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "reference",
        "generation_kwargs": {
            "until": [END],
            "max_gen_toks": new_tokens(task.max_new_tokens, settings),
            "do_sample": False,
        },
        "process_results": lambda doc, results: dict.fromkeys(
            ("bleu", "chrf++"), (doc["reference"], one_line(results[0]))
        ),
        "metric_list": [
            {"metric": "bleu", "aggregation": "bleu", "higher_is_better": True},
            {"metric": "chrf++", "aggregation": chrf_plus_plus, "higher_is_better": True},
        ],
    }


def one_line(generation: str) -> str:
    """A translation as it is scored: line breaks become spaces."""
    return generation.strip().replace("\n", " ")


def chrf_plus_plus(pairs: list[tuple[str, str]]) -> float:
    """chrF++ (chrF with words and pairs of words, Popović 2017) of a corpus of (reference, translation)."""
    import sacrebleu

    references, generations = zip(*pairs, strict=True)
    return float(sacrebleu.CHRF(word_order=2).corpus_score(generations, [references]).score)


def summarise(samples: list[Row], run: Run) -> Summary:
    import sacrebleu

    references = [sample["doc"]["reference"] for sample in samples]
    generations = [one_line(sample["filtered_resps"][0]) for sample in samples]
    scorers = {"bleu": sacrebleu.BLEU(), "chrf++": chrf(word_order=2)}
    of_sentences = {"bleu": sacrebleu.BLEU(effective_order=True), "chrf++": chrf(word_order=2)}
    if pieces_path().is_file():
        scorers["spbleu"] = sacrebleu.BLEU(tokenize="flores101")
        of_sentences["spbleu"] = sacrebleu.BLEU(tokenize="flores101", effective_order=True)
    summary = Summary()
    add_corpus_scores(summary, scorers, generations, references, run.settings.seed)
    for sample, reference, generation in zip(samples, references, generations, strict=True):
        prompt, arguments = sample["arguments"][0]
        summary.truncated += len(run.model.tok_encode(prompt)) > run.model.max_length - arguments["max_gen_toks"]
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


def work(rows: list[Row], task: FewShotTranslation) -> float:
    read = sum(len(row["prompt"]) for row in rows)
    return float(read + len(rows) * task.max_new_tokens * CHARACTERS_PER_GENERATED_TOKEN)
