"""``tokka bench tokens``: from text to .bin and .idx, beside Megatron-LM's own way on the same corpus and cores."""

import filecmp
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from infra.bench.corpus import documents, varied
from infra.bench.measure import BenchError, Measured, machine, measure
from infra.bench.threads import scaling
from infra.bench.tokens_stage import SOURCE

if TYPE_CHECKING:
    import pyarrow as pa

Pretokenizer = Literal["bloom", "gpt2"]
PRETOKENIZERS: tuple[Pretokenizer, ...] = ("bloom", "gpt2")
TRAINING_BYTES = 60_000_000
"""The tokenizers' budget of bytes to be trained on."""

Say = Callable[[str], None]


class DifferentIdsError(BenchError):
    """Tokka and its peer wrote different bytes, so their times say nothing."""


def bench(
    files: list[Path], megabytes: int, vocabulary: int, peer: bool, repeat: int, say: Say, work: Path | None = None
) -> dict[str, Any]:
    """Measure training a tokenizer with BLOOM's regex and with GPT-2's, making shards, and Megatron-LM's way to the same bytes.

    The corpus is made from ``files`` (JSON Lines), varied until it has ``megabytes`` of text; the tokenizers have
    ``vocabulary`` ids and are trained on a sample of it, by the stage and with its gate. What is timed is a whole process each,
    its start and imports included, from documents in Parquet to a version of the lake (files hashed, engine proved); of
    Megatron-LM's way, from JSON Lines that are there already to its two files, and its imports (torch) are taken off. Both sides
    run in turns, ``repeat`` times.
    Raises DifferentIdsError where .bin and .idx are not the same bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-", dir=work))
    cores = os.cpu_count() or 1
    try:
        base = documents(files)
        size = _write_corpus(base, folder, megabytes * 1_000_000, peer)
        say(f"corpus: {size / 1e6:.1f} MB of text from {len(files)} files, {cores} cores")
        result: dict[str, Any] = {"machine": machine(), "megabytes": round(size / 1e6, 3), "vocabulary": vocabulary}
        for name in PRETOKENIZERS:
            result[name] = _measured(folder, _specification(name, vocabulary), size, cores, peer, repeat, say)
        result["peak_gb"] = max(result[name]["tokka"]["peak_gb"] for name in PRETOKENIZERS)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_corpus(base: list[dict[str, str]], folder: Path, size: int, lines: bool) -> int:
    """The corpus as a version of decontaminated_corpus, and for the peer as JSON Lines; the bytes of its text."""
    from assets.lake import Identity, Lake
    from assets.lake.documents import write_parts

    written = 0
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as stream:

        def counted() -> Iterator[dict[str, str]]:
            nonlocal written
            for document in varied(base, size):
                written += len(document["text"].encode())
                if lines:
                    stream.write(json.dumps({"text": document["text"]}, ensure_ascii=False) + "\n")
                yield document

        with Lake.open(str(folder / "lake")).write(Identity("decontaminated_corpus", SOURCE, {}, "bench")) as out:
            out.counts["documents"] = write_parts(out, _parts(counted()))
    return written


def _parts(rows: Iterator[dict[str, str]]) -> "Iterator[pa.Table]":
    """Documents in parts of the size that Tokka gives them."""
    import pyarrow as pa

    from assets.lake.documents import PART_CHARACTERS, PART_ROWS, document_schema

    part: list[dict[str, str | None]] = []
    characters = 0
    plain = {"source": SOURCE, "language": "fi", "translation": None, "url": None, "meta": None}
    for row in rows:
        part.append({**plain, **row})
        characters += len(row["text"])
        if characters >= PART_CHARACTERS or len(part) >= PART_ROWS:
            yield pa.Table.from_pylist(part, document_schema())
            part, characters = [], 0
    if part:
        yield pa.Table.from_pylist(part, document_schema())


def _specification(name: Pretokenizer, vocabulary: int) -> dict[str, Any]:
    """The tokenizer of the benchmark's recipe."""
    return {
        **{"name": name, "vocab_size": vocabulary, "pretokenizer": name},
        **{"sources": {"fi": [SOURCE]}, "sample_bytes": TRAINING_BYTES, "max_fertility": {"fi": 100}},
    }


def _measured(
    folder: Path, specification: dict[str, Any], size: int, cores: int, peer: bool, repeat: int, say: Say
) -> dict[str, Any]:
    """The figures of one tokenizer: its training; shards on all cores, in turns with the peer, and once on one core."""
    name = specification["name"]

    def tokka(on: int, what: str = "shards") -> Measured:
        if what == "shards":
            shutil.rmtree(folder / "lake" / "tokenized_shards", ignore_errors=True)
        command = ["infra.bench.tokens_stage", str(folder), what, json.dumps(specification), str(on)]
        return measure([sys.executable, "-m", *command])

    def megatron(on: int) -> Measured:
        (tokenizer,) = (folder / "lake" / "tokenizer" / name).glob("*/tokenizer.json")
        files = (str(folder / "corpus.jsonl"), str(tokenizer), str(folder / "megatron"))
        return measure([sys.executable, "-m", "infra.bench.megatron_way", *files, str(on)])

    figures: dict[str, Any] = {}

    def take(what: str, on: int, runs: list[Measured]) -> None:
        figures[what] = _figures(runs, size, on)
        say(f"{name + ' ' + what:<28}{_line(figures[what])}")

    take("tokenizer", cores, [tokka(cores, "tokenizer")])
    ours, theirs = [], []
    for turn in range(repeat):
        ours.append(tokka(cores))
        say(f"{name} tokka, run {turn + 1}: {ours[-1].seconds:.1f} s")
        if peer:
            theirs.append(megatron(cores))
            say(f"{name} megatron, run {turn + 1}: {theirs[-1].seconds:.1f} s")
            _same_bytes(folder)
    take("tokka", cores, ours)
    take("tokka gate", cores, [tokka(cores, "gate")])
    if peer:
        take("megatron", cores, theirs)
    take("tokka on one core", 1, [tokka(1)])
    if peer:
        take("megatron on one core", 1, [megatron(1)])
        _same_bytes(folder)
        figures["same_bytes"] = True
        figures["ratios"] = {
            "all_cores": _ratio(figures, "megatron", "tokka", "seconds"),
            "one_core": _ratio(figures, "megatron on one core", "tokka on one core", "seconds"),
            "processor_time": _ratio(figures, "megatron", "tokka", "cpu_seconds"),
        }
        say(f"{name}: {figures['ratios']['all_cores']} times Megatron-LM's way")
    figures["scaling"] = _ratio(figures, "tokka on one core", "tokka", "seconds")
    if Path("/proc/self/schedstat").exists():
        one, many = (tokka(on, "threads").reported["threads"] for on in (1, cores))
        figures["encoding threads"] = {"one core": one, "all cores": many, "scaling": scaling(one, many)}
        say(f"{name}: {len(many)} threads encode {figures['encoding threads']['scaling']} times as fast as one")
    return figures


def _same_bytes(folder: Path) -> None:
    """Compare the one file that Tokka's shards are with the peer's."""
    (shard,) = (folder / "lake" / "tokenized_shards").glob("*/*/shards/part-00000.bin")
    for suffix in (".bin", ".idx"):
        if not filecmp.cmp(shard.with_suffix(suffix), folder / f"megatron{suffix}", shallow=False):
            raise DifferentIdsError(
                f"Tokka's {suffix} differs from that of Megatron-LM's way; they should be the same."
            )


def _figures(runs: list[Measured], size: int, cores: int) -> dict[str, Any]:
    """Figures of some runs of one command. Seconds are the median's, without the imports that the command reports."""
    seconds = [run.seconds - run.reported.get("imports", 0.0) for run in runs]
    median = statistics.median(seconds)
    return {
        "seconds": round(median, 2),
        "seconds_of_each_run": [round(one, 2) for one in seconds],
        "cpu_seconds": round(statistics.median(r.cpu_seconds - r.reported.get("imports_cpu", 0.0) for r in runs), 2),
        "mb_per_second": round(size / 1e6 / median, 2),
        "mb_per_second_per_core": round(size / 1e6 / median / cores, 2),
        "peak_gb": round(max(run.peak_bytes for run in runs) / 1e9, 3),
    }


def _line(figures: dict[str, Any]) -> str:
    return (
        f"{figures['seconds']:>8.1f} s {figures['mb_per_second']:>8.2f} MB/s "
        f"{figures['mb_per_second_per_core']:>8.2f} MB/s/core {figures['peak_gb']:>7.2f} GB"
    )


def _ratio(figures: dict[str, Any], slow: str, fast: str, what: str) -> float:
    return round(figures[slow][what] / figures[fast][what], 1)
