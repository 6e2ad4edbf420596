"""``tokka scores``, and the score table at the end of a run."""

from typing import Any

import dagster as dg

from assets.recipe.catalog import join, step_name
from assets.recipe.model import Recipe
from orchestration.cli.context import open_profile, open_recipe
from orchestration.cli.output import fail, print_json, print_table
from orchestration.instance import dagster_home
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile


def scores_command(name: str, uri: str | None, as_json: bool) -> None:
    """Print the scores of a recipe's checkpoints."""
    _, recipe = open_recipe(name)
    rows = score_rows(open_profile(uri), recipe)
    if not rows:
        fail(f"{recipe.name} has no scores yet; `tokka run {recipe.name}` makes them.")
    print_json(rows) if as_json else print_scores(rows)


def score_rows(profile: Profile, recipe: Recipe) -> list[dict[str, Any]]:
    """The scores of the evaluations that Dagster's event log names; empty where there are none."""
    from assets.reports.scores import score_rows as rows_of

    dagster_home()
    evaluations = {}
    with dg.DagsterInstance.get() as instance:
        for step in recipe.training.checkpoints:
            key = join(recipe.name, step_name(step))
            ref = materialized_ref(instance, "evaluation", key)
            if ref is not None:
                evaluations[key] = profile.lake.manifest(ref)
    return rows_of(profile.lake, evaluations)


def print_scores(rows: list[dict[str, Any]]) -> None:
    """The score table: a row per task and metric, a column per checkpoint."""
    from assets.reports.scores import compact

    print_table([{k: "–" if v is None else v for k, v in row.items()} for row in compact(rows)])


def report_files(profile: Profile, recipe: Recipe) -> list[tuple[str, str]]:
    """The reports of a recipe, with their paths."""
    dagster_home()
    files = []
    with dg.DagsterInstance.get() as instance:
        for asset in ("scoreboard", "model_card"):
            ref = materialized_ref(instance, asset, recipe.name)
            if ref is not None:
                files.append((asset.replace("_", " "), f"{profile.lake.folder(ref)}/{asset}.html"))
    return files
