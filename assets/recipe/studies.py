"""Reading studies from YAML: ``orchestration/studies``, and ``studies`` in a folder of recipes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from assets.recipe.load import RECIPES, recipe_value, sentence
from assets.recipe.study import Derived, Study, StudyError, derive
from assets.recipe.yaml_files import RecipeError, line_of, read_yaml

STUDIES = RECIPES.parent / "studies"


def study_paths(folders: Iterable[Path]) -> dict[str, Path]:
    """The files of all studies by name. Raises RecipeError where two have a name."""
    paths: dict[str, Path] = {}
    for folder in dict.fromkeys(STUDIES if place == RECIPES else place / "studies" for place in folders):
        for path in sorted(folder.glob("*.yaml")):
            known = paths.setdefault(path.stem, path)
            if known != path:
                raise RecipeError(
                    f"{path}: there is already a study {path.stem!r}, {known}. Give this one another name."
                )
    return paths


def load_study(path: Path) -> Study:
    """The study in a file. Raises RecipeError."""
    value = read_yaml(path, "study")
    value.setdefault("name", path.stem)
    try:
        study = Study.model_validate(value)
    except ValidationError as error:
        raise RecipeError(sentence(path, error, Study)) from error
    if study.name != path.stem:
        raise RecipeError(
            f"{path}, line {line_of(path, ('name',))}: name is {study.name!r}; it must be the file's, {path.stem!r}."
        )
    return study


def derived(study: Study, path: Path, folders: Iterable[Path]) -> list[Derived]:
    """All recipes of a study, by base, arm and seed. Raises RecipeError that names the arm."""
    places = list(folders)
    found: list[Derived] = []
    for base_name, base in study.bases.items():
        value = _base(base.extends or base_name, base_name, path, places)
        for arm in study.arms:
            for seed in study.seeds_of(base_name):
                try:
                    found.append(derive(study, base_name, value, arm, seed))
                except (StudyError, ValidationError) as error:
                    said = sentence(path, error) if isinstance(error, ValidationError) else str(error)
                    raise RecipeError(
                        f"{path}, line {line_of(path, ('arms', arm))}: the arm {arm} of {base_name}: {said}."
                    ) from error
    return found


def _base(recipe: str, base_name: str, path: Path, places: list[Path]) -> dict[str, Any]:
    found = next((p for place in places if (p := place / f"{recipe}.yaml").is_file()), None)
    if found is None:
        raise RecipeError(f"{path}, line {line_of(path, ('bases', base_name))}: there is no recipe {recipe!r}.")
    return recipe_value(found, places)


def load_studies(folders: Iterable[Path]) -> dict[str, tuple[Study, list[Derived]]]:
    """All studies with their recipes, by name."""
    places = list(folders)
    found = {}
    for name, path in study_paths(places).items():
        study = load_study(path)
        found[name] = (study, derived(study, path, places))
    return found
