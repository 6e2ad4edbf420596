"""Promoting and rolling back: from Dagster's event log to a version in the lake, an entry of its history, and an event."""

import getpass
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets.lake import LakeError, Manifest
from assets.promotion.examine import Examined, examine
from assets.promotion.history import ASSET, Entry, append, before, history
from assets.promotion.model import Candidate, PromotionError, choose, scores_of, write_model
from assets.recipe.catalog import Catalog, join, step_name
from assets.recipe.model import Recipe
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile


class RiskNotConfirmedError(PromotionError):
    """A model was made with accepted risks, which nobody has confirmed."""


@dataclass(frozen=True)
class Proposal:
    """What would be promoted, under which name, why this one, and what its lineage says."""

    name: str
    candidate: Candidate
    why: str
    examined: Examined


def user() -> str:
    """Who does it, as the machine knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def propose(
    catalog: Catalog, profile: Profile, instance: dg.DagsterInstance, recipe: str, step: int | None, name: str | None
) -> Proposal:
    """What a promotion of the recipe would take: ``step``, or what its policy says. Raises PromotionError."""
    found = catalog.recipe(recipe)
    policy = found.automation.promote
    evaluations = _evaluations(found, profile, instance)
    if not evaluations:
        raise PromotionError(f"{recipe} has no evaluated checkpoint; `tokka run {recipe}` makes them.")
    keys = {step: join(recipe, step_name(step)) for step in evaluations}
    why = "by its step"
    if step is None:
        passed = {s: m for s, m in evaluations.items() if _passed(profile, m)}
        step, why = choose(profile.lake, found, policy, passed, keys)
    if step not in evaluations:
        steps = ", ".join(str(s) for s in sorted(evaluations))
        raise PromotionError(
            f"{recipe} has no evaluated checkpoint at step {step}; there are those at the steps {steps}."
        )
    candidate = _candidate(profile, instance, recipe, step, evaluations[step])
    # The card also speaks of the other checkpoints, whose gates are not this one's.
    refs = [candidate.checkpoint.ref, candidate.evaluation.ref]
    return Proposal(name or policy.name or recipe, candidate, why, examine(profile.lake, refs))


def _evaluations(recipe: Recipe, profile: Profile, instance: dg.DagsterInstance) -> dict[int, Manifest]:
    """The evaluations that the event log names, by step."""
    found = {}
    for step in recipe.training.checkpoints:
        ref = materialized_ref(instance, "evaluation", join(recipe.name, step_name(step)))
        if ref is not None:
            found[step] = profile.lake.manifest(ref)
    return found


def _passed(profile: Profile, evaluation: Manifest) -> bool:
    receipt = profile.lake.receipt(evaluation)
    return receipt is not None and receipt.passed and receipt.manifest_digest == evaluation.digest


def _candidate(
    profile: Profile, instance: dg.DagsterInstance, recipe: str, step: int, evaluation: Manifest
) -> Candidate:
    """The checkpoint that was scored, and the card that speaks of it. Raises PromotionError."""
    lake = profile.lake
    checkpoint = lake.manifest(next(ref for ref in evaluation.inputs if ref.asset == "checkpoint"))
    card_ref = materialized_ref(instance, "model_card", recipe)
    if card_ref is None:
        raise PromotionError(f"{recipe} has no model card; `tokka run {recipe}` makes it.")
    card = lake.manifest(card_ref)
    board = lake.manifest(next(ref for ref in card.inputs if ref.asset == "scoreboard"))
    if evaluation.ref not in board.inputs:
        raise PromotionError(
            f"the model card of {recipe} speaks of another evaluation of step {step} than {evaluation.name}; "
            f"`tokka run {recipe}` makes it anew."
        )
    return Candidate(recipe, step, checkpoint, evaluation, card)


def promote(
    profile: Profile, instance: dg.DagsterInstance, proposal: Proposal, who: str, why: str, confirm_risks: bool = False
) -> Entry:
    """Promote what is proposed: its version in the lake, an entry in the history, an event in Dagster.

    Raises PromotionError where a gate of the lineage has not passed, or bytes of the checkpoint are not those of its manifest,
    and RiskNotConfirmedError where risks were accepted and are not confirmed.
    """
    lake, candidate, examined = profile.lake, proposal.candidate, proposal.examined
    faults = [*examined.faults, *lake.verify(candidate.checkpoint), *lake.verify(candidate.evaluation)]
    title = f"{candidate.recipe}, step {candidate.step}, cannot be promoted"
    if faults:
        raise PromotionError("\n".join([f"{title}:", *faults]))
    if examined.risks and not confirm_risks:
        rows = [f"{version}: {reason}" for version, reason in examined.risks.items()]
        raise RiskNotConfirmedError(
            "\n".join([f"{title} without --confirm-risks, since it was made with accepted risks:", *rows])
        )
    version = write_model(lake, proposal.name, candidate, examined)
    entry = Entry(
        number=0,
        name=proposal.name,
        action="promote",
        version=version.ref,
        recipe=candidate.recipe,
        step=candidate.step,
        who=who,
        why=why,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        risks=examined.risks,
    )
    written = append(lake, entry)
    _tell(instance, profile, written)
    return written


def rollback(
    profile: Profile, instance: dg.DagsterInstance, name: str, version: str | None, who: str, why: str
) -> Entry:
    """Make current again what was current before, or the ``version`` of the history. Raises PromotionError."""
    lake = profile.lake
    entries = history(lake, name)
    if not entries:
        raise PromotionError(f"nothing was promoted as {name!r}; `tokka promoted` lists the names.")
    if version is None:
        target = before(entries)
        if target is None:
            raise PromotionError(
                f"there is nothing before {entries[-1].version.version}, which is current as {name!r}."
            )
    else:
        target = next((e for e in reversed(entries) if e.version.version == version), None)
        if target is None:
            known = ", ".join(dict.fromkeys(e.version.version for e in entries))
            raise PromotionError(f"{name!r} was never the version {version!r}; it was: {known}.")
    if target.version == entries[-1].version:
        raise PromotionError(f"{target.version.version} is current as {name!r} already.")
    try:
        for ref in lake.manifest(target.version).inputs:
            lake.manifest(ref)
    except LakeError as error:
        raise PromotionError(f"{name!r} cannot go back to {target.version.version}: {error}") from error
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = target.model_copy(update={"action": "rollback", "who": who, "why": why, "time": now})
    written = append(lake, entry)
    _tell(instance, profile, written)
    return written


def better(catalog: Catalog, profile: Profile, proposal: Proposal) -> str | None:
    """Why what a policy proposes does not take the place of what is current; None where it does."""
    entries = history(profile.lake, proposal.name)
    if not entries:
        return None
    current = profile.lake.manifest(entries[-1].version)
    inputs = {ref.asset: ref for ref in current.inputs}
    evaluation = proposal.candidate.evaluation
    if inputs["evaluation"] == evaluation.ref:
        return f"{current.version} is current as {proposal.name!r}, and is this evaluation's already"
    recipe = catalog.recipe(proposal.candidate.recipe)
    policy = recipe.automation.promote
    if policy.choose == "latest" or policy.metric is None:
        return None
    old_manifest = profile.lake.manifest(inputs["evaluation"])
    (old,) = scores_of(profile.lake, recipe, {old_manifest.partition: old_manifest}, policy.metric).values() or (None,)
    (new,) = scores_of(profile.lake, recipe, {evaluation.partition: evaluation}, policy.metric).values() or (None,)
    if old is None or new is None or (new < old if policy.lower_is_better else new > old):
        return None
    there = f"{current.version}, which is current as {proposal.name!r}"
    return f"its {policy.metric} is {new:.4g}, not better than {old:.4g} of {there}"


def _tell(instance: dg.DagsterInstance, profile: Profile, entry: Entry) -> None:
    """An event of the asset ``promoted_model``, so that the UI has the history too."""
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            ASSET,
            description=f"{entry.action} {entry.name}: {entry.recipe}, step {entry.step}",
            metadata={
                **{"name": entry.name, "action": entry.action, "recipe": entry.recipe, "step": entry.step},
                **{"version": entry.version.version, "digest": entry.version.digest},
                **{"who": entry.who, "why": entry.why, "folder": profile.lake.folder(entry.version)},
                **({"accepted risks": dg.MetadataValue.json(entry.risks)} if entry.risks else {}),
            },
        )
    )
