"""Perplexity per character, line by line: exp(-log p / characters), averaged over lines (Poro 34B, table 1).

Nothing stands before a line, and its first token is not scored, nor are that token's characters counted; lines of fewer than two
tokens have no score. That is the definition of LumiOpen/lumiopen-tools, scripts/perplexity/loss_and_ppl.py. A line that is
longer than what the model reads at once is scored in windows. Beside it stand the loss per token, averaged over lines, which
says nothing across tokenizers, and fertility, tokens per word, over all lines.
"""

import math
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from assets.recipe.evaluation import CharacterPerplexity
from eval_jobs.model import GIVEN_FIRST_TOKEN
from eval_jobs.tasks.common import WORD, Row, Run, Settings, Summary, bootstrap_ratio, digest

VERSION = 1
KEYS = {"text": str}


class Task(ConfigurableTask):
    """lm-eval's task, which asks for the log-likelihood of texts given their first tokens."""

    def construct_requests(self, doc: Row, ctx: Any, **kwargs: Any) -> Instance:
        kwargs = {key: value for key, value in kwargs.items() if key in ("metadata",)}
        arguments = (doc["text"], GIVEN_FIRST_TOKEN)
        return Instance(request_type="loglikelihood_rolling", doc=doc, arguments=arguments, idx=0, **kwargs)


def definition(rows: list[Row], task: CharacterPerplexity, settings: Settings) -> dict[str, Any]:
    return {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "process_results": lambda doc, results: {"log_likelihood": results[0]},
        "metric_list": [{"metric": "log_likelihood", "aggregation": math.fsum, "higher_is_better": True}],
    }


def summarise(samples: list[Row], run: Run) -> Summary:
    import regex

    word = regex.compile(WORD)
    summary = Summary()
    for sample in samples:
        text, log_likelihood = sample["doc"]["text"], float(sample["log_likelihood"])
        ids = run.model.tok_encode(text, add_special_tokens=False)
        # Where a token ends within a character, the rest of it decodes to replacement characters, which count.
        decoded = run.model.text_tokenizer.decode(ids[1:], skip_special_tokens=False)
        record = {
            "id": sample["doc"]["id"],
            "prompt": digest(text),
            "log_likelihood": log_likelihood,
            "characters": len(decoded),
            "tokens": len(ids),
            "words": len(word.findall(text)),
            "scores": {},
        }
        if len(ids) > 1 and decoded:
            record["scores"] = {
                "character_perplexity": math.exp(-log_likelihood / len(decoded)),
                "token_loss": -log_likelihood / (len(ids) - 1),
            }
        summary.items.append(record)
    scored = [record["scores"] for record in summary.items if record["scores"]]
    if not scored:
        raise ValueError(f"None of {len(samples)} lines has two tokens or more, so there is none to score.")
    for metric in ("character_perplexity", "token_loss"):
        values = np.array([scores[metric] for scores in scored])
        summary.metrics[metric] = float(values.mean())
        summary.stderr[metric] = float(values.std() / np.sqrt(len(values)))
    tokens, words = (np.array([record[key] for record in summary.items]) for key in ("tokens", "words"))
    summary.metrics["fertility"] = float(tokens.sum() / words.sum())
    summary.stderr["fertility"] = bootstrap_ratio(tokens, words, run.settings.seed)
    summary.metrics["lines_scored"] = float(len(scored))
    return summary


def work(rows: list[Row], task: CharacterPerplexity) -> float:
    return float(sum(len(row["text"]) for row in rows))
