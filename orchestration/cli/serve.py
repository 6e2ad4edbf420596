"""``tokka serve``: the processes of a deployment, each in the foreground, and the question whether one is well."""

import math
import os
import sys
import time
import urllib.error
import urllib.request

from orchestration.cli.output import err, fail

PROCESSES = ("code", "webserver", "daemon")
WORKSPACE = "infra/dagster/workspace.yaml"
PORTS = {"code": 4000, "webserver": 3000}
_ANSWER_SECONDS = 10
_SILENT_SECONDS = 300
"""The daemon's parts report every 30 s, and a long tick may delay that."""


def serve_command(what: str, host: str, port: int | None, check: bool) -> None:
    """Replace this process by one of Dagster's, or say whether one is well here (exit code 0 or 1)."""
    if what not in PROCESSES:
        fail(f"there is no process {what!r}; there are {', '.join(PROCESSES)}.")
    os.environ.setdefault("TOKKA_CODE_HOST", "127.0.0.1")
    os.environ.setdefault("TOKKA_CODE_PORT", str(PORTS["code"]))
    if what != "daemon":
        port = port or (int(os.environ["TOKKA_CODE_PORT"]) if what == "code" else PORTS["webserver"])
    if check:
        said = _trouble(what, port)
        if said:
            err.print(f"{what}: {said}", markup=False)
        sys.exit(1 if said else 0)
    from assets.recipe.load import PROJECT
    from orchestration.cli.context import open_instance, open_profile
    from orchestration.run_workers import requeue_lost_runs

    open_profile()
    # Opened once before, so that what is wrong with the storage is one sentence; tables are made here, too.
    with open_instance() as instance:
        if what == "code":
            requeue_lost_runs(instance)
    os.chdir(PROJECT)
    os.execv(sys.executable, [sys.executable, "-m", *_command(what, host, port)])


def _command(what: str, host: str, port: int | None) -> list[str]:
    at = ["-h", host, "-p", str(port)]
    match what:
        case "code":
            # A reload in the UI reads recipes and code again, in a new process beside the one whose runs go on.
            return ["dagster", "code-server", "start", *at, "-m", "orchestration.definitions"]
        case "webserver":
            return ["dagster_webserver", *at, "-w", WORKSPACE]
        case _:
            return ["dagster._daemon", "run", "-w", WORKSPACE]


def _trouble(what: str, port: int | None) -> str:
    """What is wrong with the process on this machine, or nothing."""
    match what:
        case "webserver":
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=_ANSWER_SECONDS):
                    return ""
            except (OSError, urllib.error.URLError) as error:
                return f"nothing answers on port {port}: {error}"
        case "code":
            return code_trouble("127.0.0.1", port)
        case _:
            return late_daemons()


def code_trouble(host: str, port: int | None) -> str:
    """What is wrong with a code location's server, or nothing."""
    import grpc
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(service="DagsterApi"), timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            return f"no code location answers on {host}:{port} ({error.code().name.lower()})"
    return (
        ""
        if answer.status == HealthCheckResponse.SERVING
        else f"the code location on {host}:{port} is starting or ending"
    )


def late_daemons() -> str:
    """Which parts of the daemon have not reported for minutes, by the instance's storage, or nothing."""
    from orchestration.cli.context import open_instance

    with open_instance() as instance:
        needed, reported = instance.get_required_daemon_types(), instance.get_daemon_heartbeats()
    age = {name: time.time() - reported[name].timestamp for name in needed if name in reported}
    late = sorted(name.lower() for name in needed if age.get(name, math.inf) > _SILENT_SECONDS)
    if not late:
        return ""
    last = f"the last sign of life is {min(age.values()) / 60:,.0f} minutes old" if age else "there never was one"
    return f"the daemon's parts {', '.join(late)} do not report; {last}"
