"""``tokka bench data``: throughput and memory of the data plane, beside datatrove's on the same corpus and cores."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from infra.bench.corpus import documents, write_corpus
from infra.bench.measure import Measured, machine, measure

PLANE = ("clean_corpus", "duplicates", "deduplicated_corpus", "decontaminated_corpus")
DEDUP = ("duplicates", "deduplicated_corpus")
HELDOUT = 50
"""Documents of the corpus that play the benchmark which decontamination searches for."""

Say = Callable[[str], None]


def bench(
    files: list[Path], megabytes: int, language: str, peer: bool, say: Say, work: Path | None = None
) -> dict[str, Any]:
    """Measure every stage of the data plane with its gate, and datatrove's cleaning and MinHash stages.

    The corpus is made from ``files`` (JSON Lines in ``language``), varied until it has ``megabytes`` of text. Returns what
    ``bench.json`` holds: seconds, MB/s, MB/s per core and peak memory by stage, and the ratios to the peer.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-", dir=work))
    cores = os.cpu_count() or 1
    try:
        size = prepare(folder, files, megabytes, language, cores)
        say(f"corpus: {size / 1e6:.1f} MB of text from {len(files)} files, {cores} cores")
        result: dict[str, Any] = {"machine": machine(), "megabytes": round(size / 1e6, 3), "language": language}
        result["tokka"] = {}
        _stage(folder, "benchmark", size, result["tokka"], say)
        for asset in ("raw_corpus", *PLANE):
            _stage(folder, asset, size, result["tokka"], say)
        result["peak_gb"] = max(stage["peak_gb"] for stage in result["tokka"].values())
        if peer:
            result["datatrove"] = _peer(folder, size, cores, language, say)
            result["ratios"] = _ratios(result)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path, files: list[Path], megabytes: int, language: str, cores: int) -> int:
    """Write the corpus of ``megabytes``, the benchmark and the language for ``tokka_stages``; return the bytes of text."""
    base = documents(files)
    (folder / "language").write_text(language)
    (folder / "heldout.jsonl").write_text(
        "".join(json.dumps({"id": d["id"], "text": d["text"]}, ensure_ascii=False) + "\n" for d in base[:HELDOUT]),
        "utf-8",
    )
    return write_corpus(base[HELDOUT:], folder / "corpus", megabytes * 1_000_000, cores)


def _stage(folder: Path, asset: str, size: int, into: dict[str, Any], say: Say) -> None:
    """Measure making a stage's version, then judging it."""
    command = [sys.executable, "-m", "infra.bench.tokka_stages", str(folder), asset]
    for name, arguments in ((asset, command), (f"{asset} gate", [*command, "--gate"])):
        into[name] = _figures(measure(arguments), size)
        say(f"{name:<32}{_line(into[name])}")


def _peer(folder: Path, size: int, cores: int, language: str, say: Say) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in ("clean", "dedup"):
        command = [sys.executable, "-m", "infra.bench.datatrove_stages", str(folder), name, str(cores), language]
        figures[name] = _figures(measure(command), size)
        say(f"datatrove {name:<22}{_line(figures[name])}")
    return figures


def _figures(measured: Measured, size: int) -> dict[str, float]:
    """Figures of one command, its start and its imports included; all of them may use all cores."""
    speed = size / 1e6 / measured.seconds
    return {
        "seconds": round(measured.seconds, 2),
        "mb_per_second": round(speed, 2),
        "mb_per_second_per_core": round(speed / (os.cpu_count() or 1), 2),
        "peak_gb": round(measured.peak_bytes / 1e9, 3),
    }


def _line(figures: dict[str, float]) -> str:
    return (
        f"{figures['seconds']:>8.1f} s {figures['mb_per_second']:>8.2f} MB/s "
        f"{figures['mb_per_second_per_core']:>8.2f} MB/s/core {figures['peak_gb']:>7.2f} GB"
    )


def _ratios(result: dict[str, Any]) -> dict[str, float]:
    """How many times datatrove's throughput Tokka's is, wall clock to wall clock, process start and writing included."""
    tokka, peer = result["tokka"], result["datatrove"]
    return {
        "clean": round(peer["clean"]["seconds"] / tokka["clean_corpus"]["seconds"], 1),
        "dedup": round(peer["dedup"]["seconds"] / sum(tokka[asset]["seconds"] for asset in DEDUP), 1),
        "clean_with_gate": round(
            peer["clean"]["seconds"] / (tokka["clean_corpus"]["seconds"] + tokka["clean_corpus gate"]["seconds"]), 1
        ),
    }


def has_peer() -> bool:
    """Whether datatrove is installed."""
    return find_spec("datatrove") is not None
