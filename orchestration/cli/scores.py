"""``tokka scores``, the score table at the end of a run, and which evaluations there are."""

from typing import Any

import dagster as dg

from assets.lake import Manifest
from assets.recipe.catalog import join, split, step_name, step_number
from assets.recipe.model import Recipe
from orchestration.cli.context import open_instance, open_profile, open_recipe
from orchestration.cli.output import fail, print_json, print_table
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile

EVALUATION = "evaluation"


def scores_command(name: str, uri: str | None, as_json: bool) -> None:
    """Print the scores of a recipe's checkpoints."""
    _, recipe = open_recipe(name)
    rows = score_rows(open_profile(uri), recipe)
    if not rows:
        fail(f"{recipe.name} has no scores yet; `tokka run {recipe.name}` makes them.")
    print_json(rows) if as_json else print_scores(rows)


def score_rows(profile: Profile, recipe: Recipe) -> list[dict[str, Any]]:
    """The scores of the evaluations that Dagster's event log names, and the recipe's averages; empty where there are none."""
    from assets.reports.scores import score_rows as rows_of

    keys = [join(recipe.name, step_name(step)) for step in recipe.training.checkpoints]
    return rows_of(profile.lake, evaluations(profile, keys), recipe.averages)


def evaluations(profile: Profile, keys: list[str] | None = None) -> dict[str, Manifest]:
    """The evaluations that Dagster's event log names, by partition: of ``keys``, or of all recipes and checkpoints."""
    found = {}
    with open_instance() as instance:
        named = instance.get_materialized_partitions(dg.AssetKey(EVALUATION)) if keys is None else keys
        for key in sorted(named):
            ref = materialized_ref(instance, EVALUATION, key)
            if ref is not None:
                found[key] = profile.lake.manifest(ref)
    return found


def evaluation_of(profile: Profile, recipe: str, step: int | None) -> Manifest:
    """The evaluation of a recipe's checkpoint, of the last one where ``step`` is None. Says what there is where it is not."""
    every = {key: manifest for key, manifest in evaluations(profile).items() if split(key)[0] == recipe}
    if not every:
        fail(f"{recipe} has no scores in the lake {profile.lake.uri} yet; `tokka run {recipe}` makes them.")
    key = max(every) if step is None else join(recipe, step_name(step))
    if key not in every:
        steps = ", ".join(str(step_number(split(key)[1])) for key in sorted(every))
        fail(f"{recipe} was not evaluated at step {step}; it was at the steps {steps}.")
    return every[key]


def print_scores(rows: list[dict[str, Any]]) -> None:
    """The score table: a row per task and metric, a column per checkpoint."""
    from assets.reports.scores import compact

    print_table([{k: "–" if v is None else v for k, v in row.items()} for row in compact(rows)])


def report_files(profile: Profile, recipe: Recipe) -> list[tuple[str, str]]:
    """The reports of a recipe, with their paths."""
    files = []
    with open_instance() as instance:
        for asset in ("scoreboard", "model_card"):
            ref = materialized_ref(instance, asset, recipe.name)
            if ref is not None:
                files.append((asset.replace("_", " "), f"{profile.lake.folder(ref)}/{asset}.html"))
    return files
