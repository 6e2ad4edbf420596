"""``python -m orchestration.cli``: the ``tokka`` command without its script."""

from orchestration.cli.app import app

app(prog_name="tokka")
