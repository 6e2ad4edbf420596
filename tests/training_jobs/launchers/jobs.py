"""Trivial jobs, and what one does with them under any launcher."""

import os
import textwrap
import time
from pathlib import Path

from assets.recipe.jobs import JobRequest, JobStatus, Launcher

MODULES = {
    "hello": """
        import os, sys
        rank, ranks = os.environ.get("RANK", "none"), os.environ.get("WORLD_SIZE", "1")
        said = ["rank", rank, "of", ranks, sys.argv[1].split("/")[-1] + chr(10)]
        said += [os.environ["GREETING"], os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"] + chr(10)]
        # In one piece: ranks share the log, and without a buffer print writes word by word.
        os.write(1, " ".join(said).replace(chr(10) + " ", chr(10)).encode())
    """,
    "fails": """
        import os, sys, time
        if os.environ.get("RANK", "0") == "1":
            sys.exit(4)
        time.sleep(60 if "RANK" in os.environ else 0)
        sys.exit(3)
    """,
    "stubborn": """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
        time.sleep(600)
    """,
    "waits": """
        import time
        print("waiting", flush=True)
        time.sleep(600)
    """,
    # Ranks that meet where the launcher says, wait for a file beside the specification, and leave with 75 when asked to.
    "meets": """
        import json, os, pathlib, signal, socket, sys, time
        signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
        rank, ranks, place = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), os.environ["MASTER_ADDR"]
        own, port = [rank, os.environ.get("SLURMD_NODENAME", "")], int(os.environ["MASTER_PORT"])
        if rank == 0:
            server = socket.create_server((place, port))
            seen = [own] + [json.loads(server.accept()[0].makefile().readline()) for _ in range(ranks - 1)]
            print("met", sorted(seen), flush=True)
        else:
            for _ in range(600):
                try:
                    peer = socket.create_connection((place, port))
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            peer.sendall((json.dumps(own) + chr(10)).encode())
        go = pathlib.Path(sys.argv[1]).with_suffix(".go")
        while not go.exists():
            time.sleep(0.05)
        os._exit(0)
    """,
    # Two parts that may be done first, and the whole, which finds what is done.
    "parts": """
        import os, pathlib, sys
        folder, part = pathlib.Path(sys.argv[1]).parent, os.environ.get("TOKKA_PART", "")
        if part:
            (folder / ("kept-" + part.replace("/", "-of-"))).write_text(os.environ.get("DAGSTER_PIPES_CONTEXT", "no pipes"))
        else:
            print("kept", *((kept.name, kept.read_text()) for kept in sorted(folder.glob("kept-*"))))
    """,
    "eats": """
        eaten = []
        while True:
            eaten.append(bytearray(20_000_000))
    """,
    "looks": """
        import os, socket
        print("uid", os.getuid(), "networks", os.listdir("/sys/class/net"), "secret", len(os.environ.get("SECRET_WORD", "")))
        print([line for line in open("/proc/self/status").read().splitlines() if line.startswith("CapEff")])
        try:
            open("/usr/bin/mine", "w")
        except OSError as error:
            print(error.strerror)
    """,
}


def write_modules(folder: Path) -> Path:
    """The modules as files, ``tokka_test_NAME.py``."""
    for name, source in MODULES.items():
        (folder / f"tokka_test_{name}.py").write_text(textwrap.dedent(source))
    folder.chmod(0o755)
    return folder


def request(modules: Path, folder: Path, name: str, ranks: int = 0, **fields: object) -> JobRequest:
    """A request for a module of MODULES; with ``ranks`` a distributed one."""
    path = os.pathsep.join([str(modules), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    values = {
        "name": name,
        "module": f"tokka_test_{name}",
        "spec": folder / "spec.json",
        "ranks": max(1, ranks),
        "distributed": ranks > 0,
        "environment": {"PYTHONPATH": path, "GREETING": "hei"},
        "log": folder / "job.log",
    }
    return JobRequest.model_validate(values | fields)


def ended(launcher: Launcher, job: str, seconds: float = 120) -> JobStatus:
    deadline = time.monotonic() + seconds
    while not (status := launcher.poll(job)).ended:
        assert time.monotonic() < deadline, f"{status}: {launcher.logs(job)}"
        time.sleep(0.05)
    return status


def printed(launcher: Launcher, job: str, text: str, seconds: float = 120, times: int = 1) -> str:
    """Wait until a job has printed a text so many times; its log."""
    deadline = time.monotonic() + seconds
    while (log := launcher.logs(job)).count(text) < times:
        assert time.monotonic() < deadline, f"{launcher.poll(job)}: {log}"
        time.sleep(0.05)
    return log


def until(launcher: Launcher, job: str, state: str, seconds: float = 60) -> JobStatus:
    """Wait for a state of a job."""
    deadline = time.monotonic() + seconds
    while (status := launcher.poll(job)).state != state:
        assert time.monotonic() < deadline and not status.ended, f"{status}: {launcher.logs(job)}"
        time.sleep(0.05)
    return status


SUBMIT = (
    "import sys; from assets.recipe.jobs import JobRequest; from assets.recipe.launchers import Launchers; "
    "from orchestration.profile import Profile; "
    "profile = Profile(lake_uri='', launcher_name=sys.argv[1], launchers=Launchers.model_validate_json(sys.argv[2]), "
    "data_engine='', scratch_folder=''); print(profile.launcher().submit(JobRequest.model_validate_json(sys.argv[3])))"
)
"""A process that submits a job and is gone: launcher, settings, request."""
