"""The groups of commands ``tokka recipes``, ``suites``, ``study`` and ``lake``. Each imports what it needs when it runs."""

from typing import Annotated

import typer

from orchestration.cli.options import Json, LakeUri, ProfileName, RecipeName, StudyBase, StudyName, StudyReport
from orchestration.cli.study_names import WHOLE, StudyCommands

recipes = typer.Typer(help="The recipes: list, show, check.", no_args_is_help=True)
suites = typer.Typer(help="The suites of evaluation tasks: list, show, fetch their data.", no_args_is_help=True)
study = typer.Typer(
    cls=StudyCommands,
    help="Studies: recipes that differ in one thing each, over seeds. `tokka study STUDY` runs one and writes its report.",
    no_args_is_help=True,
)
lake = typer.Typer(help="The lake: what is in it, and whether it is whole.", no_args_is_help=True)


@recipes.command("list")
def recipes_list(as_json: Json = False) -> None:
    """All recipes, one line each."""
    from orchestration.cli.recipes import list_command

    list_command(as_json)


@recipes.command("show")
def recipes_show(recipe: RecipeName, as_json: Json = False) -> None:
    """A recipe with everything that it extends filled in."""
    from orchestration.cli.recipes import show_command

    show_command(recipe, as_json)


@recipes.command("check")
def recipes_check(recipe: RecipeName, as_json: Json = False) -> None:
    """Whether a recipe can run here: its keys and values, its files, its evaluation data."""
    from orchestration.cli.recipes import check_command

    check_command(recipe, as_json)


@recipes.command("digest")
def recipes_digest(
    folder: Annotated[str, typer.Argument(help="A Hugging Face folder: a path or any fsspec URI.")],
) -> None:
    """The digest of a Hugging Face folder, for model.start_from."""
    from orchestration.cli.recipes import digest_command

    digest_command(folder)


@suites.command("list")
def suites_list(as_json: Json = False) -> None:
    """All suites, one line each."""
    from orchestration.cli.suites import list_command

    list_command(as_json)


@suites.command("show")
def suites_show(suite: Annotated[str, typer.Argument(help="A suite's name.")], as_json: Json = False) -> None:
    """A suite's tasks with shots and metrics, its averages, and what data is missing."""
    from orchestration.cli.suites import show_command

    show_command(suite, as_json)


@suites.command("fetch")
def suites_fetch(suite: Annotated[str, typer.Argument(help="A suite's name, such as english-hub.")]) -> None:
    """Let the library datasets fetch what a suite lacks, into TOKKA_EVAL_DATA: lm-eval's tasks from the hub, and FIN-bench."""
    from orchestration.cli.suites import fetch_command

    fetch_command(suite)


@study.command("list")
def study_list(as_json: Json = False) -> None:
    """All studies, one line each."""
    from orchestration.cli.study import list_command

    list_command(as_json)


@study.command("plan")
def study_plan(name: StudyName, base: StudyBase = None, lake: LakeUri = None, as_json: Json = False) -> None:
    """A study's recipes: what they are trained on, what is held equal, what they share and what that saves."""
    from orchestration.cli.study import plan_command

    plan_command(name, base, lake, as_json)


@study.command("run")
def study_run(
    name: StudyName,
    base: StudyBase = None,
    lake: LakeUri = None,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Run all recipes of a study, seed by seed; what is there is not made again."""
    from orchestration.cli.study import run_command

    run_command(name, base, lake, profile, as_json)


@study.command(WHOLE, hidden=True)
def study_whole(
    name: StudyName,
    base: StudyBase = None,
    to: StudyReport = None,
    lake: LakeUri = None,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """Run all recipes of a study, and write its report. [TOKKA_HOME/studies/STUDY/BASE]"""
    from orchestration.cli.study import whole_command

    whole_command(name, base, to, lake, profile, as_json)


@study.command("report")
def study_report(
    name: StudyName,
    base: StudyBase = None,
    to: StudyReport = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Scores of a study's recipes over the seeds, paired tests against the baseline, learning curves, cost."""
    from orchestration.cli.study import report_command

    report_command(name, base, to, lake, as_json)


@lake.command("ls")
def lake_ls(
    asset: Annotated[str | None, typer.Argument(help="Only this asset.")] = None,
    partition: Annotated[str | None, typer.Argument(help="Only this partition.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """The versions in the lake."""
    from orchestration.cli.lake import ls_command

    ls_command(asset, partition, lake, as_json)


@lake.command("show")
def lake_show(
    version: Annotated[str, typer.Argument(help="ASSET/PARTITION/VERSION, or the first characters of a digest.")],
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """A version's manifest and receipt."""
    from orchestration.cli.lake import show_command

    show_command(version, lake, as_json)


@lake.command("verify")
def lake_verify(
    asset: Annotated[str | None, typer.Argument(help="Only this asset.")] = None,
    partition: Annotated[str | None, typer.Argument(help="Only this partition.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Compare every file with its manifest; exit code 1 when something differs."""
    from orchestration.cli.lake import verify_command

    verify_command(asset, partition, lake, as_json)


@lake.command("gc")
def lake_gc(
    keep: Annotated[int, typer.Option(min=0, help="Newest versions of every partition that stay.")] = 2,
    older_than: Annotated[float, typer.Option(min=0, help="Days; what is younger stays.")] = 30,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it; without this it is only shown.")] = False,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """What nobody needs any more: old versions outside every lineage that is kept, and what killed processes left."""
    from orchestration.cli.collect import gc_command

    gc_command(keep, older_than, delete, lake, as_json)
