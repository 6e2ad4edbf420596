"""How sure a difference between two scores is: paired bootstrap over the items that both were measured on.

A metric is the mean, over the sub-tasks of a task, of a function of sums over items: of scores and their number (a mean), of
weighted scores and weights (bits per character), of n-gram counts (BLEU, chrF). So one resampling serves all of them: items
are drawn with replacement within their sub-task, the same ones for both sides, and the metric is computed anew from the sums
(Efron and Tibshirani 1993, chapter 13; for BLEU Koehn 2004, "Statistical Significance Tests for Machine Translation
Evaluation").
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
LEVEL = 0.95
SEED = 1234
COUNTS_AT_ONCE = 4_000_000
"""Numbers of [resamples, items] that are drawn at a time; 32 MB."""
POWER = 0.8416
"""With this many standard errors beyond the bound of a 95 % interval a difference is found in 80 % of all samples."""
BOUND = 1.9600
TOLERANCE = 1e-6
"""How far a metric that is computed anew from the items may lie from the one reported, as a share of it."""
LESS_IS_BETTER = (
    *("bits_per_", "unigram_bits_per_", "perplexity", "character_perplexity", "token_loss", "fertility"),
    *("looping", "empty", "repetition"),
)

Floats = npt.NDArray[np.float64]
Record = Mapping[str, Any]


class StatisticError(ValueError):
    """A metric cannot be computed from item-level results. The message says which and why."""


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is better; the part after a slash, a sub-task or a language, does not matter."""
    return metric.split("/", maxsplit=1)[0].startswith(LESS_IS_BETTER)


@dataclass(frozen=True)
class Statistic:
    """A metric of a task as a function of sums over its items.

    ``rows`` are float64 [items, k]; ``groups`` [items] number the sub-tasks from 0; ``of_sums`` makes scores [n] of the sums
    [n, k] over the items of one sub-task. The metric is the mean of the sub-tasks' scores.
    """

    rows: Floats
    groups: npt.NDArray[np.int64]
    of_sums: Callable[[Floats], Floats]

    def value(self) -> float:
        """The metric on all items."""
        return float(np.mean([self.of_sums(self.rows[of].sum(axis=0)[None])[0] for of in self.members()]))

    def members(self) -> list[npt.NDArray[np.int64]]:
        """The numbers of the items of each sub-task."""
        return [np.flatnonzero(self.groups == group) for group in range(int(self.groups.max()) + 1)]


def bootstrap(statistics: Sequence[Statistic], name: str, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Metrics on ``resamples`` samples of the items, float64 [statistics, resamples]; all see the same samples.

    The statistics must be over the same items in the same sub-tasks. The draw depends on ``name`` (the task), ``seed`` and the
    number of items, so that a task's interval is the same whatever else is compared, and tasks are drawn independently.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    members = statistics[0].members()
    found = np.zeros((len(statistics), resamples))
    for of in members:
        even = np.full(len(of), 1 / len(of))
        step = max(1, COUNTS_AT_ONCE // len(of))
        for start in range(0, resamples, step):
            stop = min(start + step, resamples)
            counts = rng.multinomial(len(of), even, size=stop - start).astype(np.float64)
            for number, statistic in enumerate(statistics):
                found[number, start:stop] += statistic.of_sums(counts @ statistic.rows[of]) / len(members)
    return found


Verdict = Literal["a", "b", "same", "open"]


@dataclass(frozen=True)
class Difference:
    """``difference`` is a - b, with the bounds of its interval at ``LEVEL`` and its standard error, both by bootstrap.

    ``p``: how likely a difference this far from 0 is where there is none (two-sided, at least 1 / (resamples + 1)).
    ``detectable``: the difference that items so many and so different would show in four of five samples.
    """

    a: float
    b: float
    low: float
    high: float
    stderr: float
    p: float

    @property
    def difference(self) -> float:
        return self.a - self.b

    @property
    def detectable(self) -> float:
        return (BOUND + POWER) * self.stderr

    def better(self, metric: str) -> Verdict:
        """The better side; ``open`` where the interval holds 0, ``same`` where no sample differs at all."""
        if self.stderr == 0 and self.difference == 0:
            return "same"
        if self.low <= 0 <= self.high:
            return "open"
        return "a" if (self.difference < 0) == lower_is_better(metric) else "b"


def difference(a: float, b: float, drawn: Floats) -> Difference:
    """The difference of two metrics, given both on the same resamples, float64 [2, resamples]."""
    differences = drawn[0] - drawn[1]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    beyond = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(differences) + 1))
    return Difference(a, b, float(low), float(high), float(differences.std(ddof=1)), p)


def agreed(metric: str, sides: Sequence[tuple[Sequence[Record], str, float]]) -> tuple[str, list[Statistic]]:
    """The way to compute a metric that gives the reported score on every side, and the metric of each side so computed.

    A side is its records, its signature and the score that was reported. Raises StatisticError where there is no such way, so
    that what is resampled is what was reported.
    """
    ways = [candidates(metric, records, signature) for records, signature, _ in sides]
    for way in ways[0]:
        if all(
            way in of_side and math.isclose(of_side[way].value(), reported, rel_tol=TOLERANCE, abs_tol=1e-9)
            for of_side, (_, _, reported) in zip(ways, sides, strict=True)
        ):
            return way, [of_side[way] for of_side in ways]
    found = "; ".join(
        f"reported {reported:g}, by the items " + ", ".join(f"{s.value():g} ({way})" for way, s in of_side.items())
        for of_side, (_, _, reported) in zip(ways, sides, strict=True)
    )
    raise StatisticError(f"The items' results do not give {metric} as it was reported: {found}.")


def candidates(metric: str, records: Sequence[Record], signature: str = "") -> dict[str, Statistic]:
    """The ways to compute a metric from ``records``, the item-level results of a task, by name, the likeliest first.

    BLEU and chrF are those that their sacrebleu ``signature`` names. The others are the mean over items, the mean over
    sub-tasks of their means, or the mean weighted by ``characters``. Raises StatisticError where an item has no score.
    """
    if not records:
        raise StatisticError(f"There is no item to compute {metric} from.")
    if signature:
        return {"corpus": _corpus(metric, records, signature)}
    scores = np.array([_score(record, metric) for record in records])
    one, groups = np.ones(len(scores)), np.zeros(len(scores), np.int64)
    ways = {"mean": _ratio(scores, one, groups)}
    if all(isinstance(record.get("characters"), int | float) for record in records):
        ways["weighted by characters"] = _ratio(scores, np.array([float(r["characters"]) for r in records]), groups)
    subtasks = [_subtask(record) for record in records]
    numbers = {name: number for number, name in enumerate(sorted(set(subtasks)))}
    if len(numbers) == 1:
        return ways
    by_subtask = {"mean of sub-tasks": _ratio(scores, one, np.array([numbers[name] for name in subtasks]))}
    # Where records name their sub-tasks they are meant; the beginning of an id may as well be a file.
    return by_subtask | ways if "subtask" in records[0] else ways | by_subtask


def _score(record: Record, metric: str) -> float:
    score = record["scores"].get(metric)
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise StatisticError(f"The item {record['id']!r} has {metric} = {score!r}; it must be a number.")
    return float(score)


def _subtask(record: Record) -> str:
    """The sub-task of an item: where its record does not name it, what stands before the number in its id."""
    named = record.get("subtask")
    return str(named) if named is not None else str(record["id"]).rpartition("/")[0]


def _ratio(scores: Floats, weights: Floats, groups: npt.NDArray[np.int64]) -> Statistic:
    return Statistic(np.stack([scores * weights, weights], axis=1), groups, _quotient)


def _quotient(sums: Floats) -> Floats:
    quotient: Floats = sums[:, 0] / sums[:, 1]
    return quotient


def _corpus(metric: str, records: Sequence[Record], signature: str) -> Statistic:
    """BLEU or chrF of a corpus as sacrebleu computes them from sums over sentences."""
    _check_pieces(metric, signature)
    scorer = scorer_of(metric, signature)
    generations, references = ([str(record[side]) for record in records] for side in ("generation", "reference"))
    try:
        rows = np.array(scorer._extract_corpus_statistics(generations, [references]), dtype=np.float64)
    except Exception as error:  # a tokenizer whose model is not at hand raises whatever its download raised
        raise StatisticError(
            f"{metric} cannot be computed here as its signature {signature!r} asks: {error}"
        ) from error

    def of_sums(sums: Floats) -> Floats:
        return np.array([scorer._compute_score_from_stats(row.tolist()).score for row in np.rint(sums)])

    return Statistic(rows, np.zeros(len(records), np.int64), of_sums)


def _check_pieces(metric: str, signature: str) -> None:
    """Raise StatisticError where a SentencePiece model is asked for that is not at hand; nothing is fetched."""
    from sacrebleu.tokenizers import tokenizer_spm

    tokenizer = next((part[4:] for part in signature.split("|") if part.startswith("tok:")), "")
    model = tokenizer_spm.SPM_MODELS.get(tokenizer)
    if model is None:
        return
    path = Path(tokenizer_spm.SACREBLEU_DIR) / "models" / PurePosixPath(model["url"]).name
    if not path.is_file():
        raise StatisticError(
            f"{metric} is over the pieces of {tokenizer}, whose model {path.name} is not in {path.parent}."
        )


def scorer_of(metric: str, signature: str) -> Any:
    """The sacrebleu metric that a signature describes. Raises StatisticError for one that it does not understand."""
    import sacrebleu

    said = dict(part.split(":", 1) for part in signature.split("|") if ":" in part)
    try:
        if "tok" in said:
            return sacrebleu.BLEU(
                tokenize=said["tok"],
                lowercase=said["case"] != "mixed",
                effective_order=said["eff"] == "yes",
                smooth_method=said["smooth"].split("[")[0],
            )
        return sacrebleu.CHRF(
            char_order=int(said["nc"]),
            word_order=int(said["nw"]),
            whitespace=said["space"] == "yes",
            lowercase=said["case"] != "mixed",
            eps_smoothing=said["eff"] == "no",
        )
    except (KeyError, ValueError, AssertionError) as error:
        raise StatisticError(
            f"The signature {signature!r} of {metric} is not one of sacrebleu's BLEU or chrF."
        ) from error
