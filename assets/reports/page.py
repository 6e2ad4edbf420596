"""A report as data, and its two renderings: one HTML file that holds everything, and Markdown with its plots beside it."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.stage import Plot, Table

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 76rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .86rem; margin: .8rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid #d9e0e6; vertical-align: top; }
th { color: #52606d; font-weight: 600; white-space: nowrap; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } code { font-size: .9em; }
"""

NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?(e[-+]?[0-9]+)?( ± .+)?")


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables and plots under it."""

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()


@dataclass(frozen=True)
class Page:
    """A report: its title, a first paragraph, and its sections."""

    title: str
    lead: str
    sections: Sequence[Section]


def plot_name(plot: Plot) -> str:
    """The file name of a plot in the Markdown rendering: letters and digits of its title."""
    return re.sub(r"[^a-z0-9]+", "-", plot.title.lower()).strip("-") + ".png"


def cell(value: Any) -> str:
    """A value as people read it: thousands separated, four significant digits, yes and no."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def as_html(page: Page) -> str:
    """The page as one HTML file without anything outside it. All text is escaped."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{html.escape(page.title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(page.title)}</h1><p>{html.escape(page.lead)}</p>",
    ]
    for section in page.sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += [f"<p>{html.escape(text)}</p>" for text in section.paragraphs]
        parts += [_html_table(table.rows) for table in section.tables]
        for plot in section.plots:
            data = base64.b64encode(plot.png).decode()
            parts.append(f"<p><img alt='{html.escape(plot.title, quote=True)}' src='data:image/png;base64,{data}'></p>")
    return "\n".join([*parts, "</body></html>", ""])


def _html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>none</p>"
    numeric = {name for name in rows[0] if _is_numeric([row[name] for row in rows])}
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    cells = ("".join(_html_cell(row[name], name in numeric) for name in rows[0]) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _is_numeric(values: Sequence[Any]) -> bool:
    """Whether a column holds numbers, as such or as text with its places and its error, and nothing else but gaps."""
    given = [value for value in values if value is not None]
    return bool(given) and all(
        NUMBER.fullmatch(value)
        if isinstance(value, str)
        else isinstance(value, int | float) and not isinstance(value, bool)
        for value in given
    )


def _html_cell(value: Any, numeric: bool) -> str:
    return f"<td{' class=n' if numeric else ''}>{html.escape(cell(value))}</td>"


def as_markdown(page: Page) -> str:
    """The page as Markdown; its plots are the files that ``plot_name`` names."""
    parts = [f"# {page.title}", page.lead]
    for section in page.sections:
        parts.append(f"## {section.title}")
        parts += section.paragraphs
        parts += [markdown_table(table.rows) for table in section.tables]
        parts += [f"![{plot.title}]({plot_name(plot)})" for plot in section.plots]
    return "\n\n".join(parts) + "\n"


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table."""
    if not rows:
        return "none"
    names = list(rows[0])
    numeric = [all(isinstance(r[n], int | float) and not isinstance(r[n], bool) for r in rows) for n in names]
    lines = ["| " + " | ".join(names) + " |", "|" + "|".join("---:" if n else "---" for n in numeric) + "|"]
    lines += ["| " + " | ".join(_markdown_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _markdown_cell(value: Any) -> str:
    """A value that neither ends its cell nor starts HTML."""
    return re.sub(r"[\r\n]+", " ", cell(value)).replace("|", "\\|").replace("<", "&lt;")
