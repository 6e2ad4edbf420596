"""The launcher for Kubernetes: manifests against the schema, the pods' commands run as processes; there is no cluster here."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from assets.recipe.jobs import JobRequest
from assets.recipe.launchers import Claim, KubernetesOptions
from tests.training_jobs.launchers.jobs import ended, printed, request
from training_jobs.launchers.kubernetes import KubernetesLauncher, manifests_path
from training_jobs.launchers.records import events_path, read_record

VERSIONS = ("1.29.0", "1.37.0")


def options(folder: Path, **fields: Any) -> KubernetesOptions:
    values = {
        "image": f"registry.example.org/tokka@sha256:{'0' * 64}",
        "python": sys.executable,
        "namespace": "training",
        "ranks_per_node": 1,
        "cpus": 4,
        "memory": "16g",
        "volumes": (Claim(claim="tokka", path=str(folder.parent)),),
        "poll_seconds": 0.1,
        "grace_seconds": 20.0,
        "secrets": ("lake-keys",),
        "node_selector": {"gpu": "h100"},
    }
    return KubernetesOptions.model_validate(values | fields)


def wanted(modules: Path, folder: Path, name: str, ranks: int = 0, **fields: Any) -> JobRequest:
    return request(modules, folder, name, ranks, spec=folder / "spec.json", **fields)


def documents(job: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifests_path(job).read_text("utf-8")))


Apply = Callable[[str], list[subprocess.Popen[bytes]]]


@pytest.fixture
def apply() -> Iterator[Apply]:
    """What a cluster would do with the Job: start its pods' command once per index, with the manifest's environment.

    Names of pods mean nothing on this machine, so the ranks meet on loopback.
    """
    started: list[subprocess.Popen[bytes]] = []

    def run(job: str) -> list[subprocess.Popen[bytes]]:
        spec = documents(job)[-1]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        given = {entry["name"]: entry["value"] for entry in container["env"]}
        for index in range(spec["completions"]):
            address = {"MASTER_ADDR": "127.0.0.1"} if "MASTER_ADDR" in given else {}
            env = {"PATH": os.environ["PATH"], **given, **address, "JOB_COMPLETION_INDEX": str(index)}
            folder = container["workingDir"]
            started.append(subprocess.Popen(container["command"], env=env, cwd=folder, start_new_session=True))
        return started

    yield run
    for process in started:
        gone(process)


def gone(pod: "subprocess.Popen[bytes]") -> None:
    """End a pod with all of its processes at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pod.pid, signal.SIGKILL)
    pod.wait()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("ranks", "gpus"), [(0, 0), (1, 1), (16, 1)])
def test_the_manifests_are_valid_and_ask_for_what_the_job_needs(modules, folder, version, ranks, gpus):
    import kubernetes_validate

    settings = options(folder, ranks_per_node=8, gpus_per_rank=gpus)
    job = KubernetesLauncher(settings).submit(wanted(modules, folder, "hello", ranks))
    found = documents(job)
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)
    *services, manifest = found
    spec = manifest["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == (2 if ranks == 16 else 1)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == (str(min(ranks, 8)) if gpus else None)
    assert container["resources"]["limits"]["memory"] == "16Gi"
    assert pod["securityContext"]["runAsNonRoot"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {str(folder.parent), "/tmp", "/dev/shm"}
    if ranks == 16:
        (service,) = services
        name = manifest["metadata"]["name"]
        given = {entry["name"]: entry["value"] for entry in container["env"]}
        assert given["MASTER_ADDR"] == f"{name}-0.{pod['subdomain']}.training.svc"
        assert service["metadata"]["name"] == pod["subdomain"]
        assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
        assert len(f"{name}-{spec['completions'] - 1}") <= 63


def test_a_manifest_that_is_damaged_is_not_valid(modules, folder):
    import kubernetes_validate

    manifest = documents(KubernetesLauncher(options(folder)).submit(wanted(modules, folder, "hello")))[-1]
    manifest["spec"]["completionmode"] = manifest["spec"].pop("completionMode")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_a_job_is_queued_until_it_is_applied_and_its_pods_meet(modules, folder, apply):
    launcher = KubernetesLauncher(options(folder))
    job_request = wanted(modules, folder, "meets", ranks=2)
    job = launcher.submit(job_request)
    status = launcher.poll(job)
    assert status.state == "queued"
    assert status.reason.endswith(f"kubectl apply -f {manifests_path(job)}")
    assert KubernetesLauncher(options(folder)).reattach(job_request) == job
    (folder / "spec.go").touch()
    first, second = apply(job)
    assert ended(launcher, job).state == "succeeded"
    assert launcher.logs(job) == "met [[0, ''], [1, '']]\n"
    assert first.wait(20) == second.wait(20) == 0
    assert launcher.cost(job).attempts == 1
    assert launcher.cost(job).ranks == 2
    assert read_record(job).image.endswith("0" * 64)


def test_the_exit_code_of_the_pod_that_failed(modules, folder, apply):
    launcher = KubernetesLauncher(options(folder))
    job = launcher.submit(wanted(modules, folder, "fails", ranks=2))
    first, second = apply(job)
    assert second.wait(30) == 4
    first.terminate()  # as the cluster does once a pod of the Job has failed
    assert ended(launcher, job).exit_code == 4


def test_cancel_reaches_the_pods_through_the_folder(modules, folder, apply):
    launcher = KubernetesLauncher(options(folder))
    job = launcher.submit(wanted(modules, folder, "meets", ranks=2))
    pods = apply(job)
    printed(launcher, job, "met")
    launcher.cancel(job)
    status = ended(launcher, job)
    assert (status.state, status.exit_code) == ("failed", 75)
    assert [pod.wait(60) for pod in pods] == [75, 75]


def test_pods_that_are_gone_without_a_word_are_noticed(modules, folder, apply):
    launcher = KubernetesLauncher(options(folder), silent_seconds=7)
    job = launcher.submit(wanted(modules, folder, "waits"))
    (pod,) = apply(job)
    printed(launcher, job, "waiting")
    gone(pod)
    deadline = time.monotonic() + 30
    while launcher.poll(job).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    status = launcher.poll(job)
    assert status.exit_code == 137 and "no sign of life" in status.reason
    assert not [e for e in events_path(job).read_text().splitlines() if e.startswith("ended")]


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_clock_that_was_set_does_not_make_a_job_look_gone(modules, folder, apply, hours):
    launcher = KubernetesLauncher(options(folder))
    job = launcher.submit(wanted(modules, folder, "waits"))
    apply(job)
    printed(launcher, job, "waiting")
    alive = events_path(job).with_name(f"{events_path(job).name}.alive")
    os.utime(alive, (time.time() + hours * 3600,) * 2)
    assert launcher.poll(job).state == "running"


def test_a_folder_that_no_claim_holds_is_said(modules, folder, tmp_path):
    launcher = KubernetesLauncher(options(folder, volumes=(Claim(claim="tokka", path="/nowhere"),)))
    with pytest.raises(ValueError, match=r"needs .*job, but the claims of the profile hold /nowhere"):
        launcher.submit(wanted(modules, folder, "hello"))
