"""The commands of ``tokka bench``."""

from typing import Annotated

import typer

from orchestration.cli.options import Json

bench = typer.Typer(help="Benchmarks, each against a peer in the same run.", no_args_is_help=True)


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


@bench.command("tokens")
def bench_tokens(
    files: Annotated[
        list[str] | None, typer.Option("--file", help="JSON Lines with id and text; may be repeated. [demo corpora]")
    ] = None,
    megabytes: Annotated[int, typer.Option(help="Size of the corpus, made by varying the files.")] = 100,
    vocabulary: Annotated[int, typer.Option(help="Ids of the tokenizers, which are trained on the corpus.")] = 32_000,
    peer: Annotated[bool, typer.Option(help="Also go Megatron-LM's own way over the corpus.")] = True,
    repeat: Annotated[int, typer.Option(help="Runs of both sides, in turns; the median counts.")] = 3,
    output: Annotated[str | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    work: Annotated[str | None, typer.Option(help="Folder for corpus and lake, removed afterwards.")] = None,
    as_json: Json = False,
) -> None:
    """Training a tokenizer, then throughput and peak memory from text to Megatron's .bin and .idx, beside Megatron-LM's way."""
    from orchestration.cli.bench import tokens_command

    tokens_command(files or [], megabytes, vocabulary, peer, repeat, output, work, as_json)


@bench.command("train")
def bench_train(
    steps: Annotated[int, typer.Option(help="Steps of each run; the first three are not timed.")] = 12,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each trainer, in turns.")] = 3,
    output: Annotated[str | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    work: Annotated[
        str | None, typer.Option(help="Folder for data and runs; the data stay there for the next time. [temporary]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time of a training step on two CPU ranks beside Hugging Face's Trainer and a bare PyTorch loop, on the same batches."""
    from orchestration.cli.bench import train_command

    train_command(steps, rounds, output, work, as_json)


@bench.command("overhead")
def bench_overhead(
    recipe: Annotated[str, typer.Argument(help="The recipe, by name.")] = "mini",
    to: Annotated[str | None, typer.Option(help="Stop when this asset is made.")] = None,
    megabytes: Annotated[
        int | None, typer.Option(min=1, help="In the place of the recipe: a corpus of so much text, up to its shards.")
    ] = None,
    files: Annotated[
        list[str] | None, typer.Option("--file", help="What that corpus is made of: Finnish JSON Lines. [demo corpora]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of both sides, in turns; the median counts.")] = 1,
    output: Annotated[str | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    work: Annotated[str | None, typer.Option(help="Folder for the homes, removed afterwards. [temporary]")] = None,
    as_json: Json = False,
) -> None:
    """Time of a recipe's run beside the same work as a plain script that makes the same files: what gates, manifests and
    Dagster add."""
    from orchestration.cli.bench import overhead_command

    overhead_command(recipe, to, megabytes, files or [], rounds, output, work, as_json)


@bench.command("eval")
def bench_eval(
    data: Annotated[str | None, typer.Option(help="Folder of the evaluation data. [TOKKA_EVAL_DATA]")] = None,
    model: Annotated[list[str] | None, typer.Option(help="bloom, llama. [both]")] = None,
    items: Annotated[int, typer.Option(min=1, help="Items of each task, of 13.")] = 24,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens that are generated for an item.")] = 32,
    max_length: Annotated[int, typer.Option(min=64, help="Tokens that the model reads at once.")] = 2048,
    batch_size: Annotated[
        list[str] | None, typer.Option(help="Batch sizes of lm_eval, the fastest of which counts. [1, 8, 32, auto]")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure this group of tasks by itself: finbench, mmlu, rolling, generation, or all of them."
        ),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    work: Annotated[str | None, typer.Option(help="Folder for checkpoints and results. [temporary]")] = None,
    as_json: Json = False,
) -> None:
    """Time to score a checkpoint on a CPU beside lm_eval with its own HF model, at equal answers to every item."""
    from orchestration.cli.bench import eval_command

    eval_command(
        data,
        tuple(model or ()),
        items,
        new_tokens,
        max_length,
        tuple(batch_size or ()),
        tuple(group or ()),
        output,
        work,
        as_json,
    )
