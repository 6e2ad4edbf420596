"""How long the Dagster UI takes to list many partitions: ``python -m infra.bench.overhead_ui PARTITIONS [OUTPUT.json]``.

A catalog with so many sources, each of whose partitions of raw_corpus has a materialization in the instance, is served by a real
webserver on loopback. Timed are the GraphQL query that the partitions page of the asset is drawn from and, where Chromium is
installed, the page itself until it lists them.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.bench.measure import BenchError, machine, write

ASSET = "raw_corpus"
TARGET_SECONDS = 2.0
POOL_SOURCES = 100
START_SECONDS = 300
REPEATS = 5
PROJECT = Path(__file__).parents[2]
QUERY = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeysByDimension { name type partitionKeys }
  assetPartitionStatuses { __typename ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions materializingPartitions unmaterializedPartitions } }
  partitionStats { numMaterialized numPartitions numFailed numMaterializing } } } }"""


def key_of(number: int) -> str:
    """Name of a source."""
    return f"source_{number:05d}"


def recipe(partitions: int) -> dict[str, Any]:
    """A recipe of so many sources, which all read one file of the repository."""
    sources = {
        key_of(number): {
            "format": "jsonl",
            "files": "infra/demo/corpora/aptitude_doc_fi.jsonl.gz",
            "language": "fi",
            "cleaning": "documentation",
            "pool": f"pool_{number // POOL_SOURCES:03d}",
        }
        for number in range(partitions)
    }
    return {
        "description": "Many sources.",
        "sources": sources,
        "tokenizer": {"name": "many", "vocab_size": 300, "sources": {"fi": [key_of(0)]}, "sample_bytes": 1000},
        "pair_template": {"instructions": {"fi": "Käännä suomeksi: "}},
        "mixture": {"sources": {key_of(0): {"epochs": 1}}},
        "model": {"layers": 1, "hidden": 8, "heads": 1},
        "training": {
            **{"steps": 2, "sequence_length": 8, "global_batch": 1, "micro_batch": 1},
            **{"lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [2]},
        },
        "tasks": {
            "many_heldout": {
                "kind": "bits_per_character",
                "files": "infra/demo/corpora/heldout_fi.jsonl.gz",
                "language": "fi",
            },
        },
    }


def bench(partitions: int, say: Callable[[str], None], work: Path | None = None) -> dict[str, Any]:
    """Seconds of the query and of the page. Raises BenchError where an answer is not about all partitions."""
    folder = Path(tempfile.mkdtemp(prefix="tokka-bench-ui-", dir=work))
    try:
        (folder / "recipes").mkdir()
        (folder / "recipes" / "many.yaml").write_text(json.dumps(recipe(partitions)), "utf-8")
        dropped = ("DAGSTER_HOME", "TOKKA_LAKE", "TOKKA_PROFILE")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        environment |= {"TOKKA_HOME": str(folder / "home"), "TOKKA_RECIPES": str(folder / "recipes")}
        filled = _timed(lambda: _run([sys.executable, "-m", __spec__.name, "--events", str(partitions)], environment))
        say(f"{partitions} materializations reported in {filled:.1f} s")
        with _webserver(folder, environment, say) as (address, loaded):
            query = [_timed(lambda: _ask(address, partitions)) for _ in range(REPEATS)]
            say("the query: " + ", ".join(f"{seconds:.2f} s" for seconds in query))
            page = _page(address, partitions)
            say("the page: " + (", ".join(f"{seconds:.2f} s" for seconds in page) or "Chromium is not installed"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, Any] = {"machine": machine(), "partitions": partitions, "target_seconds": TARGET_SECONDS}
    result |= {"report_seconds": round(filled, 2), "load_seconds": round(loaded, 2)}
    for name, seconds in (("query", query), ("page", page)):
        if seconds:
            result[name] = {"first": round(seconds[0], 3), "median": round(statistics.median(seconds), 3)}
    return result


def report_events(partitions: int) -> None:
    """Report a materialization of each partition to the instance of the environment."""
    import dagster as dg

    from orchestration.instance import open_instance

    with open_instance() as instance:
        for number in range(partitions):
            metadata: dict[str, str | int] = {
                "version": f"{number:016x}",
                "digest": f"{number:064x}",
                "documents": number,
            }
            instance.report_runless_asset_event(
                dg.AssetMaterialization(ASSET, partition=key_of(number), metadata=metadata)
            )


def _timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=PROJECT)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


@contextlib.contextmanager
def _webserver(folder: Path, environment: dict[str, str], say: Callable[[str], None]) -> Iterator[tuple[str, float]]:
    """A webserver with the graph loaded: its address, and the seconds until then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, started = f"http://127.0.0.1:{port}", time.perf_counter()
    environment = {**environment, "DAGSTER_HOME": str(folder / "home" / "dagster")}
    at = ["-h", "127.0.0.1", "-p", str(port), "-w", str(PROJECT / "workspace.yaml")]
    with (folder / "webserver.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", *at],
            env=environment, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        while True:
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                raise BenchError("the webserver did not start:\n" + (folder / "webserver.log").read_text()[-2000:])
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                if _graphql(address, "{ assetNodes { id } }", {})["assetNodes"]:
                    break
            time.sleep(0.3)
        loaded = time.perf_counter() - started
        say(f"the webserver has loaded the graph after {loaded:.1f} s")
        yield address, loaded
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _graphql(address: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
    if answer.get("errors"):
        raise BenchError(f"the webserver answers: {json.dumps(answer['errors'])[:500]}")
    data: dict[str, Any] = answer["data"]
    return data


def _ask(address: str, partitions: int) -> None:
    """The partitions of the asset with their states, all of them."""
    node = _graphql(address, QUERY, {"key": {"path": [ASSET]}})["assetNodeOrError"]
    keys = node["partitionKeysByDimension"][0]["partitionKeys"]
    done = set(node["assetPartitionStatuses"]["materializedPartitions"])
    if not {key_of(number) for number in range(partitions)} <= done <= set(keys):
        raise BenchError(
            f"the webserver lists {len(keys)} partitions, {len(done)} of them materialized, of {partitions}."
        )


def _page(address: str, partitions: int) -> list[float]:
    """Seconds from asking for the page until it shows how many are materialized, and the first; none without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return []
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(60_000)

        def show() -> None:
            page.goto(f"{address}/assets/{ASSET}?view=partitions", wait_until="commit")
            page.get_by_text(re.compile(rf"Materialized \(({partitions}|{partitions:,})\)")).first.wait_for()
            page.get_by_text(key_of(0)).first.wait_for()

        seconds = [_timed(show) for _ in range(REPEATS)]
        browser.close()
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "--events":
        report_events(int(sys.argv[2]))
    else:
        found = bench(int(sys.argv[1]), lambda line: print(line, flush=True))
        if len(sys.argv) > 2:
            write(found, Path(sys.argv[2]))
