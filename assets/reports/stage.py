"""The stages scoreboard and model_card: one version of each per recipe."""

from typing import Any

from assets.lake import Lake, Manifest, VersionWriter
from assets.recipe.catalog import Catalog, join, step_name
from assets.reports.page import Page, Section, as_html, as_markdown, plot_name
from assets.stage import Input, Shown, Stage, Table, Work


def write_page(out: VersionWriter, name: str, page: Page) -> None:
    """Write a report as ``{name}.html`` and ``{name}.md``, with its plots beside the Markdown."""
    out.stage(f"{name}.html").write_text(as_html(page), "utf-8")
    out.stage(f"{name}.md").write_text(as_markdown(page), "utf-8")
    for section in page.sections:
        for plot in section.plots:
            out.stage(plot_name(plot)).write_bytes(plot.png)


def _evaluations(catalog: Catalog, recipe: str) -> list[Input]:
    return [("evaluation", join(recipe, step_name(step))) for step in catalog.recipe(recipe).training.checkpoints]


def make_scoreboard(work: Work) -> None:
    """All scores of the recipe's checkpoints, as a page, and as rows in ``scores.json``."""
    from assets.reports.curves import curves
    from assets.reports.scores import CLEAN, compact, learned, score_rows
    from assets.reports.side_by_side import boards, section

    recipe = work.catalog.recipe(work.key)
    rows = score_rows(work.lake, work.inputs["evaluation"], recipe.averages)
    last = max(row["step"] for row in rows)
    beside = boards({work.key: [row for row in rows if row["step"] == last]})
    sections = [
        Section(
            "What it learned",
            [
                "Bits per character on held-out text, less is better: the untrained model, a unigram model of the training "
                "tokens, the last checkpoint."
            ],
            [Table(learned(rows))],
        ),
        Section("All scores", [f"A dash is a score that does not exist, never zero. {CLEAN}"], [Table(compact(rows))]),
        *map(section, beside),
        Section("Scores over tokens", (), (), curves(rows)),
    ]
    reasons = sorted({(r["task"], r["status"], r["reason"]) for r in rows if r["status"] != "scored"})
    if reasons:
        table = Table([{"task": task, "status": status, "reason": reason} for task, status, reason in reasons])
        sections.append(Section("Not scored", (), [table]))
    write_page(work.out, "scoreboard", Page(f"Scoreboard of {work.key}", recipe.description, sections))
    work.out.write_json("scores.json", rows)
    work.out.counts.update(scores=sum(r["score"] is not None for r in rows), tasks_not_scored=len(reasons))


def show_scoreboard(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The score table and the curves."""
    from assets.reports.curves import curves
    from assets.reports.scores import compact

    rows: list[dict[str, Any]] = lake.read_json(manifest, "scores.json")
    table = [{k: ("–" if v is None else v) for k, v in row.items()} for row in compact(rows)]
    return {"scores": Table(table), **{plot.title: plot for plot in curves(rows)}}


def _card_inputs(catalog: Catalog, recipe: str) -> list[Input]:
    last = join(recipe, step_name(catalog.recipe(recipe).training.checkpoints[-1]))
    return [("scoreboard", recipe), ("checkpoint", last)]


def _card_config(catalog: Catalog, recipe: str) -> dict[str, Any]:
    return {"description": catalog.recipe(recipe).description}


def _scoreboard_config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides the page beside the scores: the recipe's averages, and the paper's numbers."""
    from assets.lake import digest_of
    from assets.reports.paper import read_paper

    recipe = catalog.recipe(name)
    averages = {key: average.model_dump(mode="json") for key, average in recipe.averages.items()}
    paper = digest_of(read_paper().model_dump(mode="json"))
    return {"description": recipe.description, "averages": averages, "paper": paper}


def make_model_card(work: Work) -> None:
    """Walk the lineage of the last checkpoint and write down what it is made of."""
    from assets.reports.model_card import model_card

    work.out.timed |= {"model_card.html", "model_card.md"}  # the page says what the run cost
    write_page(work.out, "model_card", model_card(work))


SCOREBOARD = Stage(
    asset="scoreboard",
    space="recipe",
    description="Scores of all checkpoints of a recipe, with the curves over tokens.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=_evaluations,
    config=_scoreboard_config,
    code=(
        *(f"assets.reports.{name}" for name in ("stage", "scores", "curves", "paper", "side_by_side", "page")),
        "assets.plots",
    ),
    group="reports",
    kinds=("html",),
    make=make_scoreboard,
    show=show_scoreboard,
)

MODEL_CARD = Stage(
    asset="model_card",
    space="recipe",
    description="What the model is: data, cleaning, gates, tokenizer, training, scores, cost, licences.",
    keys=lambda catalog: list(catalog.recipes),
    inputs=_card_inputs,
    config=_card_config,
    code=(
        *(f"assets.reports.{name}" for name in ("stage", "model_card", "lineage", "passport", "side_by_side", "page")),
        "assets.plots",
    ),
    group="reports",
    kinds=("html",),
    make=make_model_card,
)
