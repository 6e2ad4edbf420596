"""How commands speak: JSON for programs, tables and lines for people, errors in one sentence with an exit code."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    GATE_FAILED = 1
    WRONG_USAGE = 2
    JOB_FAILED = 3
    INTERRUPTED = 130


# Without a terminal (a pipe, CI) rich takes 80 columns, which folds tables.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else 160)


def fail(message: str, code: Exit = Exit.WRONG_USAGE) -> NoReturn:
    """Say what is wrong on stderr, and leave with ``code``."""
    err.print(f"tokka: {message}", markup=False)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> None:
    """Print rows with the same keys as a table."""
    if not rows:
        out.print("nothing to show")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cell(row[name])) for name in rows[0]))
    out.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def printable(text: str) -> str:
    """Text of a corpus as a terminal may see it: control characters as escapes."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """``0:42``, ``12:05`` or ``1:02:09``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
