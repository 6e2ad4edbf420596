"""Which assets follow their inputs by themselves.

From ``clean_corpus`` to ``mixture`` data follow data; ``checkpoint`` and what is behind it follow a pretraining run. Between
the two stands ``pretraining_run``, which follows nothing: it is started by a schedule or by a person.
"""

from typing import TYPE_CHECKING

import dagster as dg

from assets.recipe.catalog import Catalog
from orchestration.automation.changes import Changes

if TYPE_CHECKING:
    from orchestration.profile import Profile

FOLLOW_DATA = (
    *("clean_corpus", "duplicates", "deduplicated_corpus", "decontaminated_corpus"),
    *("tokenizer", "tokenized_shards", "mixture"),
)
FOLLOW_CHECKPOINTS = ("checkpoint", "evaluation", "scoreboard", "model_card")
FOLLOWED = {"checkpoint": ("pretraining_run",), "evaluation": ("checkpoint",), "model_card": ("scoreboard",)}
"""The inputs that an asset follows, where it is not every input: new data is no reason to score an old model again."""


class InputsChanged(dg.AutomationCondition[dg.AssetKey]):
    """True for partitions whose inputs are there, and are others than those that the current version was made from.

    It compares states and not events: nothing is lost that happened while a sensor was off, and what was made anew with the
    same bytes is no change.
    """

    def __init__(self, changes: Changes, followed: tuple[str, ...] | None) -> None:
        self.changes, self.followed = changes, followed

    @property
    def name(self) -> str:
        return "inputs_changed"

    @property
    def description(self) -> str:
        return "The inputs are there, and one of them is another version than the one that was read"

    @property
    def requires_cursor(self) -> bool:
        return False

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """The candidates that have to be made."""
        asset = context.key.to_user_string()
        candidates = {p.partition_key for p in context.candidate_subset.expensively_compute_asset_partitions()}
        changed = self.changes.of(context.asset_graph_view.instance, asset, self.followed)
        partitions = context.asset_graph.get(context.key).partitions_def
        subset = context.asset_graph_view.get_subset_from_partition_keys(
            context.key, partitions, changed.intersection(candidates)
        )
        return dg.AutomationResult(context, true_subset=subset)


def gates_passed(followed: tuple[str, ...] | None) -> dg.AutomationCondition:
    """True where the gate of every input has passed, on the version that is there.

    ``AutomationCondition.all_deps_blocking_checks_passed`` is true for a partition as soon as one of the partitions that it
    reads of an asset has passed; so the question is asked the other way round.
    """
    passed = dg.AutomationCondition.all_checks_match(dg.AutomationCondition.check_passed(), blocking_only=True)
    return ~_deps(~passed, followed)


def _deps(condition: dg.AutomationCondition, followed: tuple[str, ...] | None) -> dg.AutomationCondition:
    """``condition`` for any input, or any of those that are followed."""
    match = dg.AutomationCondition.any_deps_match(condition)
    return match.allow(dg.AssetSelection.assets(*followed)) if followed else match


def follows(changes: Changes, asset: str) -> dg.AutomationCondition:
    """When a partition of ``asset`` is made by itself: its inputs changed, their gates passed, and nobody works on either.

    After a failed run it waits for another change of its inputs, or for a person.
    """
    followed = FOLLOWED.get(asset)
    condition = dg.AutomationCondition
    again = _deps(condition.newly_updated(), followed).since(condition.newly_requested())
    return (
        InputsChanged(changes, followed)
        & gates_passed(followed)
        & ~_deps(condition.in_progress(), followed)
        & ~condition.in_progress()
        & (~condition.execution_failed() | again.with_label("inputs_updated_since_requested"))
    ).with_label("follows_its_inputs")


def conditions(catalog: Catalog, profile: "Profile") -> dict[str, dg.AutomationCondition]:
    """The condition of every asset that follows its inputs."""
    following = [recipe for recipe in catalog.recipes.values() if recipe.automation.follow]
    changes = Changes(Catalog.of(following), profile)
    return {asset: follows(changes, asset) for asset in (*FOLLOW_DATA, *FOLLOW_CHECKPOINTS)}
