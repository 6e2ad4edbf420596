"""A recipe's run with the time of its parts: ``python -m infra.bench.overhead_run RECIPE [ASSET]``, in the home TOKKA_HOME.

The work is what the stages' ``make`` functions do, jobs included; beside it stand the gates, the hashes and manifests, and
whatever Dagster and planning take. The last line of the output is a JSON object of seconds.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from typing import Any


class Clock:
    """Seconds of wall clock and of this process's processor time by part; a part that another calls counts for itself alone."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._open: list[list[float]] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, whose time counts as ``part``."""

        def call(*args: Any, **kwargs: Any) -> Any:
            inner = [0.0, 0.0]
            self._open.append(inner)
            started, used = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds, cpu = time.perf_counter() - started, time.process_time() - used
                self._open.pop()
                self.wall[part] = self.wall.get(part, 0) + seconds - inner[0]
                self.cpu[part] = self.cpu.get(part, 0) + cpu - inner[1]
                if self._open:
                    self._open[-1][0] += seconds
                    self._open[-1][1] += cpu

        return call


def by_part(seconds: dict[str, float]) -> dict[str, float]:
    """Seconds of "work", "gates" and "manifests", each over all stages."""
    parts: dict[str, float] = {}
    for name, value in seconds.items():
        part = name.split()[0]
        parts[part] = parts.get(part, 0) + value
    return parts


def main(recipe: str, to: str | None) -> None:
    """Run the command ``tokka run`` with its parts timed, and print their seconds. Leaves with the command's exit code."""
    started = time.perf_counter()
    from assets import graph

    clock = Clock()
    # Before anything else takes the stages from there.
    graph.STAGES = tuple(dataclasses.replace(s, make=clock.timed(f"work {s.asset}", s.make)) for s in graph.STAGES)
    graph.BY_ASSET.update({stage.asset: stage for stage in graph.STAGES})

    from assets.gates.gate import Gate
    from assets.lake import Lake, Manifest, Receipt
    from assets.lake.writer import VersionWriter
    from assets.recipe.catalog import Catalog
    from orchestration import assets_from_stages
    from orchestration.cli.app import app

    judge = assets_from_stages.judge

    def judge_timed(gate: Gate, lake: Lake, manifest: Manifest, catalog: Catalog) -> Receipt:
        return clock.timed(f"gates {manifest.asset}", judge)(gate, lake, manifest, catalog)

    assets_from_stages.judge = judge_timed
    for owner, name in (
        (VersionWriter, "add"), (Lake, "write_whole"), (Lake, "require_whole"), (Lake, "_read_manifest"),
        (Lake, "receipt"),
    ):  # fmt: skip
        setattr(owner, name, clock.timed("manifests", getattr(owner, name)))
    imported = time.perf_counter() - started
    code = app(["run", recipe, *(["--to", to] if to else [])], prog_name="tokka", standalone_mode=False)
    if code:  # of a gate that failed, whose run has no times to compare
        sys.exit(code)
    seconds = time.perf_counter() - started
    whole = {"seconds": seconds, "imports": imported, "wall": by_part(clock.wall), "cpu": by_part(clock.cpu)}
    print(json.dumps(whole | {"stages": clock.wall}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
