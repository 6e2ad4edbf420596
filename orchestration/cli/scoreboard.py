"""``tokka scoreboard``: all recipes that have scores in the lake, beside the paper's tables."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.lake import Manifest
from assets.recipe.catalog import CatalogError, split
from assets.recipe.evaluation import Average
from assets.recipe.load import RecipeError, load_catalog
from orchestration.cli.context import open_profile
from orchestration.cli.output import fail, out, print_json, print_table
from orchestration.cli.scores import evaluations
from orchestration.profile import Profile

if TYPE_CHECKING:
    from assets.reports.page import Page

Row = dict[str, Any]


def scoreboard_command(html: Path | None, markdown: Path | None, lake: str | None, as_json: bool) -> None:
    """Print the scoreboard, or write it as a page."""
    from assets.reports.curves import curves
    from assets.reports.page import as_html, as_markdown, plot_name
    from assets.reports.paper import LINES, read_paper
    from assets.reports.side_by_side import boards, other_rows, section

    profile = open_profile(lake)
    rows = _all_rows(profile)
    if not rows:
        fail(f"no recipe has scores in the lake {profile.lake.uri} yet; `tokka run RECIPE` makes them.")
    columns = last_checkpoints(rows)
    if as_json:
        paper = [asdict(board) for board in boards(columns, always=True)]
        print_json({"paper": read_paper().paper, "tables": paper, "scores": rows})
    if html or markdown:
        page = _page(columns, rows)
        for path, text in ((html, as_html), (markdown, as_markdown)):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text(page), "utf-8")
        if markdown is not None:
            for plot in curves(rows):
                markdown.with_name(plot_name(plot)).write_bytes(plot.png)
    if as_json or html or markdown:
        return
    models = [read_paper().models[model] for model in LINES]
    for board in boards(columns):
        shown = section(board, models)
        print_table([_dashed(row) for row in shown.tables[0].rows], board.title)
        for note in board.notes:
            out.print(note, style="dim", markup=False)
        out.print()
    print_table([_dashed(row) for row in other_rows(columns)], "Scores that the paper has no number for")


def _all_rows(profile: Profile) -> list[Row]:
    """The scores of every evaluation that the event log names, with the averages of the recipes that are known here."""
    from assets.reports.scores import score_rows

    try:
        recipes = load_catalog().recipes
    except (RecipeError, CatalogError) as error:
        fail(str(error))
    by_recipe: dict[str, dict[str, Manifest]] = {}
    for key, manifest in evaluations(profile).items():
        by_recipe.setdefault(split(key)[0], {})[key] = manifest
    rows: list[Row] = []
    for name, of_recipe in sorted(by_recipe.items()):
        averages: dict[str, Average] = recipes[name].averages if name in recipes else {}
        rows += score_rows(profile.lake, of_recipe, averages)
    return rows


def last_checkpoints(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each recipe's last checkpoint that was scored, by what the column is called."""
    steps: dict[str, int] = {}
    for row in rows:
        steps[row["recipe"]] = max(steps.get(row["recipe"], 0), row["step"])
    return {
        f"{name}@{step}": [r for r in rows if (r["recipe"], r["step"]) == (name, step)]
        for name, step in sorted(steps.items())
    }


def _page(columns: dict[str, list[Row]], rows: list[Row]) -> "Page":
    from assets.reports.curves import curves
    from assets.reports.page import Page, Section
    from assets.reports.paper import read_paper
    from assets.reports.side_by_side import boards, other_rows, section
    from assets.stage import Table

    checkpoints = [
        {"checkpoint": name, "tokens": of[0]["tokens"], "scores": sum(r["score"] is not None for r in of)}
        for name, of in columns.items()
    ]
    reasons = sorted({(r["recipe"], r["task"], r["status"], r["reason"]) for r in rows if r["score"] is None})
    unscored = [dict(zip(("recipe", "task", "status", "reason"), row, strict=True)) for row in reasons]
    sections = [
        Section(
            "Checkpoints",
            [
                "A dash is a number that does not exist, never zero. A clean score is without the items that stood in part in a "
                "training corpus before it was decontaminated. `tokka compare` tells which differences are more than chance."
            ],
            [Table(checkpoints)],
        ),
        *map(section, boards(columns, always=True)),
        Section("Scores that the paper has no number for", ["± is one standard error."], [Table(other_rows(columns))]),
        Section("Scores over tokens", (), (), curves(rows)),
    ]
    if unscored:
        sections.append(Section("Not scored", (), [Table(unscored)]))
    lead = (
        f"The last checkpoint of every recipe that has scores in this lake, beside the tables of {read_paper().paper}."
    )
    return Page("Scoreboard", lead, sections)


def _dashed(row: Any) -> Row:
    return {name: "–" if value is None else value for name, value in row.items()}
