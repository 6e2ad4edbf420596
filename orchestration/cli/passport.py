"""``tokka passport``."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.cli.context import open_profile, open_recipe
from orchestration.cli.output import fail, out, print_json, print_table, printable
from orchestration.cli.scores import evaluation_of

if TYPE_CHECKING:
    from assets.reports.page import Page


def passport_command(
    name: str, step: int | None, task: str | None, html: Path | None, lake: str | None, as_json: bool
) -> None:
    """Print where a score comes from, or write it as a page."""
    from assets.lake import LakeError
    from assets.reports.page import as_html
    from assets.reports.passport import PassportError, passport
    from assets.reports.passport_page import passport_page
    from assets.reports.sample import SampleError

    _, recipe = open_recipe(name)
    profile = open_profile(lake)
    evaluation = evaluation_of(profile, recipe.name, step)
    try:
        found = passport(profile.lake, evaluation, task)
    except (PassportError, LakeError, SampleError) as error:
        fail(str(error))
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(as_html(passport_page(found)), "utf-8")
    if as_json:
        print_json(found)
    elif html is None:
        print_page(passport_page(found))


def print_page(page: "Page") -> None:
    """A report in the terminal, without its plots."""
    out.print(page.title, style="bold", markup=False)
    out.print(page.lead, markup=False)
    for section in page.sections:
        out.print()
        out.print(section.title, style="bold cyan", markup=False)
        for text in section.paragraphs:
            out.print(printable(text), markup=False)
        for table in section.tables:
            if table.rows:
                print_table([{k: _cell(v) for k, v in row.items()} for row in table.rows])


def _cell(value: str | int | float | bool | None) -> str | int | float | bool:
    return "–" if value is None else printable(value) if isinstance(value, str) else value
