"""``tokka bench``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assets.recipe.load import PROJECT
from orchestration.cli.output import err, fail, out, print_json

CORPORA = {
    "fi": ("libreoffice_help_fi", "manpages_fi", "gnome_help_fi", "aptitude_doc_fi"),
    "en": ("libreoffice_help_en", "gnome_help_en"),
}


def data_command(
    files: list[str], megabytes: int, language: str, peer: bool, output: str | None, work: str | None, as_json: bool
) -> None:
    """Measure the data plane, and datatrove on the same corpus; write JSON."""
    from infra.bench.data import bench, has_peer

    if peer and not has_peer():
        fail("datatrove is not installed: pip install 'tokka[bench]', or leave the peer out with --no-peer.")
    if not files and language not in CORPORA:
        fail(f"there is no corpus of the language {language!r} in the repository; name JSON Lines files with --file.")
    paths = _corpus(files, CORPORA.get(language, ()))
    result = _measure(lambda: bench(paths, megabytes, language, peer, err.print, _folder(work)), output)
    if as_json:
        print_json(result)
        return
    out.print(f"peak memory {result['peak_gb']:.2f} GB")
    for name, ratio in result.get("ratios", {}).items():
        out.print(f"{name.replace('_', ' ')}: {ratio} times datatrove's throughput")


def tokens_command(
    files: list[str],
    megabytes: int,
    vocabulary: int,
    peer: bool,
    repeat: int,
    output: str | None,
    work: str | None,
    as_json: bool,
) -> None:
    """Measure making shards, and Megatron-LM's way on the same corpus; write JSON."""
    from infra.bench.tokens import PRETOKENIZERS, bench

    paths = _corpus(files, [name for names in CORPORA.values() for name in names])
    result = _measure(lambda: bench(paths, megabytes, vocabulary, peer, repeat, err.print, _folder(work)), output)
    if as_json:
        print_json(result)
        return
    out.print(f"peak memory {result['peak_gb']:.2f} GB")
    for name in PRETOKENIZERS:
        for what, ratio in result[name].get("ratios", {}).items():
            out.print(f"{name}, {what.replace('_', ' ')}: {ratio} times Megatron-LM's way")


def train_command(steps: int, rounds: int, output: str | None, work: str | None, as_json: bool) -> None:
    """Measure the pretraining job beside Hugging Face's Trainer and a bare loop; write JSON."""
    from infra.bench.train import WARMUP_STEPS, bench

    if steps < WARMUP_STEPS + 3:
        fail(f"--steps {steps}: at least {WARMUP_STEPS + 3}, since the first {WARMUP_STEPS} are not timed.")
    result = _measure(lambda: bench(steps, rounds, err.print, _folder(work)), output)
    if as_json:
        print_json(result)
        return
    ratios = result["ratios"]
    for name, meaning in (
        ("hugging_face_over_tokka", "time of Hugging Face's Trainer on the eager BLOOM over Tokka's"),
        ("tokka_over_bare_loop", "time of Tokka's job over a bare PyTorch loop's"),
    ):
        ratio = ratios[name]
        out.print(
            f"{meaning}: {ratio['median_of_rounds']} (CPU: {ratio['cpu']}, fastest steps: {ratio['fastest_steps']})"
        )
    turns = ratios["tokka_over_bare_loop_in_turns"]
    out.print(
        f"the same, step by step in turns: {turns['seconds']} (CPU: {turns['cpu_in_all']}), {turns['pairs']} pairs of steps"
    )
    out.print(f"share of the slowest step that waits for data: {result['data_share_of_slowest_step']:.4%}")
    out.print(f"losses agree: {'yes' if result['losses_agree'] else 'NO'}, {result['loss_difference']}")


def eval_command(
    data: str | None,
    models: tuple[str, ...],
    items: int,
    new_tokens: int,
    max_length: int,
    batch_sizes: tuple[str, ...],
    by_group: tuple[str, ...],
    output: str | None,
    work: str | None,
    as_json: bool,
) -> None:
    """Measure scoring checkpoints beside ``lm_eval`` with its HF model; write JSON."""
    import os

    from infra.bench.eval import BATCH_SIZES, KINDS, bench, missing_data
    from infra.bench.eval_tasks import GROUPS

    for group in by_group:
        if group not in (*GROUPS, "all"):
            fail(f"--group {group}: allowed are {', '.join(GROUPS)} and all.")
    for model in models:
        if model not in KINDS:
            fail(f"--model {model}: allowed are {', '.join(KINDS)}.")
    folder = data or os.environ.get("TOKKA_EVAL_DATA")
    if not folder:
        fail("name the folder of the evaluation data with --data or in TOKKA_EVAL_DATA.")
    if missing := missing_data(Path(folder)):
        fail(f"--data {folder}: it lacks {', '.join(missing)}.")
    kinds, sizes = models or KINDS, batch_sizes or BATCH_SIZES
    groups = GROUPS if "all" in by_group else by_group
    result = _measure(
        lambda: bench(Path(folder), kinds, items, new_tokens, max_length, sizes, groups, err.print, _folder(work)),
        output,
    )
    if as_json:
        print_json(result)
        return
    for kind in kinds:
        for call, figures in result[kind]["measured"].items():
            difference = max(figures["largest_difference"].values())
            out.print(
                f"{kind}, {call}: {figures['ratio']} times as fast as lm_eval at its best batch size "
                f"({figures['lm_eval_best_batch_size']}), {figures['cpu_ratio']} times by processor time; the answers to "
                f"{figures['items']} items agree, log-likelihoods within {difference:.1e}"
            )


def overhead_command(
    recipe: str,
    to: str | None,
    megabytes: int | None,
    files: Sequence[str],
    rounds: int,
    output: str | None,
    work: str | None,
    as_json: bool,
) -> None:
    """Measure a recipe's run, or that of a large corpus, beside the same work as a plain script; write JSON."""
    from assets.graph import BY_ASSET
    from infra.bench.overhead import GATES_TARGET, TARGET, bench, bench_large
    from orchestration.cli.context import open_recipe

    if to is not None and to not in BY_ASSET:
        fail(f"there is no asset {to!r}; the assets are: {', '.join(BY_ASSET)}.")
    if megabytes is None:
        open_recipe(recipe)
        result = _measure(lambda: bench(recipe, to, rounds, err.print, _folder(work)), output)
    else:
        paths = _corpus(files, CORPORA["fi"])
        result = _measure(lambda: bench_large(paths, megabytes, "fi", rounds, err.print, _folder(work)), output)
    if as_json:
        print_json(result)
        return
    middle = result["median"]
    for part in ("gates", "manifests", "dagster"):
        out.print(f"{part}: {middle[f'{part}_seconds']:.1f} s, {middle[f'{part}_share']:.1%} of the wall time")
    out.print(
        f"tokka run takes {middle['tokka_seconds']:.1f} s, the plain script {middle['plain_seconds']:.1f} s for the same "
        f"{result['same_files']} files: an overhead of {middle['overhead']:.1%} ({middle['overhead_cpu']:.1%} of the processor "
        f"time, {middle['overhead_inside']:.1%} as timed within the run); the target is {TARGET:.0%}"
        + (f", of the gates {GATES_TARGET:.0%} at 1 GB" if megabytes else "")
    )


def _corpus(files: Sequence[str], demo: Sequence[str]) -> list[Path]:
    """The files that are named, or else the demo's corpora of these names."""
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            fail(f"--file {path}: there is no such file.")
    return paths or [PROJECT / "infra" / "demo" / "corpora" / f"{name}.jsonl.gz" for name in demo]


def _folder(work: str | None) -> Path | None:
    return Path(work) if work else None


def _measure(bench: Callable[[], dict[str, Any]], output: str | None) -> dict[str, Any]:
    """The figures of a benchmark, which go to the file ``output`` as well."""
    from infra.bench.measure import BenchError, write

    try:
        result = bench()
    except BenchError as error:
        fail(str(error))
    if output:
        write(result, Path(output))
    return result
