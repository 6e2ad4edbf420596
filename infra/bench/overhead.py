"""``tokka bench overhead``: ``tokka run RECIPE`` in an empty home beside the same work as a plain script, in turns.

The script (``infra.bench.overhead_plain``) makes the same files, which is checked byte by byte. ``tokka run`` makes partitions
in as many processes as the profile says (``processes``). A third run, in one process, times the gates and the manifests with
their hashes apart (``infra.bench.overhead_run``); Dagster's part is what is left beside them and the work.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assets.cleaning.profiles import profile_of
from assets.lake import Lake
from assets.lake.fingerprint import file_digest
from infra.bench import tokka_stages
from infra.bench.data import prepare
from infra.bench.measure import BenchError, Measured, machine, measure

PARTS = ("work", "gates", "manifests")
TARGET = 0.10
"""Share of a recipe's wall time that all but the work may take."""
GATES_TARGET = 0.02
"""Share of the data plane's wall time on 1 GB of text that the gates may take."""
LOOSE = {"language_share": 0, "encoding_damage": 1, "removed": 1, "duplicates": 1, "contaminated": 1}
"""Varied text may repeat and lose what it likes; the gates do the same work as with other bounds."""
LARGE_SAMPLE = 50_000_000
"""Bytes that the tokenizer is trained on, at most."""
LARGE, LARGE_TO = "bench", "tokenized_shards"


def bench(
    recipe: str, to: str | None, rounds: int, say: Callable[[str], None], work: Path | None = None
) -> dict[str, Any]:
    """Run the recipe and the script ``rounds`` times each, whoever began a round ending the next; return what the JSON holds.

    Raises BenchError where one of them fails, or where they do not make the same files.
    """
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-overhead-", dir=work))
    try:
        return _bench(folder, recipe, to, rounds, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bench_large(
    files: list[Path], megabytes: int, language: str, rounds: int, say: Callable[[str], None], work: Path | None = None
) -> dict[str, Any]:
    """The same with a corpus of ``megabytes`` of text, made by varying ``files`` (JSON Lines in ``language``)."""
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-overhead-", dir=work))
    try:
        size = prepare(folder, files, megabytes, language, os.cpu_count() or 1)
        say(f"corpus: {size / 1e6:.1f} MB of text from {len(files)} files")
        value = tokka_stages.recipe(folder)
        sample = min(size // 4, LARGE_SAMPLE)
        vocabulary = min(8_192, max(400, size // 10_000))  # a small sample has no more merges
        value["tokenizer"] |= {"vocab_size": vocabulary, "sample_bytes": sample, "max_fertility": {language: 100}}
        tests = profile_of(tokka_stages.catalog(folder).sources[tokka_stages.SOURCE], LARGE).tests
        bounds = LOOSE | {"removed_by_reason": dict.fromkeys((test.name for test in tests), 1)}
        value["sources"][tokka_stages.SOURCE] |= {"license": "CC0-1.0", "bounds": bounds}
        (folder / "recipes").mkdir()
        (folder / "recipes" / f"{LARGE}.yaml").write_text(json.dumps(value), "utf-8")
        found = _bench(folder, LARGE, LARGE_TO, rounds, say)
        return found | {"megabytes": round(size / 1e6, 3), "gates_target": GATES_TARGET}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bench(folder: Path, recipe: str, to: str | None, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    home, to_asset = folder / "home", [to] if to else []
    tokka = [sys.executable, "-m", "orchestration.cli", "run", recipe, *(["--to", to] if to else [])]
    parts = [sys.executable, "-m", "infra.bench.overhead_run", recipe, *to_asset]
    plain = [
        sys.executable,
        "-m",
        "infra.bench.overhead_plain",
        recipe,
        f"{home}/lake",
        str(folder / "plain"),
        *to_asset,
    ]
    found: list[dict[str, float]] = []
    # The script is told the names of the versions, so the first run is Tokka's; from the second round on they take turns.
    for number in range(rounds):
        here = folder / f"home-{number}" if number else home
        order = [("tokka", here, tokka), ("plain", folder / "plain", plain), ("parts", folder / "parts", parts)]
        runs: dict[str, Measured] = {}
        for name, place, command in order if number % 2 == 0 else reversed(order):
            alone = ["TOKKA_PROCESSES=1"] if name == "parts" else []
            runs[name] = measure([*_environment(place, folder / "recipes"), *alone, *command])
            say(f"{name}: {runs[name].seconds:.1f} s, {runs[name].cpu_seconds:.1f} s of processor time")
        if not (runs["plain"].reported and runs["parts"].reported):
            raise BenchError(f"a run of {recipe} reported no times.")
        lake = Lake.open(f"{home}/lake")
        files = _same_files(lake, folder / "plain" / "lake")
        for other in (here, folder / "parts"):
            _same_versions(lake, Lake.open(f"{other}/lake"))
        found.append(_figures(runs["tokka"], runs["plain"], runs["parts"]))
        say(", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in found[-1].items()))
        for done in (folder / "plain", folder / "parts", *([here] if number else [])):
            shutil.rmtree(done, ignore_errors=True)
    middle = {name: round(statistics.median(one[name] for one in found), 4) for name in found[0]}
    same = {"same_files": files, "partitions": runs["plain"].reported["partitions"]}
    return {
        "machine": machine(),
        "recipe": recipe,
        "to": to,
        "target": TARGET,
        **same,
        "median": middle,
        "rounds": found,
    }


def _environment(home: Path, recipes: Path) -> list[str]:
    """A home and a lake of its own, whatever the environment says, and the recipes that are made for this, if any."""
    own = [f"TOKKA_RECIPES={recipes}"] if recipes.exists() else []
    return ["env", "-u", "DAGSTER_HOME", "-u", "TOKKA_LAKE", f"TOKKA_HOME={home}", f"PATH={os.environ['PATH']}", *own]


def _same_files(lake: Lake, plain: Path) -> int:
    """How many files the two lakes have in common, all with the digests of the manifests. Raises BenchError where they differ.

    The bytes of files that hold clock times differ from run to run; these have to be there.
    """
    files = 0
    for manifest in lake.manifests():
        for entry in manifest.files:
            path = plain / manifest.name / entry.path
            if not path.is_file() or (not entry.timed and file_digest(path) != entry.sha256):
                raise BenchError(f"the plain script made another {manifest.name}/{entry.path} than tokka run, or none.")
            files += 1
    return files


def _same_versions(first: Lake, other: Lake) -> None:
    """Raises BenchError where two runs of one recipe have made other versions."""
    digests = [{manifest.name: manifest.digest for manifest in lake.manifests()} for lake in (first, other)]
    if digests[0] != digests[1]:
        raise BenchError("two runs of the recipe made other versions.")


def _figures(tokka: Measured, plain: Measured, parts: Measured) -> dict[str, float]:
    """Seconds of the processes, and of the parts of a run in one process.

    ``overhead`` is what ``tokka run`` takes beyond the script, as a share of its own time, by the clock and by the processor time
    of all processes, jobs included; ``overhead_inside`` what a run in one process takes beside the work, without the noise
    between two runs. The shares of the parts are of that run's time.
    """
    wall = {part: float(parts.reported["wall"].get(part, 0)) for part in PARTS}
    wall["dagster"] = parts.seconds - sum(wall.values())
    figures = {"tokka_seconds": tokka.seconds, "plain_seconds": plain.seconds, "ratio": tokka.seconds / plain.seconds}
    figures |= {"tokka_cpu_seconds": tokka.cpu_seconds, "plain_cpu_seconds": plain.cpu_seconds}
    figures |= {
        "overhead": 1 - plain.seconds / tokka.seconds,
        "overhead_cpu": 1 - plain.cpu_seconds / tokka.cpu_seconds,
    }
    figures |= {"one_process_seconds": parts.seconds, "overhead_inside": 1 - wall["work"] / parts.seconds}
    figures |= {f"{part}_seconds": value for part, value in wall.items()}
    figures |= {f"{part}_share": value / parts.seconds for part, value in wall.items()}
    return figures | {f"{name} seconds": value for name, value in parts.reported["stages"].items()}
