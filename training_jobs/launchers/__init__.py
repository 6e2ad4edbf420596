"""Launchers: where jobs run. They import neither torch nor Dagster."""
