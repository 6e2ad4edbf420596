"""The Dagster layer, thin: definitions, recipes, profile, planning, and the ``tokka`` command."""

import os

# Daft and Ray tell their makers of every import and cluster unless they are told not to; the processes of a run inherit this.
os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
