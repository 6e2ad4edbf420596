"""``kill -9`` of the processes of a deployment while they work: each is started again, and the lake is that of a quiet run.

``TOKKA_FAULT_SEED`` says in which order and when they are killed.
"""

import random
import time
from pathlib import Path

import dagster as dg
import pytest

from assets.lake import Lake
from tests.deployment import MACHINE, SERVICES, Deployment
from tests.faults.test_kill import SEED, digests
from tests.workplace import small_workplace

ASSETS, SOURCES = ("raw_corpus", "clean_corpus"), ("small_fi", "small_pairs")


@pytest.fixture
def deployment(tmp_path: Path):
    made = Deployment(small_workplace(tmp_path))
    yield made
    made.stop()


def test_what_is_killed_and_started_again_loses_nothing_and_does_nothing_twice(finished, deployment):
    draw = random.Random(SEED)
    quiet = digests(finished.place.lake)
    wanted = {(asset, key): quiet[asset, key] for asset in ASSETS for key in SOURCES}
    lake = deployment.place.lake

    def is_done() -> bool:
        return lake.exists() and wanted.items() <= digests(lake).items()

    deployment.start_all()
    for key in SOURCES:
        deployment.materialize(ASSETS, key)
    victims = [*SERVICES, MACHINE, "run worker"]
    draw.shuffle(victims)
    for victim in victims:
        deployment.until(f"a run, before {victim} is killed", lambda: deployment.started("spawn_main") or is_done())
        time.sleep(draw.uniform(0, 4))
        if victim == "run worker":
            for worker in deployment.started("spawn_main"):
                worker.kill()
            continue
        name = "code" if victim == MACHINE else victim
        deployment.kill(name, with_all=victim == MACHINE)
        deployment.start(name)

    deployment.until("the corpora", is_done)
    with dg.DagsterInstance.from_config(str(deployment.place.folder / "home" / "dagster")) as instance:
        # No run is left that nobody carries out, and for whose end the queue would wait.
        deployment.until("the end of all runs", lambda: all(run.is_finished for run in instance.get_runs()))
        succeeded = {run.tags["dagster/partition"] for run in instance.get_runs() if run.is_success}
        assert succeeded == set(SOURCES)
        for asset in ASSETS:
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == set(SOURCES)
    assert digests(lake) == wanted
    opened = Lake.open(str(lake))
    assert not [fault for manifest in opened.manifests() for fault in opened.verify(manifest)]
    assert not list(lake.glob("**/writing.json"))
