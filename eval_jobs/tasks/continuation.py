"""Health of free text: beginnings of held-out documents, continued by the model, beside what their authors wrote.

A high score in multiple choice does not mean fluent text (Poro 34B, section 4.4). What is looked at:

- ``own_language``: the continuation is in the declared language, by py3langid, and by pycld2 where that is not sure. Both take
  noise for some language, so this says nothing where ``known_words`` is low.
- ``known_words``: share of its words that stand in another document or in its own beginning.
- ``looping``: it ends in three or more copies of a phrase of at least two words. Of human text 0.3 % does, of GPT-2's greedy
  continuations 74 % (Holtzman et al. 2020, arXiv 1904.09751, table 1).
- ``repetition``: share of its 4-grams of words that are repeated: seq-rep-4 (Welleck et al. 2020, arXiv 1908.04319, section 6.1).
- ``distinct_2``: different pairs of words over pairs of words (Li et al. 2016, arXiv 1510.03055, section 5).
- ``empty``: there is nothing to see in it.
- ``healthy``: in the declared language, neither looping nor empty, and with at least half the known words that the authors'
  continuations have on average. Random weights have a tenth of them.

``..._of_documents`` are the same measures of the authors' own continuations, cut to as many tokens as the model may write: what a
fluent model comes near, on these very documents.
"""

import copy
import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from assets.recipe.evaluation import Continuation
from eval_jobs.tasks.common import (
    CHARACTERS_PER_GENERATED_TOKEN,
    WORD,
    Row,
    Run,
    Settings,
    Summary,
    digest,
    new_tokens,
)

VERSION = 1
KEYS = {"prompt": str, "rest": str}
# What the declared language is told from; a closed set is surer.
COMPANY = ("fi", "en", "sv", "et", "de", "fr", "es", "ru", "da", "no", "nl", "it", "pl", "pt", "la", "hu", "lv", "lt")
# py3langid's probability from which on it is believed by itself.
SURE = 0.7
COPIES = 3
# Of the authors' known words, the share that a healthy continuation has.
ENOUGH_KNOWN = 0.5
# A phrase without white space counts as one from so many characters on.
CHARACTERS_OF_PHRASE = 10
DOCUMENTS = ("healthy", "own_language", "known_words", "looping", "repetition", "distinct_2")


def definition(rows: list[Row], task: Continuation, settings: Settings) -> dict[str, Any]:
    if task.language != "code" and task.language not in known_languages():
        raise ValueError(f"The language {task.language!r} is not among those that py3langid tells apart.")
    for row in rows:
        row["language"] = task.language
    arguments: dict[str, Any] = {"until": [], "max_gen_toks": new_tokens(task.max_new_tokens, settings)}
    if task.temperature:
        sampled = {"do_sample": True, "temperature": task.temperature, "top_p": task.top_p, "seed": settings.seed}
    else:
        sampled = {"do_sample": False}
    return {
        "output_type": "generate_until",
        "doc_to_text": "prompt",
        "doc_to_target": "rest",
        "generation_kwargs": arguments | sampled,
        "process_results": lambda doc, results: {"characters": len(results[0])},
        "metric_list": [{"metric": "characters", "aggregation": "mean", "higher_is_better": True}],
    }


def summarise(samples: list[Row], run: Run) -> Summary:
    documents = [Counter(set(words(s["doc"]["prompt"] + s["doc"]["rest"]))) for s in samples]
    in_documents = sum(documents, Counter[str]())
    summary = Summary()
    of_authors = []
    for sample, own in zip(samples, documents, strict=True):
        doc, (prompt, arguments) = sample["doc"], sample["arguments"][0]
        beginning = set(words(prompt))

        def known(word: str, own: Counter[str] = own, beginning: set[str] = beginning) -> bool:
            return in_documents[word] > own[word] or word in beginning

        generation = sample["filtered_resps"][0]
        tokens = run.model.tok_encode(doc["rest"], add_special_tokens=False)[: arguments["max_gen_toks"]]
        author = run.model.text_tokenizer.decode(tokens, skip_special_tokens=False)
        of_authors.append(measure(author, doc["language"], known))
        summary.truncated += len(run.model.tok_encode(prompt)) > run.model.max_length - arguments["max_gen_toks"]
        summary.items.append(
            {
                "id": doc["id"],
                "prompt": digest(prompt),
                "generation": generation,
                "reference": author,
                "scores": measure(generation, doc["language"], known),
            }
        )
    floor = ENOUGH_KNOWN * float(np.mean([each["known_words"] for each in of_authors]))
    for measures in [*(record["scores"] for record in summary.items), *of_authors]:
        measures["healthy"] = float(is_healthy(measures, floor))
    for metric in summary.items[0]["scores"]:
        values = np.array([record["scores"][metric] for record in summary.items])
        summary.metrics[metric] = float(values.mean())
        summary.stderr[metric] = float(values.std() / np.sqrt(len(values)))
        if metric in DOCUMENTS:
            summary.metrics[f"{metric}_of_documents"] = float(np.mean([each[metric] for each in of_authors]))
    return summary


def measure(text: str, language: str, known: Callable[[str], bool]) -> dict[str, float]:
    """The measures of a continuation; of code, whose language nobody tells, without ``own_language``.

    ``known`` tells the words that other documents hold.
    """
    found = words(text)
    spelled = [word for word in found if word.isalpha()]
    empty = not found
    measures = {
        "own_language": float(not empty and language != "code" and is_in_language(text, language)),
        "known_words": sum(map(known, spelled)) / len(spelled) if spelled else 0.0,
        "looping": float(is_looping(text)),
        "repetition": repeated(found, 4),
        "distinct_2": 1 - repeated(found, 2) if len(found) > 1 else 0.0,
        "empty": float(empty),
        "characters": float(len(text)),
    }
    if language == "code":
        del measures["own_language"]
    return measures


def is_healthy(measures: dict[str, float], floor: float) -> bool:
    """Whether nothing is wrong with a continuation of these measures, of whose words the share ``floor`` is to be known."""
    wrong = measures["empty"] or measures["looping"] or not measures.get("own_language", 1)
    return not wrong and measures["known_words"] >= floor


@functools.cache
def _word() -> Any:
    import regex

    return regex.compile(WORD)


def words(text: str) -> list[str]:
    """The words of a text in lower case, punctuation by itself."""
    return [word.casefold() for word in _word().findall(text)]


def repeated(found: list[str], n: int) -> float:
    """1 - different n-grams / n-grams; 0 where there is none."""
    grams = list(zip(*(found[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_looping(text: str) -> bool:
    """Whether a text ends in three copies of a phrase of two words or ten characters. Its last word may be cut off."""
    found = words(text)
    return (
        _ends_in_copies(found, 2)
        or _ends_in_copies(found[:-1], 2)
        or _ends_in_copies(text.rstrip(), CHARACTERS_OF_PHRASE)
    )


def _ends_in_copies(sequence: list[str] | str, shortest: int) -> bool:
    for length in range(shortest, len(sequence) // COPIES + 1):
        end = sequence[-length:]
        if all(sequence[-(i + 1) * length : -i * length] == end for i in range(1, COPIES)):
            return True
    return False


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def known_languages() -> frozenset[str]:
    """The languages that py3langid tells apart."""
    return frozenset(map(str, _identifier().nb_classes))


@functools.cache
def _identifier_among(language: str) -> Any:
    identifier = copy.copy(_identifier())
    identifier.set_languages(sorted({*COMPANY, language} & known_languages()))
    return identifier


def is_in_language(text: str, language: str) -> bool:
    """Whether a text is in a language, by the detectors; a text with replacement characters or few letters is in none."""
    letters = sum(map(str.isalpha, text))
    if "\ufffd" in text or 2 * letters < sum(not character.isspace() for character in text):
        return False
    found, probability = _identifier_among(language).classify(text)
    if probability >= SURE:
        return bool(found == language)
    import pycld2

    try:
        _, _, (likeliest, *_) = pycld2.detect("".join(c for c in text if c.isprintable() or c.isspace()).encode())
    except pycld2.error:  # characters that it does not take for text
        return False
    return bool(likeliest[1] == language)


def work(rows: list[Row], task: Continuation) -> float:
    return float(len(rows) * (task.prompt_characters + task.max_new_tokens * CHARACTERS_PER_GENERATED_TOKEN))
