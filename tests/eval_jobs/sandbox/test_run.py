"""Programs one by one and many together, and what is said where there is no sandbox."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_jobs.sandbox import Limits, Outcome, Program, SandboxError, SandboxUnavailableError, available, run_programs
from eval_jobs.sandbox.containers import client_of
from tests.workplace import let_others_through

ROOT = Path(__file__).parents[3]


def test_outcomes_come_in_the_order_of_the_programs(backend: str) -> None:
    programs = [
        Program(f"p{i}", f"import time\ntime.sleep({0.2 if i % 5 == 0 else 0})\nprint({i})\nassert {i} % 3\n")
        for i in range(12)
    ]
    outcomes = list(run_programs(programs, Limits(), backend, workers=3))
    assert [outcome.id for outcome in outcomes] == [program.id for program in programs]
    assert [outcome.status for outcome in outcomes] == ["failed" if i % 3 == 0 else "passed" for i in range(12)]
    assert [outcome.exit_code for outcome in outcomes] == [int(i % 3 == 0) for i in range(12)]
    assert all(str(i) in outcome.output.split() for i, outcome in enumerate(outcomes))


def test_what_a_failure_says(backend: str) -> None:
    source = "def f(x):\n    return x + 1\n\nprint('before')\nassert f(1) == 3, 'two is not three'\n"
    (outcome,) = run_programs([Program("a", source)], Limits(), backend)
    assert outcome.output == (
        "before\nTraceback (most recent call last):\n"
        '  File "program.py", line 5, in <module>\n'
        "    assert f(1) == 3, 'two is not three'\n           ^^^^^^^^^\nAssertionError: two is not three\n"
    )


def test_programs_have_the_standard_library(backend: str) -> None:
    source = """
import collections, ctypes, dataclasses, datetime, decimal, hashlib, heapq, itertools, json, math, random, re, sqlite3, statistics
import subprocess, sys, tempfile, threading, typing, unittest, zoneinfo
@dataclasses.dataclass
class A:
    x: int
assert A(1) == A(1) and __name__ == "__main__" and sys.modules["__main__"].A is A
with tempfile.TemporaryDirectory() as folder:
    open(folder + "/a", "w").write("b")
try:
    import numpy
    raise AssertionError("packages of the sandbox's Python are not for programs")
except ImportError:
    pass
try:
    input()
except EOFError:
    print("no input")
"""
    (outcome,) = run_programs([Program("a", source)], Limits(), backend)
    assert (outcome.status, outcome.output) == ("passed", "no input\n")


def test_hashes_are_the_same_each_time(backend: str) -> None:
    programs = [Program(str(i), "print(hash('a'), list({'x', 'y', 'z'}))") for i in range(3)]
    assert len({outcome.output for outcome in run_programs(programs, Limits(), backend)}) == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=2), st.integers(0, 255))
def test_whatever_is_printed_is_output_and_nothing_else(said: list[str], code: int) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("not installed: bwrap (see .ci/run)")
    source = f"import sys\nfor said in {said!r}:\n    sys.stdout.buffer.write(said.encode())\nsys.exit({code})\n"
    (outcome,) = run_programs([Program("a", source)], Limits(), "bubblewrap")
    assert outcome.output == "".join(said)
    assert outcome.exit_code == code and outcome.status == ("killed" if code > 128 else "failed")


def test_no_programs(backend: str) -> None:
    assert list(run_programs([], Limits(), backend)) == []


def test_stopping_early_leaves_nothing(backend: str) -> None:
    outcomes = run_programs([Program(str(i), "print(1)") for i in range(50)], Limits(), backend, workers=2)
    assert isinstance(next(outcomes), Outcome)
    outcomes.close()  # type: ignore[attr-defined]
    if backend != "bubblewrap":
        with contextlib.closing(client_of(backend, 60)) as client:
            assert client.containers.list(all=True, filters={"label": "tokka.sandbox"}) == []


def test_a_program_that_was_not_started_has_no_verdict(backend: str) -> None:
    with pytest.raises(SandboxError, match=r"(?s)did not start the program 'a'.*Nothing is known"):
        list(run_programs([Program("a", "")], Limits(file_bytes=1 << 70), backend))


def test_an_unknown_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no sandbox 'chroot'.*docker, podman, bubblewrap"):
        available("chroot")
    monkeypatch.setenv("TOKKA_SANDBOX", "none")
    with pytest.raises(ValueError, match="no sandbox 'none'"):
        list(run_programs([Program("a", "")], Limits()))


def test_without_a_sandbox_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(name, f"unix://{tmp_path}/nobody.sock")
    mark = tmp_path / "ran"
    with pytest.raises(
        SandboxUnavailableError, match=r"docker: no engine.*podman: no engine.*apt-get install bubblewrap"
    ):
        next(run_programs([Program("a", f"open({str(mark)!r}, 'w')")], Limits()))
    assert not mark.exists()


def test_a_bwrap_that_cannot_make_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailableError, match=r"No permissions to create new namespace.*user namespaces"):
        available("bubblewrap")


def test_an_engine_without_the_image(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "bubblewrap":
        pytest.skip("about containers")
    monkeypatch.setenv("TOKKA_SANDBOX_IMAGE", "nobody/built-this:1")
    with pytest.raises(SandboxUnavailableError, match=r"no image 'nobody/built-this:1'.*infra/docker/Dockerfile"):
        available(backend)


def test_bubblewrap_without_root(tmp_path: Path) -> None:
    """A user without rights gets user namespaces: Debian's Python runs the package, which needs the standard library alone."""
    python = "/usr/bin/python3"
    wanted = subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    if os.getuid() or wanted.returncode or shutil.which("bwrap") is None:
        pytest.skip("needs root, to become another user, bwrap, and a Python of the system")
    source = """
import os, sys
sys.path.insert(0, os.getcwd())
from eval_jobs.sandbox import *
attack = '''
import contextlib
import os
print(os.getuid(), sorted(os.listdir("/")))
for pid in (1, os.getppid()):
    os.kill(pid, 9)
print("alive")
for path in ("/proc/1/root/etc/passwd", "/dev/shm/x", "/python/x", "/python/lib/python3.11/x", "/x", "/proc/1/environ"):
    try:
        print(path, open(path, "r" if "passwd" in path or "environ" in path else "w").read())
    except OSError as error:
        print(path, error.errno)
'''
for o in run_programs([Program("a", attack), Program("b", "x = [0] * 10**9")], Limits(), "bubblewrap"):
    print(o.status, o.output)
print(available("bubblewrap").found)
"""
    package = tmp_path / "eval_jobs"
    subprocess.run(["cp", "-r", str(ROOT / "eval_jobs"), str(package)], check=True)
    let_others_through(tmp_path)
    done = subprocess.run(
        [python, "-B", "-c", source],
        user=12345, group=12345, extra_groups=[], env={"PATH": os.environ["PATH"], "SECRET": "of the user"}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "passed 65534 ['dev', 'etc', 'lib', 'lib64', 'proc', 'python', 'tmp', 'usr']"
    assert said[1] == "alive"
    assert [line.split()[-1] for line in said[2:6]] == ["2", "30", "30", "30"]
    assert "of the user" not in done.stdout
    assert said[-2].startswith("memory") and said[-1].endswith("in user namespaces")


def test_the_package_needs_no_heavy_library() -> None:
    source = "import sys\nimport eval_jobs.sandbox\nfrom eval_jobs.sandbox import bubblewrap, containers\n"
    source += "print(sorted({'torch', 'lm_eval', 'pydantic', 'docker', 'numpy'} & set(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
