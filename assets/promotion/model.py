"""The version that a promotion makes: what is promoted, its card, its passport, and how every gate behind it judged."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from assets.lake import Identity, Lake, Manifest, VersionWriter
from assets.promotion.examine import Examined
from assets.promotion.history import ASSET
from assets.recipe.automation import Promotion
from assets.recipe.model import Recipe


class PromotionError(ValueError):
    """A model cannot be promoted, or rolled back. The message says everything that is missing, a line each."""


@dataclass(frozen=True)
class Candidate:
    """A checkpoint with its evaluation and its recipe's model card."""

    recipe: str
    step: int
    checkpoint: Manifest
    evaluation: Manifest
    card: Manifest


def scores_of(lake: Lake, recipe: Recipe, evaluations: Mapping[str, Manifest], metric: str) -> dict[int, float]:
    """The scores of a metric, ``task.metric``, by step; steps without it are left out."""
    from assets.reports.scores import score_rows

    task, _, name = metric.rpartition(".")
    rows = score_rows(lake, evaluations, recipe.averages)
    return {r["step"]: r["score"] for r in rows if (r["task"], r["metric"]) == (task, name) and r["score"] is not None}


def choose(
    lake: Lake, recipe: Recipe, policy: Promotion, passed: Mapping[int, Manifest], keys: Mapping[int, str]
) -> tuple[int, str]:
    """The step that the policy takes of those that passed (evaluations by step), and why. Raises PromotionError."""
    if not passed:
        raise PromotionError(f"no checkpoint of {recipe.name} has passed the gate of its evaluation.")
    if policy.choose == "latest" or policy.metric is None:
        return max(passed), "the latest checkpoint that passed"
    scores = scores_of(lake, recipe, {keys[step]: manifest for step, manifest in passed.items()}, policy.metric)
    if not scores:
        raise PromotionError(f"no checkpoint of {recipe.name} that passed has the score {policy.metric}.")
    # Of equal scores the later step.
    best = min(scores, key=lambda step: (scores[step] if policy.lower_is_better else -scores[step], -step))
    return best, f"the best {policy.metric} of those that passed, {scores[best]:.4g}"


def write_model(lake: Lake, name: str, candidate: Candidate, examined: Examined) -> Manifest:
    """The version ``promoted_model/NAME/...`` of a candidate; that which is there, where it was promoted before."""
    inputs = tuple(m.ref for m in (candidate.checkpoint, candidate.evaluation, candidate.card))
    identity = Identity(ASSET, name, {"recipe": candidate.recipe, "step": candidate.step}, "", inputs)
    found = lake.find(ASSET, name, identity.version)
    if found is not None:
        return found
    with lake.write(identity, examined.risks) as out:
        _write(lake, out, candidate, examined)
    made = lake.find(ASSET, name, identity.version)
    assert made is not None, "a version is visible once its writer has ended"
    return made


def _write(lake: Lake, out: VersionWriter, candidate: Candidate, examined: Examined) -> None:
    from assets.reports.passport import passport

    folder = lake.local(candidate.card)
    for entry in candidate.card.files:
        shutil.copyfile(folder / entry.path, out.stage(f"card/{entry.path}"))
        if entry.timed:
            out.timed.add(f"card/{entry.path}")
    out.timed.add("passport.json")  # it says when things were made
    out.write_json("passport.json", passport(lake, candidate.evaluation))
    out.write_json(
        "promotion.json",
        {
            "recipe": candidate.recipe,
            "step": candidate.step,
            "checkpoint": candidate.checkpoint.name,
            "evaluation": candidate.evaluation.name,
            "model_card": candidate.card.name,
            "gates": list(examined.gates),
            "accepted_risks": examined.risks,
        },
    )
    out.counts.update(step=candidate.step, gates=len(examined.gates), accepted_risks=len(examined.risks))
