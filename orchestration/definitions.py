"""The code location that ``workspace.yaml`` names: the graph over all recipes, which the UI and ``tokka run`` share."""

from assets.recipe.load import load_catalog
from orchestration.build import build_definitions
from orchestration.profile import Profile

defs = build_definitions(load_catalog(), Profile.from_environment())
