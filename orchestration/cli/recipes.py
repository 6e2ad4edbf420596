"""``tokka recipes``."""

from typing import Any

from assets.recipe.catalog import Catalog, CatalogError
from assets.recipe.load import RecipeError, load_catalog
from assets.recipe.model import Recipe
from orchestration.cli.context import open_recipe
from orchestration.cli.output import fail, out, print_json, print_table


def list_command(as_json: bool) -> None:
    """All recipes with what they train."""
    try:
        catalog = load_catalog()
    except (RecipeError, CatalogError) as error:
        fail(str(error))
    rows = [
        {
            "recipe": recipe.name,
            "description": recipe.description,
            "sources": len(recipe.mixture.sources),
            "parameters": recipe.model.parameters(recipe.tokenizer.vocab_size),
            "tokens": recipe.training.tokens,
        }
        for recipe in catalog.recipes.values()
    ]
    print_json(rows) if as_json else print_table(rows)


def show_command(name: str, as_json: bool) -> None:
    """The resolved recipe, as YAML or JSON."""
    import yaml

    _, recipe = open_recipe(name)
    value = recipe.model_dump(mode="json", exclude_defaults=True)
    if as_json:
        print_json(value)
    else:
        out.print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), markup=False, end="")


def check_command(name: str, as_json: bool) -> None:
    """Leave with 2 when a source's files are missing; name the evaluation data that is not at hand."""
    from assets.benchmarks.stage import available_files
    from orchestration.cli.run import check_files

    catalog, recipe = open_recipe(name)
    check_files(catalog, recipe)
    missing = _missing_tasks(catalog, recipe, available_files)
    if as_json:
        print_json({"recipe": recipe.name, "ok": True, "missing_evaluation_data": missing})
        return
    out.print(f"{recipe.name} can run: {len(recipe.sources)} sources, {len(recipe.tasks)} tasks.")
    for task, reason in missing.items():
        out.print(f"{task} will be reported as missing: {reason}", markup=False)


def _missing_tasks(catalog: Catalog, recipe: Recipe, available: Any) -> dict[str, str]:
    found = {task: available(catalog, task) for task in sorted(recipe.tasks)}
    return {task: reason for task, (files, reason) in found.items() if not files}
