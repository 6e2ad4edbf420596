"""``tokka doctor``: what this machine has, and what each missing thing costs."""

import os
import platform
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlparse

from orchestration.cli.context import open_profile
from orchestration.cli.output import print_json, print_table


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. ``costs`` says what its absence costs, and how to get it."""

    what: str
    there: bool
    found: str
    costs: str


def doctor_command(lake: str | None, as_json: bool) -> None:
    """Look, and print what was found."""
    profile = open_profile(lake)
    findings = [
        _python(),
        _cores(),
        _disk(profile.lake_uri),
        _gpus(),
        _docker(),
        _slurm(),
        _s3(profile.lake_uri),
        _evaluation_data(),
        _shared(),
    ]
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    print_table(
        [
            {"what": f.what, "there": f.there, "found": f.found, "what its absence costs": "" if f.there else f.costs}
            for f in findings
        ]
    )


def _python() -> Finding:
    fine = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding("Python 3.11 or 3.12", fine, platform.python_version(), "Tokka is tested with these two only.")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = f"{cores} cores, {memory:.0f} GB of memory"
    return Finding(
        "2 cores, 8 GB", cores >= 2 and memory > 7.5, found, "`mini` trains on 2 ranks; with less it takes longer."
    )


def _disk(lake: str) -> Finding:
    folder = Path(lake) if "://" not in lake else Path.home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(
        "5 GB of disk",
        free > 5,
        f"{free:,.0f} GB free at {folder}",
        "`mini` needs about 1 GB; a full disk stops a run, without loss.",
    )


def _gpus() -> Finding:
    import subprocess

    if shutil.which("nvidia-smi") is None:
        return Finding(
            "GPU", False, "no nvidia-smi", "Pretraining runs on the CPU: enough for `mini`, not for larger models."
        )
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return Finding("GPU", bool(names), "; ".join(names) or done.stderr.strip()[:80], "Pretraining runs on the CPU.")


def _docker() -> Finding:
    costs = "Jobs run as processes of this machine, not in containers."
    try:
        import docker

        client = docker.from_env(timeout=3)
        try:
            return Finding("Docker", True, f"engine {client.version()['Version']}", costs)
        finally:
            client.close()
    except Exception as error:  # every reason why there is no engine is a finding, not a fault
        return Finding("Docker", False, f"no engine ({type(error).__name__})", costs)


def _slurm() -> Finding:
    there = shutil.which("sbatch") is not None
    return Finding("Slurm", there, shutil.which("sbatch") or "no sbatch", "Jobs run on this machine only.")


def _s3(lake: str) -> Finding:
    costs = "The lake is a folder of this machine; for a shared one set TOKKA_LAKE=s3://bucket/prefix (and AWS_ENDPOINT_URL)."
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not lake.startswith("s3://") and not endpoint:
        return Finding("S3", False, "the lake is a folder, no endpoint is set", costs)
    if endpoint:
        address = urlparse(endpoint)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            with socket.create_connection((address.hostname or "", port), timeout=3):
                return Finding("S3", True, f"{address.hostname}:{port} answers", costs)
        except OSError as error:
            return Finding("S3", False, f"{address.hostname}:{port}: {error.strerror or error}", costs)
    return Finding("S3", True, f"{lake.split('/')[2]}, at the default endpoint", costs)


def _evaluation_data() -> Finding:
    folder = os.environ.get("TOKKA_EVAL_DATA", "")
    there = bool(folder) and (Path(folder) / "finbench").is_dir()
    found = (
        folder
        if there
        else "TOKKA_EVAL_DATA names a folder without finbench/"
        if folder
        else "TOKKA_EVAL_DATA is not set"
    )
    return Finding(
        "Evaluation data (FIN-bench)",
        there,
        found,
        "FIN-bench is reported as missing; held-out text and pairs are scored.",
    )


def _shared() -> Finding:
    folder = os.environ.get("TOKKA_SHARED", "")
    there = bool(folder) and Path(folder).is_dir()
    return Finding(
        "Larger corpora (TOKKA_SHARED)",
        there,
        folder or "TOKKA_SHARED is not set",
        "The recipe `mini-rich` cannot run; `mini` can.",
    )
