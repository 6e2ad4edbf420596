"""``kill -9`` of the processes of a deployment while they work: each is started again, and the lake is that of a quiet run.

``TOKKA_FAULT_SEED`` says in which order and when they are killed.
"""

import json
import random
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from assets.lake import Lake
from tests.faults.test_kill import SEED, digests
from tests.servers import free_ports
from tests.workplace import Workplace, small_workplace

SERVICES = ("code", "webserver", "daemon")
MACHINE = "code with all that it has started"
"""As where a container ends, or the power fails: nobody is left who could say that a run's process is gone."""
ASSETS, SOURCES = ("raw_corpus", "clean_corpus"), ("small_fi", "small_pairs")
LAUNCH = """
mutation ($wanted: ExecutionParams!) {
  launchPipelineExecution(executionParams: $wanted) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""


class Deployment:
    """Code location, webserver and daemon, each a process that ``tokka serve`` has become."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        code, web = free_ports(2)
        self.ports = {"code": ("--port", str(code)), "webserver": ("--port", str(web)), "daemon": ()}
        self.environment = {"TOKKA_CODE_PORT": str(code)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.log = (place.folder / "services.log").open("wb")

    def start(self, name: str) -> None:
        self.running[name] = subprocess.Popen(
            self.place.command("serve", name, *self.ports[name]), env=self.place.environment | self.environment,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def is_well(self, name: str) -> bool:
        return self.place.tokka("serve", name, "--check", *self.ports[name], **self.environment).returncode == 0

    def kill(self, name: str, with_all: bool = False) -> None:
        """Kill a service by SIGKILL. What it has started lives on, unless ``with_all``."""
        process = psutil.Process(self.running[name].pid)
        for each in [process, *(self.started() if with_all else ())]:
            each.kill()
        self.running[name].wait()

    def started(self, what: str = "") -> list[psutil.Process]:
        """The processes of this workplace that are no service, or those of them whose command line has ``what``."""
        services = {process.pid for process in self.running.values()}
        found = []
        for process in psutil.process_iter(["environ", "cmdline"]):
            ours = (process.info["environ"] or {}).get("TOKKA_HOME") == str(self.place.folder / "home")
            if ours and process.pid not in services and what in " ".join(process.info["cmdline"] or ()):
                found.append(process)
        return found

    def materialize(self, key: str) -> None:
        """Ask for a partition of ASSETS as the UI does."""
        selector = {
            "repositoryLocationName": "tokka", "repositoryName": "__repository__", "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]} for asset in ASSETS],
        }  # fmt: skip
        tags = [{"key": "dagster/partition", "value": key}]
        wanted = {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}}
        body = json.dumps({"query": LAUNCH, "variables": {"wanted": wanted}}).encode()
        where, kind = f"http://127.0.0.1:{self.ports['webserver'][1]}/graphql", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(where, body, kind), timeout=60) as answer:
            said = json.load(answer)
        assert said["data"]["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", said

    def stop(self) -> None:
        for each in self.running.values():
            each.kill()
            each.wait()
        for process in self.started():
            process.kill()
        self.log.close()


@pytest.fixture
def deployment(tmp_path: Path):
    made = Deployment(small_workplace(tmp_path))
    yield made
    made.stop()


def until(what: str, holds: Callable[[], Any], deployment: Deployment, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        said = (deployment.place.folder / "services.log").read_text("utf-8", "replace")[-6000:]
        assert time.monotonic() < deadline, f"{what} did not come in {seconds:.0f} s: {said}"
        time.sleep(0.2)
    return found


def test_what_is_killed_and_started_again_loses_nothing_and_does_nothing_twice(finished, deployment):
    draw = random.Random(SEED)
    quiet = digests(finished.place.lake)
    wanted = {(asset, key): quiet[asset, key] for asset in ASSETS for key in SOURCES}
    lake = deployment.place.lake

    def is_done() -> bool:
        return lake.exists() and wanted.items() <= digests(lake).items()

    deployment.start("code")
    until("the code location", lambda: deployment.is_well("code"), deployment)
    deployment.start("webserver")
    deployment.start("daemon")
    until("the webserver", lambda: deployment.is_well("webserver"), deployment)
    for key in SOURCES:
        deployment.materialize(key)
    victims = [*SERVICES, MACHINE, "run worker"]
    draw.shuffle(victims)
    for victim in victims:
        until(f"a run, before {victim} is killed", lambda: deployment.started("spawn_main") or is_done(), deployment)
        time.sleep(draw.uniform(0, 4))
        if victim == "run worker":
            for worker in deployment.started("spawn_main"):
                worker.kill()
            continue
        name = "code" if victim == MACHINE else victim
        deployment.kill(name, with_all=victim == MACHINE)
        deployment.start(name)

    until("the corpora", is_done, deployment)
    with dg.DagsterInstance.from_config(str(deployment.place.folder / "home" / "dagster")) as instance:
        # No run is left that nobody carries out, and for whose end the queue would wait.
        until("the end of all runs", lambda: all(run.is_finished for run in instance.get_runs()), deployment)
        succeeded = {run.tags["dagster/partition"] for run in instance.get_runs() if run.is_success}
        assert succeeded == set(SOURCES)
        for asset in ASSETS:
            assert instance.get_materialized_partitions(dg.AssetKey(asset)) == set(SOURCES)
    assert digests(lake) == wanted
    opened = Lake.open(str(lake))
    assert not [fault for manifest in opened.manifests() for fault in opened.verify(manifest)]
    assert not list(lake.glob("**/writing.json"))
