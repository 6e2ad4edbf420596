"""A study: recipes that differ from a base in one thing each, so that what the thing does can be seen.

Changes are said by group of sources, a group being a language, ``code`` or ``pairs``: so one list of arms serves recipes of
any size. The recipes are made from it when recipes are read: the base's mapping, the study's changes over it, the arm's over
those, as a recipe that ``extends`` another.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from assets.recipe.base import Config, Name, Positive
from assets.recipe.model import Recipe
from assets.recipe.yaml_files import merge

Equal = Literal["compute", "target"]
SAME = 0.02
"""Two numbers of epochs that differ by this share are the same arm: Poro's 1,000 B of 994 B tokens make 4 epochs 4.03."""
NOT_INHERITED = ("automation", "reference", "description")
"""Keys of a base that an arm does not take: schedules and promotion, scores known to be reached by another mixture."""


class StudyError(ValueError):
    """An arm cannot be made. The message says which and why."""


class Continues(Config):
    """Training that goes on from the last checkpoint of another arm, with the same seed."""

    arm: Name | None = Field(None, description="the arm whose weights it starts from; by default the baseline")
    steps: float = Field(0.25, gt=0, description="steps, as a share of the base's")
    lr: float = Field(0.4, gt=0, description="learning rates, as a share of the base's")
    replay: float = Field(
        0.0, ge=0, lt=1, description="share of all groups but the target's (Ibrahim et al. 2024, section 6)"
    )


class Arm(Config):
    """One thing that is changed. ``equal`` is what stays as in the baseline: ``compute``, the tokens in all, so that what is left
    out is made up for by more epochs of the rest; or ``target``, the tokens of the target language, so that the run is shorter.
    """

    description: str = Field("", description="what is changed, for people")
    without: tuple[str, ...] = Field((), description="groups that are not trained on")
    only: tuple[str, ...] = Field((), description="the only groups that are trained on")
    epochs: dict[str, float] = Field(
        default_factory=dict, description="epochs of groups over the whole run; the others share what is left of it"
    )
    share: dict[str, float] = Field(default_factory=dict, description="times the base's share of all tokens, by group")
    vocabulary: float | None = Field(None, gt=0, description="times the base's ids of the tokenizer")
    continues: Continues | None = Field(None, description="training that goes on from another arm")
    equal: Equal = Field("compute", description="what stays as in the baseline: all tokens, or those of the target")
    change: dict[str, Any] = Field(default_factory=dict, description="keys of the recipe, as with extends")

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing."""
        return self == Arm(description=self.description)


class Base(Config):
    """A recipe that the arms are made of. ``tokens`` are those that each group has, for what follows from shares before any token
    is counted; the mixture has the exact numbers afterwards."""

    extends: Name | None = Field(None, description="the recipe; by default the one of this name")
    tokens: dict[str, float] = Field(min_length=1, description="tokens of each group of sources")
    change: dict[str, Any] = Field(default_factory=dict, description="keys of the base's recipes, as with extends")
    seeds: tuple[int | None, ...] = Field(
        (), description="of training, in the place of the study's; `null` is the recipe's own"
    )


class Study(Config):
    """What is asked, of which recipes, over which seeds.

    Changes are said by group of sources: a language, ``code`` or ``pairs``.
    """

    name: Name = Field(description="as the file is called")
    description: str = Field(description="what is asked, for people")
    target: str = Field(description="the language that the study is about")
    baseline: Name = Field(description="the arm that the others are compared with")
    compare_also: tuple[Name, ...] = Field((), description="further arms that the others are compared with")
    seeds: tuple[int, ...] = Field((), description="of training; without any the base's own")
    bases: dict[Name, Base] = Field(min_length=1, description="the recipes that arms are made of")
    arms: dict[Name, Arm] = Field(min_length=2, description="what is changed, one thing each")
    change: dict[str, Any] = Field(default_factory=dict, description="keys of every recipe, as with extends")
    max_epochs: float | None = Field(
        None, gt=0, description="what the gates of the arms' mixtures allow, instead of the base's"
    )
    seconds_per_recipe: Positive | None = Field(None, description="how long one takes, for the estimate of the whole")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        named = [("baseline", self.baseline), *(("compare_also", name) for name in self.compare_also)]
        named += [
            (f"arms.{arm_name}.continues.arm", arm.continues.arm)
            for arm_name, arm in self.arms.items()
            if arm.continues and arm.continues.arm
        ]
        for place, name in named:
            if name not in self.arms:
                raise ValueError(f"{place} names {name!r}; the arms are: {', '.join(self.arms)}")
        if len({self.baseline, *self.compare_also}) != 1 + len(self.compare_also):
            raise ValueError("an arm stands twice among baseline and compare_also")
        if any(len(set(each)) != len(each) for each in (self.seeds, *(base.seeds for base in self.bases.values()))):
            raise ValueError("a seed stands twice")
        for name, base in self.bases.items():
            if self.target not in base.tokens:
                raise ValueError(f"bases.{name}.tokens has no {self.target!r}, the target")
        for name, arm in self.arms.items():
            known = set.intersection(*(set(base.tokens) for base in self.bases.values()))
            for group in (*arm.without, *arm.only, *arm.epochs, *arm.share):
                if group not in known:
                    raise ValueError(
                        f"arms.{name} names the group {group!r}; the groups are: {', '.join(sorted(known))}"
                    )
        return self

    def seeds_of(self, base: str) -> tuple[int | None, ...]:
        """The seeds of a base's recipes; None is the recipe's own."""
        return self.bases[base].seeds or self.seeds or (None,)

    def recipe_name(self, base: str, arm: str, seed: int | None) -> str:
        """The name of a derived recipe: ``mini-no-code``, or with seeds ``mini-no-code-s2``."""
        if self.arms[arm].is_plain and seed is None and not self.change and not self.bases[base].change:
            return self.bases[base].extends or base
        return _name(base, arm, seed)


def _name(base: str, arm: str, seed: int | None) -> str:
    return f"{base}-{arm}" + ("" if seed is None else f"-s{seed}")


@dataclass(frozen=True)
class Mixed:
    """What an arm trains on, as far as the tokens of the groups say: ``sampled`` and ``epochs`` by group."""

    tokens: int
    sampled: dict[str, float]
    epochs: dict[str, float]


@dataclass(frozen=True)
class Derived:
    """A recipe of a study, with its place in it. ``is_new`` tells it from one that has a file, or another arm, of its own."""

    study: str
    base: str
    arm: str
    seed: int | None
    equal: str
    recipe: Recipe
    mixed: Mixed
    is_new: bool

    @property
    def alias(self) -> str:
        """The name by base, arm and seed, which the recipe has too where it is another's: ``poro-34b-fi-epochs-4``."""
        return _name(self.base, self.arm, self.seed)


def group_of(recipe: Recipe, source: str) -> str:
    """``pairs``, or the language of a source."""
    found = recipe.sources[source]
    return "pairs" if found.is_pairs else found.language


def group_epochs(recipe: Recipe) -> dict[str, float]:
    """The epochs of each group. Raises StudyError where its sources have different ones, or weights."""
    groups: dict[str, set[float | None]] = {}
    for name, weight in recipe.mixture.sources.items():
        groups.setdefault(group_of(recipe, name), set()).add(weight.epochs)
    found: dict[str, float] = {}
    for group, epochs in groups.items():
        (one,) = epochs if len(epochs) == 1 else (None,)
        if one is None:
            raise StudyError(
                f"the sources of the group {group!r} have different epochs, or weights; an arm needs one number "
                "of epochs for each group"
            )
        found[group] = one
    return found


def mixed(tokens: dict[str, float], epochs: dict[str, float], planned: int) -> Mixed:
    """The tokens that a run of ``planned`` tokens takes of each group, as ``assets.mixture.blend`` weighs them."""
    wanted = {group: each * tokens[group] for group, each in epochs.items()}
    total = sum(wanted.values())
    sampled = {group: each / total * planned for group, each in wanted.items()}
    return Mixed(planned, sampled, {group: each / tokens[group] for group, each in sampled.items()})


def arm_epochs(
    arm: Arm, target: str, tokens: dict[str, float], epochs: dict[str, float], planned: int
) -> dict[str, float]:
    """The epochs of each group that is trained on, relative to each other; where the arm says epochs, those of a run of
    ``planned`` tokens.
    """
    base = {group: each * tokens[group] for group, each in epochs.items()}
    kept = {g: e for g, e in epochs.items() if g not in arm.without and (not arm.only or g in arm.only)}
    if not kept:
        raise StudyError("nothing is left to train on")
    shares = {group: times * base[group] / sum(base.values()) for group, times in arm.share.items()}
    shares |= {group: each * tokens[group] / planned for group, each in arm.epochs.items()}
    if shares:
        whole = sum(shares.values())
        if whole >= 1:
            raise StudyError(
                f"the shares of {', '.join(shares)} are {whole:.0%} of all tokens; they must be below 100 %"
            )
        others = sum(each * tokens[group] for group, each in kept.items() if group not in shares)
        kept |= {group: share / (1 - whole) * others / tokens[group] for group, share in shares.items()}
    if arm.epochs:
        kept = mixed(tokens, kept, planned).epochs
    if arm.continues:
        others = sum(each * tokens[group] for group, each in kept.items() if group != target)
        replay = arm.continues.replay
        if not replay:
            return {target: kept[target]}
        if not others:
            raise StudyError("there is nothing to replay beside the target")
        times = replay / (1 - replay) * kept[target] * tokens[target] / others
        kept = {group: each if group == target else each * times for group, each in kept.items()}
    return kept


def derive(study: Study, base_name: str, value: dict[str, Any], arm_name: str, seed: int | None) -> Derived:
    """The recipe of an arm; ``value`` is the mapping of the recipe that the base extends, with its suites.

    Raises StudyError where the arm cannot be made, pydantic's ValidationError where the recipe is wrong.
    """
    base, arm = study.bases[base_name], study.arms[arm_name]
    name = study.recipe_name(base_name, arm_name, seed)
    given = value
    is_new = name != (base.extends or base_name)
    if is_new:
        value = {key: each for key, each in value.items() if key not in NOT_INHERITED}
        value["automation"] = {"follow": False}  # a study runs when somebody runs it
    value = merge(merge(value, study.change), base.change) | {"name": name}
    if is_new:
        lead = str(value.get("description") or base.extends or base_name).rstrip(".")
        value["description"] = f"{lead}: {arm.description or 'as the base is'}; held equal: {held(study, arm)}."
    whole = Recipe.model_validate(value)
    epochs = group_epochs(whole)
    missing = sorted(set(epochs) - set(base.tokens))
    if missing:
        raise StudyError(
            f"bases.{base_name}.tokens lacks the groups {', '.join(missing)} that {base.extends or base_name} trains on"
        )
    plain_baseline = study.arms[study.baseline].is_plain
    own = mixed(base.tokens, epochs, whole.training.tokens).epochs
    if is_new and arm_name != study.baseline and plain_baseline and _changes_nothing(arm, own):
        same = derive(study, base_name, given, study.baseline, seed)
        return replace(same, arm=arm_name, is_new=False)
    kept = arm_epochs(arm, study.target, base.tokens, epochs, whole.training.tokens)
    times = arm.continues.steps if arm.continues else 1.0
    if arm.equal == "target":
        planned = whole.training.tokens
        before, after = (mixed(base.tokens, of, planned).sampled[study.target] for of in (epochs, kept))
        times *= before / after
    value = (
        merge(value, _changes(study, base_name, arm, arm_name, seed, whole, kept, epochs, times)) if is_new else value
    )
    recipe = Recipe.model_validate(value)
    return Derived(
        study.name,
        base_name,
        arm_name,
        seed,
        held(study, arm),
        recipe,
        mixed(base.tokens, kept, recipe.training.tokens),
        is_new,
    )


def _changes_nothing(arm: Arm, epochs: dict[str, float]) -> bool:
    """Whether all that an arm asks for is how many epochs there are, and a run of the base has about as many."""
    asked = arm.model_copy(update={"epochs": {}})
    return asked.is_plain and all(
        math.isclose(epochs.get(group, 0), each, rel_tol=SAME) for group, each in arm.epochs.items()
    )


def held(study: Study, arm: Arm) -> str:
    """What is as in the baseline, in words."""
    if arm.continues:
        return f"weights of {arm.continues.arm or study.baseline}, {arm.continues.steps:.0%} of its tokens on top"
    return "all tokens and steps" if arm.equal == "compute" else f"tokens of {study.target}"


def _changes(
    study: Study,
    base_name: str,
    arm: Arm,
    arm_name: str,
    seed: int | None,
    whole: Recipe,
    kept: dict[str, float],
    epochs: dict[str, float],
    times: float,
) -> dict[str, Any]:
    """What the arm's recipe has over the base's."""
    training: dict[str, Any] = {} if seed is None else {"seed": seed}
    own = whole.training
    if times != 1:
        steps = max(2, round(own.steps * times))
        checkpoints = [steps] if arm.continues else sorted({min(steps, round(c * times)) for c in own.checkpoints})
        training |= {"steps": steps, "checkpoints": checkpoints}
        training["warmup_steps"] = min(steps - 1, max(1, round(own.warmup_steps * times)))
    if arm.continues:
        training |= {"lr": own.lr * arm.continues.lr, "min_lr": own.min_lr * arm.continues.lr}
    sources: dict[str, Any] = {}
    for source in whole.mixture.sources:
        group = group_of(whole, source)
        if group not in kept:
            sources[source] = None
        elif kept[group] != epochs[group]:
            sources[source] = {"epochs": float(f"{kept[group]:.6g}")}
    change: dict[str, Any] = {"mixture": {"sources": sources}, "training": training}
    if study.max_epochs is not None:
        change["mixture"]["max_epochs"] = study.max_epochs
    if arm.vocabulary is not None:
        change["tokenizer"] = {"vocab_size": round(whole.tokenizer.vocab_size * arm.vocabulary)}
    if arm.continues:
        start = study.recipe_name(base_name, arm.continues.arm or study.baseline, seed)
        change["model"] = {"start_from": {"recipe": start, "step": own.steps}}
    change = merge(change, arm.change)
    if "tokenizer" in change:
        change["tokenizer"] = {"name": f"{whole.tokenizer.name}-{arm_name}", **change["tokenizer"]}
    return change
