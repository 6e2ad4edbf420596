"""The work of a recipe as a plain script: ``python -m infra.bench.overhead_plain RECIPE REFERENCE FOLDER [ASSET]``.

Calls the function of each stage in the order of the graph, in one process, and starts the same jobs by the same launcher; no
Dagster, no gates, no hashes, no claims, no manifests of its own. What the stages ask of the versions before them (names and
digests, which stand in files that are written, counts, and the receipts that jobs demand) is copied from the lake REFERENCE,
where ``tokka run`` has made the same; a copy costs about a millisecond.
"""

import json
import logging
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from assets import engine
from assets.graph import targets, upstream
from assets.lake import Identity, Lake, Manifest, VersionWriter
from assets.lake.manifest import FileEntry
from assets.lake.store import MANIFEST, RECEIPT
from assets.recipe.jobs import JobCost, JobRequest
from assets.recipe.launchers import Launchers
from assets.recipe.load import load_catalog
from assets.stage import Work


class PlainWriter(VersionWriter):
    """Writes where the files shall lie, and looks at none of them again."""

    def add(self, path: str, rows: int | None = None) -> FileEntry:
        """Take note of a file; its digest is not taken."""
        entry = FileEntry(path=path, size=0, sha256="", rows=rows, timed=path in self.timed)
        self.files[path] = entry
        return entry


def run_all(recipe: str, reference: Lake, lake: Lake, scratch: Path, to: str | None) -> int:
    """Do the work of all partitions that ``tokka run RECIPE --to ASSET`` makes in an empty lake; return how many they are."""
    catalog = load_catalog()
    run_job = _jobs(Path(lake.root))
    engine.choose("native")
    log = logging.getLogger("plain")
    versions = {(version.asset, version.partition): version for version in reference.manifests()}
    todo = list(upstream(catalog, targets(catalog, recipe, to)))
    for stage, key in todo:
        inputs: dict[str, dict[str, Manifest]] = {}
        for before in stage.inputs(catalog, key):
            inputs.setdefault(before[0], {})[before[1]] = versions[before]
        version = versions[stage.asset, key]
        folder, work = Path(lake.folder(version)), scratch / version.name
        folder.mkdir(parents=True)
        work.mkdir(parents=True)
        identity = Identity(stage.asset, key, version.config, version.code, tuple(version.inputs))
        out = PlainWriter(lake, identity, folder)
        stage.make(Work(key, catalog, lake, inputs, out, work, log, run_job))
        for name in (MANIFEST, RECEIPT):
            source = Path(reference.folder(version)) / name
            if source.exists():
                shutil.copyfile(source, folder / name)
        shutil.rmtree(work)
    return len(todo)


def _jobs(lake: Path) -> Callable[[JobRequest], JobCost]:
    """How a job is run: started, waited for, asked for its cost."""
    from training_jobs.launchers.local import LocalLauncher

    launcher = LocalLauncher(Launchers().local)

    def run_job(request: JobRequest) -> JobCost:
        job = launcher.submit(request.model_copy(update={"reads": (*request.reads, lake)}))
        while not (status := launcher.poll(job)).ended:
            time.sleep(launcher.poll_seconds)
        if status.state == "failed":
            raise SystemExit(f"the job {request.name} failed:\n{launcher.logs(job)}")
        return launcher.cost(job)

    return run_job


def main(recipe: str, reference: str, folder: str, to: str | None) -> None:
    """Run, and print the partitions and the seconds as JSON."""
    started = time.perf_counter()
    lake = Lake.open(f"{folder}/lake")
    made = run_all(recipe, Lake.open(reference), lake, Path(folder) / "scratch", to)
    print(json.dumps({"seconds": time.perf_counter() - started, "partitions": made}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
