"""All commands, with their options. Each imports what it needs when it runs, so that ``tokka --help`` is quick."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
RecipeName = Annotated[str, typer.Argument(help="A recipe's name, or the path of its YAML file.")]
LakeUri = Annotated[
    str | None, typer.Option("--lake", help="The lake's URI: a folder or s3://bucket/prefix (TOKKA_LAKE).")
]

app = typer.Typer(
    help="From raw corpora to an evaluated language model, with every step gated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
recipes = typer.Typer(help="The recipes: list, show, check.", no_args_is_help=True)
lake = typer.Typer(help="The lake: what is in it, and whether it is whole.", no_args_is_help=True)
app.add_typer(recipes, name="recipes")
app.add_typer(lake, name="lake")
bench = typer.Typer(help="Benchmarks, each against a peer in the same run.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@app.command()
def run(
    recipe: RecipeName,
    to: Annotated[str | None, typer.Option(help="Stop when this asset is made (e.g. tokenizer).")] = None,
    lake: LakeUri = None,
    launcher: Annotated[str | None, typer.Option(help="Where jobs run: local (TOKKA_LAUNCHER).")] = None,
    data_engine: Annotated[
        str | None, typer.Option(help="What works on documents: native, or ray, in RAY_ADDRESS (TOKKA_DATA_ENGINE).")
    ] = None,
    accept_risk: Annotated[
        str | None, typer.Option(help="Use inputs whose gate did not pass, for this REASON; it stays in the lineage.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a recipe through Dagster: what is there already stays, the rest is made, every gate blocks.

    Exit codes: 0 done, 1 a gate failed, 2 wrong usage or recipe, 3 a job failed, 130 interrupted.
    """
    from orchestration.cli.run import run_command

    run_command(recipe, to, lake, launcher, data_engine, accept_risk, as_json)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
    lake: LakeUri = None,
) -> None:
    """Open the Dagster UI on 127.0.0.1, with the daemon that works off what is launched there."""
    from orchestration.cli.ui import ui_command

    ui_command(port, lake)


@app.command("try")
def try_(
    profile: Annotated[str, typer.Argument(help="A cleaning profile: web, news, social, books, wiki, code, pairs ...")],
    file: Annotated[str, typer.Argument(help="JSONL (.gz, .zst), Parquet or text: a path or any fsspec URI.")],
    language: Annotated[
        str | None, typer.Option(help="Declared language; else each record's language, lang or declared_lang.")
    ] = None,
    pair_language: Annotated[
        str | None, typer.Option(help="Of pairs: the other language; the fields are named like the languages.")
    ] = None,
    text_field: Annotated[str | None, typer.Option(help="The record field that holds the text.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A step to leave out; may be repeated.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="STEP.THRESHOLD=NUMBER, another threshold; may be repeated.")
    ] = None,
    with_dedup: Annotated[bool, typer.Option("--with-dedup", help="Also find the file's duplicates.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Also search for benchmarks: a task, a recipe, all, or a JSONL file or folder."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first documents.")] = None,
) -> None:
    """Try a cleaning profile on a file, outside the graph: a JSON line for each document with the decision, all reasons
    and the text after the edits.
    """
    from orchestration.cli.trial import try_command

    try_command(
        profile,
        file,
        language,
        pair_language,
        text_field,
        without or [],
        settings or [],
        with_dedup,
        against or [],
        limit,
    )


@app.command()
def why(
    document: Annotated[str, typer.Argument(help="A document's id: SOURCE:NAME.")],
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """What every stage did with a document, from its raw corpus to the tokens it became."""
    from orchestration.cli.why import why_command

    why_command(document, lake, as_json)


@app.command()
def scores(recipe: RecipeName, lake: LakeUri = None, as_json: Json = False) -> None:
    """The scores of a recipe's checkpoints."""
    from orchestration.cli.scores import scores_command

    scores_command(recipe, lake, as_json)


@app.command()
def doctor(lake: LakeUri = None, as_json: Json = False) -> None:
    """What this machine has, and what each missing thing costs."""
    from orchestration.cli.doctor import doctor_command

    doctor_command(lake, as_json)


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


@bench.command("data")
def bench_data(
    files: Annotated[
        list[str] | None, typer.Option("--file", help="JSON Lines with id and text; may be repeated. [demo corpora]")
    ] = None,
    megabytes: Annotated[int, typer.Option(help="Size of the corpus, made by varying the files.")] = 20,
    language: Annotated[str, typer.Option(help="Language of the files.")] = "fi",
    peer: Annotated[bool, typer.Option(help="Also run datatrove on the corpus (the extra 'bench').")] = True,
    output: Annotated[str | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    work: Annotated[str | None, typer.Option(help="Folder for corpus and lake, removed afterwards.")] = None,
    as_json: Json = False,
) -> None:
    """Throughput and peak memory of cleaning, deduplication and decontamination with their gates, beside datatrove's."""
    from orchestration.cli.bench import data_command

    data_command(files or [], megabytes, language, peer, output, work, as_json)
