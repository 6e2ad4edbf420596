"""All recipes together: what they share by name, and the partitions that follow from them.

Sources, pools, tokenizers and tasks form one name space over all recipes. Two recipes that use the same name mean the same
thing, and then share every artefact made from it; two that mean different things under one name are refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from assets.recipe.data import Decontamination, Dedup, Source
from assets.recipe.evaluation import Task
from assets.recipe.model import Recipe
from assets.recipe.tokens import PairTemplate, Tokenizer


class CatalogError(ValueError):
    """Two recipes contradict each other, or a name is not known."""


def join(*names: str) -> str:
    """The partition key of several names; no name holds ``--`` itself. ``join("mini", "step-0000100")``."""
    return "--".join(names)


def split(key: str) -> tuple[str, str]:
    """The two names of a joined partition key."""
    first, second = key.split("--")
    return first, second


def step_name(step: int) -> str:
    """The name of a step, padded so that names sort as steps do: ``step-0000100``."""
    return f"step-{step:07d}"


def step_number(name: str) -> int:
    """The step that ``step_name`` made a name of."""
    return int(name.removeprefix("step-"))


@dataclass(frozen=True)
class Catalog:
    """The recipes by name. Building one checks that they agree on what they share.

    ``aliases`` are further names of recipes: arms of a study that are the same recipe as another.
    """

    recipes: dict[str, Recipe]
    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, recipes: Iterable[Recipe], aliases: Mapping[str, str] | None = None) -> "Catalog":
        by_name: dict[str, Recipe] = {}
        shared: dict[tuple[str, str], tuple[str, object]] = {}
        for recipe in recipes:
            if recipe.name in by_name:
                raise CatalogError(f"Two recipes have the name {recipe.name!r}; names must differ.")
            by_name[recipe.name] = recipe
            for kind, name, value in _shared_values(recipe):
                owner, known = shared.setdefault((kind, name), (recipe.name, value))
                if known != value:
                    raise CatalogError(
                        f"The recipes {owner!r} and {recipe.name!r} both have the {kind} {name!r}, but it differs between "
                        "them. Give it another name in one of them, or make it the same."
                    )
        for recipe in by_name.values():
            _check_start(recipe, by_name)
        return cls(dict(sorted(by_name.items())), dict(aliases or {}))

    def recipe(self, name: str) -> Recipe:
        """The recipe of that name or alias. Raises CatalogError that lists the names there are."""
        name = self.aliases.get(name, name)
        if name not in self.recipes:
            raise CatalogError(f"There is no recipe {name!r}. The recipes are: {', '.join(self.recipes)}.")
        return self.recipes[name]

    @cached_property
    def sources(self) -> dict[str, Source]:
        """All sources by name."""
        return {n: s for r in self.recipes.values() for n, s in sorted(r.sources.items())}

    @cached_property
    def pools(self) -> dict[str, list[str]]:
        """The sources of each pool, the ones whose documents survive first in front."""
        pools: dict[str, list[str]] = {}
        for name, source in sorted(self.sources.items(), key=lambda item: (item[1].priority, item[0])):
            pools.setdefault(source.pool, []).append(name)
        return pools

    @cached_property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """All tokenizers by name."""
        return {r.tokenizer.name: r.tokenizer for r in self.recipes.values()}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """All evaluation tasks by name."""
        return {n: t for r in self.recipes.values() for n, t in sorted(r.tasks.items())}

    def dedup(self, pool: str) -> Dedup:
        """How a pool is deduplicated."""
        return next((r.pools[pool] for r in self.recipes.values() if pool in r.pools), Dedup())

    def decontamination(self, source: str) -> Decontamination:
        """How a source is decontaminated."""
        return next(r.decontamination for r in self.recipes.values() if source in r.sources)

    def pair_template(self, tokenizer: str) -> PairTemplate:
        """How pairs are rendered for a tokenizer."""
        return next(r.pair_template for r in self.recipes.values() if r.tokenizer.name == tokenizer)

    @cached_property
    def shards(self) -> list[tuple[str, str]]:
        """The (source, tokenizer) pairs that some recipe trains on."""
        return sorted({(s, r.tokenizer.name) for r in self.recipes.values() for s in r.mixed_sources})

    @cached_property
    def checkpoints(self) -> list[tuple[str, int]]:
        """The (recipe, step) pairs of all checkpoints."""
        return [(r.name, step) for r in self.recipes.values() for step in r.training.checkpoints]


def _check_start(recipe: Recipe, by_name: dict[str, Recipe]) -> None:
    """A recipe that starts from another's checkpoint needs its architecture and its tokenizer, and must not start from itself."""
    start = recipe.model.start_from
    if start is None or start.recipe is None:
        return
    place = f"The recipe {recipe.name!r} starts from {start.recipe!r} (model.start_from)"
    if start.recipe not in by_name:
        raise CatalogError(f"{place}, but the recipes are: {', '.join(sorted(by_name))}.")
    parent = by_name[start.recipe]
    if start.step not in parent.training.checkpoints:
        steps = ", ".join(str(step) for step in parent.training.checkpoints)
        raise CatalogError(f"{place} at step {start.step}, but its checkpoints are at the steps {steps}.")
    # What says how weights are drawn does not have to agree: they are not drawn.
    free = {"start_from", "init_std", "scaled_init"}
    ours, theirs = (each.model.model_dump(exclude=free) for each in (recipe, parent))
    for name, value in ours.items():
        if value != theirs[name]:
            raise CatalogError(f"{place}, whose model has {name} = {theirs[name]}; {name} is {value} here.")
    if recipe.tokenizer.name != parent.tokenizer.name:
        raise CatalogError(
            f"{place}, whose tokenizer is {parent.tokenizer.name!r}; the tokenizer is {recipe.tokenizer.name!r} here."
        )
    line = [recipe.name]
    while start is not None and start.recipe in by_name:
        line.append(start.recipe)
        if line.count(start.recipe) > 1:
            raise CatalogError(f"The recipe {recipe.name!r} starts from itself: {' from '.join(line)}.")
        start = by_name[start.recipe].model.start_from


def _shared_values(recipe: Recipe) -> Iterable[tuple[str, str, object]]:
    for name, source in recipe.sources.items():
        yield "source", name, source
        yield "decontamination of source", name, recipe.decontamination
    for pool, dedup in recipe.pools.items():
        yield "pool", pool, dedup
    yield "tokenizer", recipe.tokenizer.name, recipe.tokenizer
    yield "pair template of tokenizer", recipe.tokenizer.name, recipe.pair_template
    for name, task in recipe.tasks.items():
        yield "task", name, task
