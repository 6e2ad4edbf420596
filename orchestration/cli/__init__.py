"""The ``tokka`` command."""

from orchestration.cli.app import app

__all__ = ["app"]
