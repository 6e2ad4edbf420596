"""What commands start from: the catalog, a recipe by name or path, the profile."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from assets import engine
from assets.recipe.catalog import Catalog, CatalogError
from assets.recipe.load import RecipeError, load_catalog, recipe_folders
from assets.recipe.model import Recipe
from orchestration.cli.output import fail

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.profile import Profile


def open_recipe(name: str) -> tuple[Catalog, Recipe]:
    """The catalog and the recipe of that name or path. A path's folder joins the folders of recipes (TOKKA_RECIPES)."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            fail(f"there is no recipe file {name}.")
        if path.parent not in [folder.resolve() for folder in recipe_folders()]:
            known = os.environ.get("TOKKA_RECIPES", "")
            os.environ["TOKKA_RECIPES"] = f"{known}:{path.parent}" if known else str(path.parent)
        name = path.stem
    try:
        catalog = load_catalog()
        return catalog, catalog.recipe(name)
    except (RecipeError, CatalogError) as error:
        fail(str(error))


def open_profile(
    lake: str | None = None, launcher: str | None = None, data_engine: str | None = None, name: str | None = None
) -> "Profile":
    """The profile of the environment, or the one called ``name``, with what the command line says over it."""
    from assets.recipe.launchers import LAUNCHERS
    from orchestration.profile import Profile, ProfileError

    said = {"TOKKA_PROFILE": name, "TOKKA_LAKE": lake, "TOKKA_LAUNCHER": launcher, "TOKKA_DATA_ENGINE": data_engine}
    os.environ.update({variable: value for variable, value in said.items() if value is not None})
    try:
        profile = Profile.from_environment()
    except (ProfileError, RecipeError) as error:
        fail(str(error))
    if profile.launcher_name not in LAUNCHERS:
        fail(f"there is no launcher {profile.launcher_name!r}; the launchers are: {', '.join(LAUNCHERS)}.")
    try:
        engine.choose(profile.data_engine)
    except (ValueError, ImportError) as error:
        fail(str(error))
    return profile


def open_instance() -> "dg.DagsterInstance":
    """Dagster's instance, or the sentence that says why there is none."""
    from orchestration import instance

    try:
        return instance.open_instance()
    except instance.InstanceError as error:
        fail(str(error))


def read_secrets() -> None:
    """Read the secrets whose files the environment names, or say which one is missing."""
    if not any(name.endswith("_FILE") for name in os.environ):
        return
    from orchestration.secret_files import SecretFileError, read_secret_files

    try:
        read_secret_files()
    except SecretFileError as error:
        fail(str(error))
