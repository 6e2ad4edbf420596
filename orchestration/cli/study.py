"""``tokka study``."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import typer
from rich.console import Console

from assets.graph import targets
from assets.recipe.catalog import Catalog, CatalogError, join, step_name
from assets.recipe.load import RecipeError, load_catalog, recipe_folders
from assets.recipe.studies import load_studies
from assets.recipe.study import Derived, Study
from orchestration.cli.context import open_instance, open_profile
from orchestration.cli.output import Exit, duration, err, fail, out, print_json, print_table
from orchestration.plan import Plan, make_plan
from orchestration.profile import Profile, home
from orchestration.study import Sharing, StudyCancelledError, as_rows, in_order, run_study, sharing


def open_study(name: str, base: str | None) -> tuple[Catalog, Study, list[Derived]]:
    """The catalog, the study, and its recipes made of ``base`` (all where it is None)."""
    try:
        catalog, studies = load_catalog(), load_studies(recipe_folders())
    except (RecipeError, CatalogError) as error:
        fail(str(error))
    if name not in studies:
        fail(f"there is no study {name!r}; the studies are: {', '.join(studies) or 'none'}.")
    study, derived = studies[name]
    if base is not None and base not in study.bases:
        fail(f"{name} has no base {base!r}; it has: {', '.join(study.bases)}.")
    return catalog, study, [each for each in derived if base in (None, each.base)]


def list_command(as_json: bool) -> None:
    """All studies, one line each."""
    try:
        studies = load_studies(recipe_folders())
    except RecipeError as error:
        fail(str(error))
    rows = [
        {
            "study": name,
            "description": study.description,
            "bases": len(study.bases),
            "arms": len(study.arms),
            "seeds": max(len(study.seeds_of(base)) for base in study.bases),
        }
        for name, (study, _) in studies.items()
    ]
    print_json(rows) if as_json else print_table(rows)


def plan_command(name: str, base: str | None, lake: str | None, as_json: bool) -> None:
    """What each recipe is trained on, what is held equal, and what the recipes share."""
    catalog, study, derived = open_study(name, base)
    profile = open_profile(lake)
    recipes = in_order(derived)
    with open_instance() as instance:
        found = sharing(catalog, profile, instance, recipes)
    rows = [_row(study, each) for each in derived]
    estimate = study.seconds_per_recipe * len(recipes) if study.seconds_per_recipe else None
    if as_json:
        shared = [vars(each) for each in found.shared]
        print_json(
            {
                "study": name,
                "recipes": rows,
                "order": recipes,
                "estimated_seconds": estimate,
                **work_saved(found),
                "shared": shared,
                "not_here": found.not_here,
            }
        )
        return
    out.print(study.description, markup=False)
    print_table(rows)
    out.print(work_saved(found)["sentence"], markup=False)
    print_table(as_rows(found))
    if found.not_here:
        first = next(iter(found.not_here.values()))
        out.print(f"{len(found.not_here)} of the {len(recipes)} recipes cannot run here: {first}", markup=False)
    if estimate:
        out.print(f"estimated time on two cores: {duration(estimate)}")


def _row(study: Study, each: Derived) -> dict[str, Any]:
    mixed, target = each.mixed, study.target
    return {
        "recipe": each.recipe.name,
        "arm": each.arm,
        "held equal": each.equal,
        "steps": each.recipe.training.steps,
        "tokens": mixed.tokens,
        f"tokens of {target}": round(mixed.sampled.get(target, 0)),
        f"epochs of {target}": round(mixed.epochs.get(target, 0), 2),
        "shares": ", ".join(f"{group} {tokens / mixed.tokens:.1%}" for group, tokens in mixed.sampled.items()),
    }


def work_saved(found: Sharing) -> dict[str, Any]:
    """The sharing in figures and in a sentence."""
    sentence = (
        f"The recipes need {found.apart} partitions, of which {found.together} are different; {found.saved_partitions} are "
        f"shared and not made again. {found.finished} of them are in the lake"
    )
    if found.finished:
        sentence += (
            f", made in {duration(found.together_seconds)}; without sharing they would have taken "
            f"{duration(found.apart_seconds)}, {duration(found.saved_seconds)} more"
        )
    return {
        "sentence": f"{sentence}.",
        "partitions_apart": found.apart,
        "partitions": found.together,
        "partitions_saved": found.saved_partitions,
        "finished": found.finished,
        "seconds_saved": round(found.saved_seconds, 1),
    }


@dataclass
class TimeLeft:
    """How long the rest of ``recipes`` recipes takes: each as long as those that this command trained or evaluated, but for the
    first, which makes what all share; before two are made, ``seconds`` each, where the study says so."""

    recipes: int
    seconds: int | None
    _started: float | None = None
    _took: list[float] = field(default_factory=list)

    def said(self, number: int, plan: Plan, now: float) -> str:
        """What to say when recipe ``number``, from 1, begins at ``now``, in seconds of any clock."""
        # Where the reports of a finished recipe alone are made anew, it says nothing about the others.
        has_work = any(due.stage.asset in ("pretraining_run", "evaluation") for due in plan.due)
        if self._started is not None:
            self._took.append(now - self._started)
        self._started = now if has_work else None
        known = self._took[1:]
        each = sum(known) / len(known) if known else self.seconds
        return f", about {duration(each * (self.recipes - number + 1))} left" if has_work and each is not None else ""


def run_command(
    name: str, base: str | None, lake: str | None, profile_name: str | None, as_json: bool, said: Console = out
) -> None:
    """Run all recipes of a study; a second call goes on where the first was stopped. ``said`` is where a line goes at the end."""
    from orchestration.cli.run import check_files, print_event

    started = time.monotonic()
    catalog, study, derived = open_study(name, base)
    if base is None and len(study.bases) > 1:
        fail(f"{name} has several bases; say which one runs here with --base: {', '.join(study.bases)}.")
    profile = open_profile(lake, name=profile_name)
    recipes = in_order(derived)
    for recipe in recipes:
        check_files(catalog, catalog.recipe(recipe))
    left = TimeLeft(len(recipes), study.seconds_per_recipe)

    with open_instance() as instance:
        try:
            outcome = run_study(
                catalog,
                profile,
                instance,
                name,
                recipes,
                listener=print_event,
                on_recipe=lambda number, recipe, plan: err.print(
                    f"[{number}/{len(recipes)}] {recipe}: {len(plan.due)} partitions to make, {len(plan.finished)} are there"
                    f"{left.said(number, plan, time.monotonic())}",
                    markup=False,
                ),
            )
        except RecipeError as error:
            fail(str(error))
        except StudyCancelledError:
            fail(
                f"cancelled in Dagster's UI. What is finished stays; {_command('run', name, base)} goes on from there.",
                Exit.INTERRUPTED,
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            fail(
                f"interrupted. What is finished stays; {_command('run', name, base)} goes on from there.",
                Exit.INTERRUPTED,
            )
    made = sum(len(each.done) for each in outcome.outcomes.values())
    seconds = time.monotonic() - started
    if as_json:
        value = {
            "study": name,
            "recipes": recipes,
            "made": made,
            "seconds": round(seconds, 1),
            "backfill": outcome.backfill,
        }
        blocked = {recipe: list(place) for recipe, place in outcome.blocked.items()}
        print_json(value | {"failed": sorted(outcome.failed), "blocked": blocked})
    elif outcome.backfill is None:
        said.print(
            f"{name}: nothing to do, all {len(recipes)} recipes are done; {_command('report', name, base)} compares them."
        )
    else:
        said.print(
            f"{name}: {made} partitions made in {duration(seconds)}, Dagster's backfill {outcome.backfill}; "
            f"{_command('report', name, base)} compares the recipes."
        )
    for recipe, (asset, key) in outcome.blocked.items():
        err.print(f"{recipe} was not tried: it needs {asset} {key}, which failed.", markup=False)
    if outcome.failed:
        gates_only = not any(each.job_failures for each in outcome.failed.values())
        code = Exit.GATE_FAILED if gates_only else Exit.JOB_FAILED
        fail(f"{', '.join(outcome.failed)} stopped; the others went on. What is finished stays.", code)


def whole_command(
    name: str, base: str | None, folder: Path | None, lake: str | None, profile_name: str | None, as_json: bool
) -> None:
    """Run a study and write its report, also where arms of it failed; then leaves with the exit code of the run."""
    code = Exit.DONE
    try:
        run_command(name, base, lake, profile_name, as_json=False, said=err)
    except typer.Exit as stopped:
        if stopped.exit_code not in (Exit.GATE_FAILED, Exit.JOB_FAILED):
            raise
        code = Exit(stopped.exit_code)
    report_command(name, base, folder or home() / "studies" / name / (base or ""), lake, as_json)
    if code is not Exit.DONE:
        raise typer.Exit(code)


def _command(what: str, name: str, base: str | None) -> str:
    return f"`tokka study {what} {name}{f' --base {base}' if base else ''}`"


def report_command(name: str, base: str | None, folder: Path | None, lake: str | None, as_json: bool) -> None:
    """Compare the recipes of a study; with a folder as HTML, Markdown with its plots, and JSON.

    A file ``reading.md`` in the folder is what a person has to say of the numbers; it becomes part of the answer.
    """
    from assets.reports.page import as_html, as_markdown, plot_name
    from assets.reports.study import study_report
    from assets.reports.study_page import as_page
    from orchestration.cli.scores import evaluations

    catalog, study, derived = open_study(name, base)
    if base is None and len(study.bases) > 1:
        fail(f"{name} has several bases; say which one with --base: {', '.join(study.bases)}.")
    profile = open_profile(lake)
    keys = {join(e.recipe.name, step_name(step)) for e in derived for step in e.recipe.training.checkpoints}
    found = evaluations(profile, sorted(keys))
    missing = [e.recipe.name for e in derived if join(e.recipe.name, step_name(e.recipe.training.steps)) not in found]
    report = study_report(
        profile.lake, study, base or next(iter(study.bases)), derived, found, _why(catalog, profile, missing)
    )
    if not report["arms"]:
        fail(f"no recipe of {name} has scores yet; {_command('run', name, base)} makes them.")
    reading = ""
    if folder is not None and (folder / "reading.md").is_file():
        reading = (folder / "reading.md").read_text("utf-8").strip()
    page = as_page(report, reading)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_text(as_html(page), "utf-8")
        (folder / "report.md").write_text(as_markdown(page), "utf-8")
        (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        for section in page.sections:
            for plot in section.plots:
                (folder / plot_name(plot)).write_bytes(plot.png)
    if as_json:
        print_json(report)
        return
    for section in page.sections:
        out.print(section.title, style="bold")
        for paragraph in section.paragraphs:
            out.print(paragraph, markup=False)
        for table in section.tables:
            print_table([{k: "–" if v is None else v for k, v in row.items()} for row in table.rows])
    if folder is not None:
        out.print(f"written: {folder}/report.html, report.md, report.json", markup=False)


def _why(catalog: Catalog, profile: Profile, recipes: Sequence[str]) -> dict[str, str]:
    """What each of ``recipes`` has to make first, and why."""
    found = {}
    with open_instance() as instance:
        for recipe in dict.fromkeys(recipes):
            try:
                due = make_plan(catalog, profile, instance, targets(catalog, recipe)).due
            except RecipeError as error:  # a lake can be read where the corpora are not
                found[recipe] = str(error)
                continue
            if due:
                found[recipe] = f"{due[0].stage.asset} {due[0].key}: {due[0].reason}"
    return found
