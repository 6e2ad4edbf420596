"""The Dagster layer, thin: definitions, recipes, profile, planning, and the ``tokka`` command."""
