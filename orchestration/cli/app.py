"""All commands, with their options. Each imports what it needs when it runs, so that ``tokka --help`` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import benches, groups
from orchestration.cli.options import Json, LakeUri, ProfileName, RecipeName
from orchestration.cli.troubles import Commands

app = typer.Typer(
    cls=Commands,
    help="From raw corpora to an evaluated language model, with every step gated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(groups.recipes, name="recipes")
app.add_typer(groups.suites, name="suites")
app.add_typer(groups.study, name="study")
app.add_typer(groups.lake, name="lake")
app.add_typer(benches.bench, name="bench")


@app.callback()
def _secrets() -> None:
    from orchestration.cli.context import read_secrets

    read_secrets()


@app.command()
def run(
    recipe: RecipeName,
    to: Annotated[str | None, typer.Option(help="Stop when this asset is made (e.g. tokenizer).")] = None,
    lake: LakeUri = None,
    profile: ProfileName = None,
    launcher: Annotated[
        str | None, typer.Option(help="Where jobs run: local, docker, slurm or kubernetes (TOKKA_LAUNCHER).")
    ] = None,
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

    run_command(recipe, to, lake, profile, launcher, data_engine, accept_risk, as_json)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
    lake: LakeUri = None,
    profile: ProfileName = None,
) -> None:
    """Open the Dagster UI on 127.0.0.1, with the daemon that works off what is launched there."""
    from orchestration.cli.ui import ui_command

    ui_command(port, lake, profile)


@app.command()
def serve(
    what: Annotated[str, typer.Argument(help="code (holds the graph, carries out runs), webserver or daemon.")],
    host: Annotated[str, typer.Option(help="Address to listen on; none of them has a login.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port. [4000 for code, 3000 for webserver]")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the one on this machine is well.")] = False,
) -> None:
    """One process of a deployment, in the foreground: see infra/compose.yaml and infra/systemd."""
    from orchestration.cli.serve import serve_command

    serve_command(what, host, port, check)


@app.command("try")
def try_(
    profile: Annotated[str, typer.Argument(help="A cleaning profile: web, news, social, books, wiki, code, pairs ...")],
    file: Annotated[
        str,
        typer.Argument(
            help="JSONL (.gz, .zst), Parquet or text: a path or any fsspec URI; - is JSONL from standard input."
        ),
    ],
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
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="A step that a model file decides, as in a recipe: {kind: kenlm, model: ...}; may be repeated.",
        ),
    ] = None,
    with_dedup: Annotated[bool, typer.Option("--with-dedup", help="Also find the file's duplicates.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Also search for benchmarks: a task, a suite, a recipe, all, or a JSONL file or folder."),
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
        filters or [],
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
def sample(
    recipe: RecipeName,
    step: Annotated[int, typer.Argument(help="A step of the run, counted from 1.")],
    samples: Annotated[int | None, typer.Option(min=1, help="Only the first samples of the batch.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """What a training step saw: the text of its global batch, with the documents that it came from."""
    from orchestration.cli.sample import sample_command

    sample_command(recipe, step, samples, lake, as_json)


@app.command()
def scores(recipe: RecipeName, lake: LakeUri = None, as_json: Json = False) -> None:
    """The scores of a recipe's checkpoints."""
    from orchestration.cli.scores import scores_command

    scores_command(recipe, lake, as_json)


@app.command("eval")
def eval_(
    model: Annotated[str, typer.Argument(help="A Hugging Face folder: config.json, tokenizer.json, *.safetensors.")],
    suite: Annotated[list[str] | None, typer.Option(help="A suite (`tokka suites list`); may be repeated.")] = None,
    include: Annotated[
        str | None, typer.Option(help="A folder with tasks of your own, in lm-eval's YAML with local data.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Only the first items of each task; of each part, where a task has several."),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the results, item by item.")] = None,
    max_length: Annotated[
        int | None, typer.Option(min=2, help="Tokens that the model reads at once. [its own, at most 4096]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a checkpoint outside the graph.

    Exit codes: 0 all was scored, 1 the data of a task is missing, 2 wrong usage, 3 a task failed.
    """
    from orchestration.cli.evaluate import eval_command

    eval_command(model, suite or [], include, task or [], limit, output, max_length, as_json)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="RECIPE or RECIPE@STEP; without a step its last scored checkpoint.")],
    second: Annotated[str, typer.Argument(help="What it is compared with, likewise.")],
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Which differences between two checkpoints' scores are more than chance, item by item."""
    from orchestration.cli.compare import compare_command

    compare_command(first, second, task, lake, as_json)


@app.command()
def scoreboard(
    html: Annotated[Path | None, typer.Option(help="Write it to this file, as one HTML page.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write it to this file as Markdown, its plots beside it.")
    ] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """All recipes that have scores in the lake, beside the tables of Poro 34B's paper."""
    from orchestration.cli.scoreboard import scoreboard_command

    scoreboard_command(html, markdown, lake, as_json)


@app.command()
def passport(
    recipe: RecipeName,
    step: Annotated[int | None, typer.Option(help="The checkpoint's step. [the last one scored]")] = None,
    task: Annotated[str | None, typer.Option(help="The task whose score it is. [all of them]")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it to this file, as one HTML page.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Where a score comes from: checkpoint, samples, shards, corpora, gates, versions, cost."""
    from orchestration.cli.passport import passport_command

    passport_command(recipe, step, task, html, lake, as_json)


@app.command("tainted-by")
def tainted_by(
    what: Annotated[
        str, typer.Argument(help="A document's id (SOURCE:NAME), a version, or the first characters of a digest.")
    ],
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """What a document or a version has touched: everything made from it, to the checkpoints and scores."""
    from orchestration.cli.tainted import tainted_command

    tainted_command(what, lake, as_json)


@app.command()
def plan(
    recipe: RecipeName,
    gpus: Annotated[int, typer.Option(min=1, max=1_000_000, help="GPUs in all (of an MI250X each half is one).")],
    gpu: Annotated[
        str | None, typer.Option(help="Kind of GPU, such as H100 or MI250X: its memory, peak and power.")
    ] = None,
    memory_gb: Annotated[
        float | None, typer.Option(min=1, max=100_000, help="Memory of each, in GB. [that of --gpu]")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Nodes that they lie on. [8 GPUs each]")
    ] = None,
    tensor_parallel: Annotated[
        int | None, typer.Option(min=1, help="GPUs that share the work on each sample. [the recipe's]")
    ] = None,
    mfu: Annotated[float | None, typer.Option(min=0.01, max=1, help="Share of the peak that the run reaches.")] = None,
    tokens_per_second: Annotated[
        float | None, typer.Option(min=1, max=1e12, help="Speed of the whole run, instead.")
    ] = None,
    profile: ProfileName = None,
    as_json: Json = False,
) -> None:
    """How a recipe's pretraining would lie on GPUs: memory by part, what fits, speed, days, energy, CO2."""
    from orchestration.cli.plan import plan_command

    plan_command(recipe, gpus, gpu, memory_gb, nodes, tensor_parallel, mfu, tokens_per_second, profile, as_json)


@app.command()
def doctor(lake: LakeUri = None, profile: ProfileName = None, as_json: Json = False) -> None:
    """What this machine has, and what each missing thing costs."""
    from orchestration.cli.doctor import doctor_command

    doctor_command(lake, profile, as_json)


@app.command()
def promote(
    recipe: RecipeName,
    step: Annotated[int | None, typer.Option(help="The checkpoint. [the recipe's policy]")] = None,
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the promoted model. [the policy's, or the recipe's]")
    ] = None,
    why: Annotated[str | None, typer.Option(help="The reason, for the history.")] = None,
    confirm_risks: Annotated[
        bool, typer.Option("--confirm-risks", help="Promote a model that was made with accepted risks.")
    ] = False,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Make a checkpoint a promoted model, with card and passport, where everything behind it passed its gate."""
    from orchestration.cli.promote import promote_command

    promote_command(recipe, step, name, why, confirm_risks, lake, as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of a promoted model.")],
    why: Annotated[str, typer.Option(help="The reason, for the history.")],
    to: Annotated[str | None, typer.Option(help="A version of the history. [the one before]")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """Make current again what was promoted before."""
    from orchestration.cli.promote import rollback_command

    rollback_command(name, to, why, lake, as_json)


@app.command()
def promoted(
    name: Annotated[str | None, typer.Argument(help="A promoted model, for its history.")] = None,
    lake: LakeUri = None,
    as_json: Json = False,
) -> None:
    """The promoted models, or the history of one: who, when and why."""
    from orchestration.cli.promote import promoted_command

    promoted_command(name, lake, as_json)
