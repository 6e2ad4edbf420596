"""``tokka doctor``: what this machine has, and what each missing thing costs."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlparse

from assets.lake.machine import cores
from assets.recipe.load import PROJECT
from orchestration.cli.context import open_profile
from orchestration.cli.deployment import Finding, instance_findings, lake_finding, listening_finding, secrets_finding
from orchestration.cli.output import print_json, print_table


def doctor_command(lake: str | None, profile_name: str | None, as_json: bool) -> None:
    """Look, and print what was found."""
    profile = open_profile(lake, name=profile_name)
    findings = [
        _python(),
        _versions(),
        _cores(),
        _disk(profile.lake_uri, profile.scratch_folder),
        lake_finding(profile.lake_uri),
        *instance_findings(),
        listening_finding(),
        secrets_finding(),
        _gpus(),
        _docker(),
        _slurm(),
        _s3(profile.lake_uri),
        _sandbox(),
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
    usable = cores()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = f"{usable} cores, {memory:.0f} GB of memory"
    return Finding(
        "2 cores, 8 GB", usable >= 2 and memory > 7.5, found, "`mini` trains on 2 ranks; with less it takes longer."
    )


def _versions() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    wrong = []
    for line in _requirements():
        wanted = Requirement(line)
        if wanted.marker is not None:
            continue
        try:
            there = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is not installed")
            continue
        if not wanted.specifier.contains(there.split("+")[0], prereleases=True):
            wrong.append(f"{wanted.name} {there}, wanted {wanted.specifier}")
    return Finding(
        "Packages",
        not wrong,
        "; ".join(wrong) or f"dagster {version('dagster')} and all others within their bounds",
        "Steps that need them fail, or give other bytes; `make setup`, or the image of this release, has them. The "
        "orchestrator's image has none of torch, NeMo and lm-eval: its jobs run in other images.",
    )


def _requirements() -> list[str]:
    """The project's dependencies."""
    import tomllib

    with (PROJECT / "pyproject.toml").open("rb") as stream:
        dependencies: list[str] = tomllib.load(stream)["project"]["dependencies"]
    return dependencies


def _disk(lake: str, scratch: str) -> Finding:
    """The fullest of the file systems that lake, scratch folder and temporary files lie on."""
    folders = [Path(scratch), Path(tempfile.gettempdir()), *([Path(lake)] if "://" not in lake else [])]
    free: dict[Path, float] = {}
    for wanted in folders:
        folder = wanted
        while not folder.exists():
            folder = folder.parent
        free[folder] = shutil.disk_usage(folder).free / 1e9
    least = min(free, key=lambda folder: free[folder])
    return Finding(
        "5 GB of disk",
        free[least] > 5,
        f"{free[least]:,.0f} GB free at {least}",
        "`mini` needs about 1 GB; a full disk stops a run, without loss. `tokka lake ls` shows what lies in the lake.",
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
    costs = "`--launcher docker` cannot run jobs in containers; start an engine, and name it by DOCKER_HOST."
    try:
        import docker

        client = docker.from_env(timeout=3)
        try:
            version = client.version()
            gpus = "nvidia" in client.info().get("Runtimes", {})
            return Finding("Docker", True, f"engine {version['Version']}, {'with' if gpus else 'without'} GPUs", costs)
        finally:
            client.close()
    except Exception as error:  # every reason why there is no engine is a finding, not a fault
        return Finding("Docker", False, f"no engine ({type(error).__name__})", costs)


def _slurm() -> Finding:
    import subprocess

    costs = (
        "`--launcher slurm` cannot submit jobs; it needs sbatch on the PATH and a cluster that answers (SLURM_CONF)."
    )
    if shutil.which("sbatch") is None:
        return Finding("Slurm", False, "no sbatch", costs)
    try:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%D %P"], capture_output=True, text=True, check=False, timeout=10
        )  # nodes and partition
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Slurm", False, f"sbatch, but no cluster answers ({type(error).__name__})", costs)
    if done.returncode or not done.stdout.strip():
        said = done.stderr.strip().splitlines()[:1]
        return Finding("Slurm", False, "sbatch, but no cluster answers" + (f": {said[0][:80]}" if said else ""), costs)
    partitions = [line.split() for line in done.stdout.splitlines() if line.strip()]
    return Finding("Slurm", True, "; ".join(f"{nodes} nodes in {name}" for nodes, name in partitions), costs)


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


def _sandbox() -> Finding:
    from eval_jobs.sandbox import SandboxUnavailableError, available

    costs = "Code tasks (HumanEval, MBPP) are reported as failed: "
    try:
        return Finding("Sandbox for generated code", True, available().found, costs)
    except (SandboxUnavailableError, ValueError) as error:
        return Finding("Sandbox for generated code", False, "none", costs + str(error))


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
