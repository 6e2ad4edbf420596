"""``tokka recipes``."""

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


def digest_command(folder: str) -> None:
    """The digest of a Hugging Face folder outside of the lake."""
    from assets.lake.hugging_face import FolderError, HuggingFaceFolder

    try:
        out.print(HuggingFaceFolder(folder).digest())
    except (FolderError, OSError) as error:
        fail(str(error))


def check_command(name: str, as_json: bool) -> None:
    """Leave with 2 when a source's files are missing, or it names steps that are not there; say which evaluation data is not
    at hand, and which protected data is there only in part.
    """
    from orchestration.cli.run import check_files

    catalog, recipe = open_recipe(name)
    check_files(catalog, recipe)
    missing, partial = _not_at_hand(catalog, recipe)
    if as_json:
        value = {"ok": True, "missing_evaluation_data": missing, "partial_protected_data": partial}
        print_json({"recipe": recipe.name, **value})
        return
    out.print(f"{recipe.name} can run: {len(recipe.sources)} sources, {len(recipe.tasks)} tasks.")
    for task, reason in missing.items():
        what = (
            "will be reported as missing"
            if task in recipe.scored_tasks
            else "is protected, and not kept out of training"
        )
        out.print(f"{task} {what}: {reason}", markup=False)
    for task, reason in partial.items():
        out.print(f"{task} is protected, and only what is there is kept out of training: {reason}", markup=False)


def _not_at_hand(catalog: Catalog, recipe: Recipe) -> tuple[dict[str, str], dict[str, str]]:
    """The tasks without data, and those with a part of it, each with the reason."""
    from assets.benchmarks.stage import available_files

    missing: dict[str, str] = {}
    partial: dict[str, str] = {}
    for task in sorted(recipe.tasks):
        files, reason = available_files(catalog, task)
        if reason:
            (partial if files else missing)[task] = reason
    return missing, partial
