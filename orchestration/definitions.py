"""The code location that ``workspace.yaml`` names: the graph over all recipes, which the UI and ``tokka run`` share."""

import dagster as dg

from assets.recipe.load import load_catalog
from orchestration.build import build_definitions
from orchestration.profile import Profile
from orchestration.recipe_job import recipe_job

_catalog, _profile = load_catalog(), Profile.from_environment()
defs = dg.Definitions.merge(
    build_definitions(_catalog, _profile), dg.Definitions(jobs=[recipe_job(_catalog, _profile)])
)
