"""``kill -9`` over the whole graph of a recipe, which a deployment makes: webserver, daemon, code location, run workers and jobs.

    TOKKA_FAULT_TRIALS=50 pytest -s tests/faults/test_whole_graph.py

``TOKKA_FAULT_RECIPE`` is the recipe, by default ``mini``; ``TOKKA_FAULT_SEED`` says which moments and victims are drawn, and
``TOKKA_FAULT_SECONDS`` how long a pause between two kills may be. A lake that is whole is followed by another one, until there
were so many kills. ``TOKKA_FAULT_LAKE`` names a lake in which the recipe was run undisturbed; without it that is done first.
``TOKKA_FAULT_FROM`` is the asset up to which all is there before the first kill, by default ``benchmark``; with ``mixture`` the
kills meet the training, the checkpoints and the scores.
"""

import os
import random
import shutil
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest

from assets.graph import BY_ASSET
from assets.lake import Lake
from tests.deployment import MACHINE, SERVICES, Deployment
from tests.faults.test_kill import SEED, digests
from tests.workplace import Workplace, small_workplace

TRIALS = int(os.environ.get("TOKKA_FAULT_TRIALS", "0"))
RECIPE = os.environ.get("TOKKA_FAULT_RECIPE", "mini")
KEPT = os.environ.get("TOKKA_FAULT_LAKE")
FROM = os.environ.get("TOKKA_FAULT_FROM", "benchmark")
LONGEST = float(os.environ.get("TOKKA_FAULT_SECONDS", "60"))
"""Seconds between two kills, at most."""
WORKER, JOB = "run worker", "job"
JOBS = ("training_jobs.", "eval_jobs.")
ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}
QUIET_SECONDS = 3_600
"""So long the rest of a lake may take after the last kill, on a machine that does other work beside it."""

Partitions = dict[tuple[str, str], str]


def workplace(folder: Path) -> Workplace:
    """A workplace for the recipe; what another recipe of it evaluates would be searched for in the corpora too."""
    if RECIPE == "small":
        return small_workplace(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Workplace(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Partitions:
    """The digests of the recipe's partitions as a quiet ``tokka run`` makes them."""
    if KEPT:
        return digests(Path(KEPT))
    place = workplace(tmp_path_factory.mktemp("undisturbed"))
    result = place.tokka("run", RECIPE)
    assert result.returncode == 0, result.stderr
    return digests(place.lake)


class Journey:
    """A deployment on its way to the whole graph. Whoever has asked for it asks again where that came to nothing."""

    def __init__(self, folder: Path, wanted: Partitions) -> None:
        self.place, self.wanted = workplace(folder), wanted
        before = list(BY_ASSET)[: list(BY_ASSET).index(FROM) + 1]
        for asset in before if KEPT else ():
            shutil.copytree(Path(KEPT) / asset, self.place.lake / asset)
        done = self.place.tokka("run", RECIPE, "--to", FROM)
        assert done.returncode == 0, done.stderr
        self.deployment = Deployment(self.place)
        self.deployment.start_all()
        self.instance = dg.DagsterInstance.from_config(str(self.place.folder / "home" / "dagster"))
        self.asked, self.backfill, self.refused = 0, "", ""

    def missing(self) -> set[tuple[str, str]]:
        """The partitions that are not there, or not judged, or of which Dagster does not know."""
        missing = set(self.wanted)
        if not self.place.lake.exists():
            return missing
        lake = Lake.open(str(self.place.lake))
        known = {
            asset: self.instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in {a for a, _ in missing}
        }
        for made in lake.manifests():
            judged = BY_ASSET[made.asset].gate is None or lake.receipt(made) is not None
            if judged and made.partition in known[made.asset]:
                missing.discard((made.asset, made.partition))
        return missing

    def go_on(self) -> bool:
        """Ask for what is missing where nobody works on it; whether all is there."""
        asked = self.instance.get_backfill(self.backfill) if self.backfill else None
        if asked is not None and asked.status.value not in ENDED:
            return False
        missing = self.missing()
        if not missing:
            return all(run.is_finished for run in self.instance.get_runs())
        try:
            self.backfill = self.deployment.backfill(missing)
            self.asked += 1
        except OSError as error:  # the webserver or the code location was killed a moment ago
            self.refused = str(error)
        return False

    def wait(self, seconds: float) -> bool:
        """Let it work for so long; whether all is there before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.go_on():
                return True
            time.sleep(1)
        return False

    def kill(self, draw: random.Random) -> str:
        """Kill one of what is there, and start a service again; who it was."""
        workers, jobs = self.deployment.started("spawn_main"), self.deployment.started(*JOBS)
        victims = [*SERVICES, MACHINE, *[WORKER] * bool(workers) * 2, *[JOB] * bool(jobs) * 4]
        victim = draw.choice(victims)
        if victim in (WORKER, JOB):
            # Of a job one process, such as a rank: the others have to notice.
            chosen, name = workers if victim == WORKER else [draw.choice(jobs)], "gone"
            for process in chosen:
                try:
                    name = next((part for part in process.cmdline() if part.startswith(JOBS)), process.name())
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            return victim if victim == WORKER else f"{victim} ({name})"
        name = "code" if victim == MACHINE else victim
        self.deployment.kill(name, with_all=victim == MACHINE)
        self.deployment.start(name)
        return victim

    def check(self) -> int:
        """Nothing that is visible is half, twice or other than it was; how many versions there are."""
        if not self.place.lake.exists():
            return 0
        made = digests(self.place.lake)
        assert made.items() <= self.wanted.items(), {
            name: digest for name, digest in made.items() if self.wanted.get(name) != digest
        }
        lake = Lake.open(str(self.place.lake))
        assert not [fault for manifest in lake.manifests() for fault in lake.verify(manifest)]
        return len(made)

    def end(self) -> None:
        """What must hold when all is there."""
        assert digests(self.place.lake) == self.wanted
        assert self.check() == len(self.wanted)
        assert not list(self.place.lake.glob("**/writing.json"))
        for asset in {asset for asset, _ in self.wanted}:
            keys = {key for a, key in self.wanted if a == asset}
            assert self.instance.get_materialized_partitions(dg.AssetKey(asset)) == keys
        assert not self.deployment.started(*JOBS)
        self.stop()
        again = self.place.tokka("run", RECIPE)
        assert "nothing to do" in again.stdout, again.stdout + again.stderr

    def stop(self) -> None:
        self.deployment.stop()
        self.instance.dispose()


@pytest.mark.skipif(
    not TRIALS, reason="TOKKA_FAULT_TRIALS does not say how often to kill; 50 times take most of an hour"
)
@pytest.mark.timeout(0)
def test_whatever_is_killed_the_graph_ends_with_the_same_digests(undisturbed, tmp_path):
    draw, killed, lakes = random.Random(SEED), 0, 1
    started = time.monotonic()
    journey = Journey(tmp_path / "1", undisturbed)
    try:
        while True:
            pause = draw.uniform(1, LONGEST) if killed < TRIALS else QUIET_SECONDS
            if journey.wait(pause):
                journey.end()
                print(f"{time.monotonic() - started:6.0f} s  lake {lakes} is whole; asked for {journey.asked} times")
                if killed >= TRIALS:
                    return
                lakes += 1
                journey = Journey(tmp_path / str(lakes), undisturbed)
                continue
            assert killed < TRIALS, f"lake {lakes} is not whole: {sorted(journey.missing())} {journey.refused}"
            killed += 1
            victim = journey.kill(draw)
            seconds = time.monotonic() - started
            made = journey.check()
            print(
                f"{seconds:6.0f} s  seed {SEED}, kill {killed}, lake {lakes}: {victim}, {made} of {len(undisturbed)} versions"
            )
    finally:
        journey.stop()
