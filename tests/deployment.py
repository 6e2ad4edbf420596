"""Code location, webserver and daemon over a workplace, as a deployment has them: started, killed, started again, asked."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from tests.servers import free_ports
from tests.workplace import Workplace

SERVICES = ("code", "webserver", "daemon")
MACHINE = "code with all that it has started"
"""As where a container ends, or the power fails: nobody is left who could say that a run's process is gone."""
LAUNCH = """
mutation ($wanted: ExecutionParams!) {
  launchPipelineExecution(executionParams: $wanted) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
BACKFILL = """
mutation ($wanted: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $wanted) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""


class Deployment:
    """The services, each a process that ``tokka serve`` has become."""

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

    def start_all(self) -> None:
        """All services; the code location and the webserver answer when this returns."""
        self.start("code")
        self.until("the code location", lambda: self.is_well("code"))
        self.start("webserver")
        self.start("daemon")
        self.until("the webserver", lambda: self.is_well("webserver"))

    def is_well(self, name: str) -> bool:
        return self.place.tokka("serve", name, "--check", *self.ports[name], **self.environment).returncode == 0

    def kill(self, name: str, with_all: bool = False) -> None:
        """Kill a service by SIGKILL. What it has started lives on, unless ``with_all``."""
        process = psutil.Process(self.running[name].pid)
        for each in [process, *(self.started() if with_all else ())]:
            each.kill()
        self.running[name].wait()

    def started(self, *what: str) -> list[psutil.Process]:
        """The processes of this workplace that are no service, or those of them whose command line has one of ``what``."""
        services = {process.pid for process in self.running.values()}
        found = []
        for process in psutil.process_iter(["environ", "cmdline"]):
            ours = (process.info["environ"] or {}).get("TOKKA_HOME") == str(self.place.folder / "home")
            command = " ".join(process.info["cmdline"] or ())
            if ours and process.pid not in services and any(part in command for part in what or ("",)):
                found.append(process)
        return found

    def materialize(self, assets: Iterable[str], key: str) -> None:
        """Ask for a partition of ``assets`` as the UI does."""
        selector = {
            "repositoryLocationName": "tokka", "repositoryName": "__repository__", "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]} for asset in assets],
        }  # fmt: skip
        tags = [{"key": "dagster/partition", "value": key}]
        said = self.ask(LAUNCH, {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}})
        assert said["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", said

    def backfill(self, partitions: Iterable[tuple[str, str]]) -> str:
        """Ask for the partitions of many assets as the UI does; the id of the backfill that the daemon carries out.

        Raises OSError where the webserver does not answer, or has no code location at the moment.
        """
        keys: dict[str, list[dict[str, str]]] = {}
        for asset, key in sorted(partitions):
            keys.setdefault(asset, []).append({"start": key, "end": key})
        wanted = [{"assetKey": {"path": [a]}, "partitions": {"ranges": ranges}} for a, ranges in keys.items()]
        said = self.ask(BACKFILL, {"partitionsByAssets": wanted})
        found = (said or {}).get("launchPartitionBackfill") or {}
        if found.get("__typename") != "LaunchBackfillSuccess":
            raise OSError(f"no backfill was started: {said}")
        return str(found["backfillId"])

    def ask(self, query: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """The data of the webserver's answer. Raises OSError where it does not answer."""
        body = json.dumps({"query": query, "variables": {"wanted": wanted}}).encode()
        where, kind = f"http://127.0.0.1:{self.ports['webserver'][1]}/graphql", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(where, body, kind), timeout=60) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def until(self, what: str, holds: Callable[[], Any], seconds: float = 240) -> Any:
        """Wait until something holds, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            said = (self.place.folder / "services.log").read_text("utf-8", "replace")[-6000:]
            assert time.monotonic() < deadline, f"{what} did not come in {seconds:.0f} s: {said}"
            time.sleep(0.2)
        return found

    def stop(self) -> None:
        for each in self.running.values():
            each.kill()
            each.wait()
        for process in self.started():
            process.kill()
        self.log.close()
