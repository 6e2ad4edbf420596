"""The sandboxes that are here, and plain processes to show that an attack would work without one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval_jobs.sandbox import Limits, Outcome, Program, run_programs
from tests.engines import Docker, Podman
from tests.eval_jobs.sandbox.attacks import SMALL, Named, Plainly, Run

ENGINES = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("docker", "podman")]


@pytest.fixture(params=["bubblewrap", *ENGINES])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bubblewrap":
        if shutil.which("bwrap") is None:
            pytest.skip("not installed: bwrap (see .ci/run)")
    else:
        engine: Docker | Podman = request.getfixturevalue(f"{request.param}_engine")
        for name, value in engine.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TOKKA_SANDBOX_IMAGE", engine.image)
    return request.param


@pytest.fixture
def run(backend: str) -> Run:
    """Run one program in the sandbox, after the programs ``before`` in the same place."""

    def call(source: str, before: tuple[str, ...] = (), limits: Limits = SMALL) -> Outcome:
        programs = [Program(str(i), text) for i, text in enumerate((*before, source))]
        return list(run_programs(programs, limits, backend, workers=1))[-1]

    return call


@pytest.fixture
def plainly() -> Plainly:
    """What the same program prints without a sandbox."""

    def call(source: str) -> str:
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr

    return call


@pytest.fixture
def named() -> Named:
    """The processes of this machine, in whatever namespace, that gave themselves a name, zombies apart."""

    def call(name: str) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if (folder / "comm").read_text().strip() == name and state != "Z":
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    return call
