"""Bits per character: -log2 p(documents) / characters, summed over all documents before dividing.

Unlike perplexity per token it compares models with different tokenizers. A character is a Unicode code point.
The baseline knows the frequency of every token and nothing else; a trained model must need fewer bits than that. There is
none where the training mixture is not known.
"""

import math
from typing import Any

import numpy as np

from assets.recipe.evaluation import BitsPerCharacter
from eval_jobs.tasks.common import Row, Run, Settings, Summary, bootstrap_ratio, digest

VERSION = 1
KEYS = {"text": str}


def definition(rows: list[Row], task: BitsPerCharacter, settings: Settings) -> dict[str, Any]:
    return {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "process_results": lambda doc, results: {"bits_per_character": (results[0], len(doc["text"]))},
        # The aggregation is -sum(log-likelihoods) / ln 2 / sum(units), whatever the units; here they are characters.
        "metric_list": [
            {"metric": "bits_per_character", "aggregation": "bits_per_byte", "higher_is_better": False},
        ],
    }


def summarise(samples: list[Row], run: Run) -> Summary:
    counts = run.settings.unigram_counts
    bits_of_token = unigram_bits(counts(), run.model.end_of_document) if counts else None
    records = []
    for sample in samples:
        text = sample["doc"]["text"]
        tokens = run.model.tok_encode(text, add_special_tokens=False)
        scores = {"bits_per_character": -sample["bits_per_character"][0] / math.log(2) / len(text)}
        if bits_of_token is not None:
            if max(tokens) >= len(bits_of_token):
                raise ValueError(
                    f"The mixture's unigram counts cover {len(bits_of_token)} ids, but the tokenizer gives {max(tokens)}."
                )
            scores["unigram_bits_per_character"] = float(bits_of_token[tokens].sum()) / len(text)
        records.append(
            {
                "id": sample["doc"]["id"],
                "prompt": digest(text),
                "log_likelihood": sample["bits_per_character"][0],
                "characters": len(text),
                "tokens": len(tokens),
                "scores": scores,
            }
        )
    characters = np.array([r["characters"] for r in records])
    summary = Summary(items=records)
    for metric in records[0]["scores"]:
        bits_of_item = characters * np.array([r["scores"][metric] for r in records])
        summary.metrics[metric] = float(bits_of_item.sum() / characters.sum())
        summary.stderr[metric] = bootstrap_ratio(bits_of_item, characters, run.settings.seed)
    return summary


def unigram_bits(counts: np.ndarray, end_of_document: int) -> np.ndarray:
    """Bits of each token, float64 [vocabulary]: -log2 p, where p is add-one smoothed.

    The end-of-document token is no part of a document: it is left out of the counts, and its own bits are infinite.
    """
    if counts.ndim != 1 or len(counts) <= end_of_document or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(
            "The mixture's unigram counts must be one number of 0 or more for each token of the vocabulary."
        )
    smoothed = counts.astype(np.float64) + 1
    smoothed[end_of_document] = 0
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(smoothed.sum()) - np.log2(smoothed))


def work(rows: list[Row], task: BitsPerCharacter) -> float:
    return float(sum(len(row["text"]) for row in rows))
