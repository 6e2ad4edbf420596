"""Jobs as manifests for Kubernetes: an indexed Job, one pod per node, and a headless Service by which the pods find the first.

``submit`` writes the manifests beside the log; a person, or what watches that folder, applies them. All else goes through the
job's folder, which the pods mount from a claim under the path that it has here: the first pod notes start, end and exit code,
every pod gives a sign of life and looks whether the job is cancelled. So nothing of Tokka speaks to the cluster's API.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assets.recipe.jobs import JobRequest, JobStatus
from assets.recipe.launchers import KubernetesOptions
from assets.recipe.reliability import KILLED
from training_jobs.launchers import records
from training_jobs.launchers.nodes import per_node
from training_jobs.launchers.records import WRAPPER, RecordedJobs

SILENT_SECONDS = 300.0
"""A job whose pods give no sign of life for so long is gone. Pods give one every five seconds; the clocks may differ."""
NEXT_SIGN_SECONDS = 12.0
KEPT_SECONDS = 86_400

# Only the first pod speaks for the job; the others keep logs of their own. The loop ends with the shell that it belongs to.
_SCRIPT = (
    """\
node=${JOB_COMPLETION_INDEX:-0}
cancelled=$TOKKA_EVENTS.cancel alive=$TOKKA_EVENTS.alive
[ "$node" = 0 ] || { TOKKA_LOG=$TOKKA_LOG.node$node TOKKA_EVENTS=/dev/null; }
main=$$
while kill -0 $main 2> /dev/null; do
  touch "$alive"
  [ ! -e "$cancelled" ] || kill -TERM $main
  sleep 5
done &
"""
    + WRAPPER
)


@dataclass
class KubernetesLauncher(RecordedJobs):
    """Launcher that renders manifests. ``silent_seconds``: see SILENT_SECONDS."""

    options: KubernetesOptions = KubernetesOptions()  # noqa: RUF009 - frozen
    name: str = "kubernetes"
    silent_seconds: float = SILENT_SECONDS

    def submit(self, request: JobRequest) -> str:
        """Write the manifests of a job. Raises ValueError for a folder that no claim holds."""
        path, record = self.new_record(request)
        name = f"tokka-{re.sub('[^a-z0-9]+', '-', request.name)[:32].strip('-')}-{record.key}"
        record = record.model_copy(update={"native": name, "image": self.options.image_for(request.module)})
        documents = render(self.options, request, str(path), record)
        manifests_path(str(path)).write_text(yaml.safe_dump_all(documents, sort_keys=False), "utf-8")
        records.write_record(path, record)
        return str(path)

    def poll(self, job: str) -> JobStatus:
        """State of a job by its own account. Until it speaks it counts as queued, and the reason says how to apply it."""
        records.read_record(job)
        status = records.ended(job)
        if status is not None:
            return status
        if not records.events(job):
            return JobStatus(state="queued", reason=f"waiting for it to run: kubectl apply -f {manifests_path(job)}")
        silent = self._silent(_beside(job, "alive"))
        if silent < self.silent_seconds:
            return JobStatus(state="running")
        reason = f"its pods have given no sign of life for {silent:.0f} s"
        return records.ended(job) or JobStatus(state="failed", exit_code=KILLED, reason=reason)

    def _silent(self, alive: Path) -> float:
        """Seconds without a sign of life. A clock that was set looks like it, so the next sign is awaited then."""
        if not alive.exists():
            return 0.0
        last = alive.stat().st_mtime
        silent = abs(time.time() - last)
        deadline = time.monotonic() + min(NEXT_SIGN_SECONDS, self.silent_seconds)
        while silent >= self.silent_seconds and time.monotonic() < deadline:
            time.sleep(0.2)
            if alive.stat().st_mtime != last:
                return 0.0
        return silent

    def cancel(self, job: str) -> None:
        """Tell the pods to leave, by a file; a job that is not applied as yet leaves as soon as it is."""
        _beside(job, "cancel").touch()
        deadline = time.monotonic() + self.options.grace_seconds
        while self.poll(job).state == "running" and time.monotonic() < deadline:
            time.sleep(min(0.2, self.options.poll_seconds))


def manifests_path(job: str) -> Path:
    """The file with the manifests of a job."""
    return Path(job).with_suffix(".yaml")


def _beside(job: str, what: str) -> Path:
    path = records.events_path(job)
    return path.with_name(f"{path.name}.{what}")


def render(options: KubernetesOptions, request: JobRequest, job: str, record: records.Record) -> list[dict[str, Any]]:
    """The Service (of a job on several nodes) and the Job, as mappings."""
    nodes, ranks = per_node(request, options.ranks_per_node)
    name, labels = record.native, {"app.kubernetes.io/name": "tokka", "tokka.job": record.key}
    metadata = {"name": name, "namespace": options.namespace, "labels": labels}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            # The ranks meet before any of them could be called ready.
            "publishNotReadyAddresses": True,
            "selector": {"tokka.job": record.key},
            "ports": [{"name": "ranks", "port": options.port}],
        },
    }
    several = {"subdomain": name} if nodes > 1 else {}
    spec = {
        "completionMode": "Indexed",
        "completions": nodes,
        "parallelism": nodes,
        # A rank that is lost ends all of them; Tokka starts the job again where the recipe allows it.
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {
            "metadata": {"labels": labels},
            "spec": {**_pod(options, request, job, record, nodes, ranks), **several},
        },
    }
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    return [service, manifest] if nodes > 1 else [manifest]


def _pod(
    options: KubernetesOptions, request: JobRequest, job: str, record: records.Record, nodes: int, ranks: int
) -> dict[str, Any]:
    """The specification of each pod."""
    uid, gid = (int(part) for part in options.user.split(":"))
    threads = options.threads or max(1, (options.cpus or ranks) // ranks)
    environment = {
        "HOME": "/tmp",
        "USER": "tokka",
        "LOGNAME": "tokka",
        "TOKKA_IMAGE": record.image,
        "TOKKA_FAILED": f"{records.events_path(job)}.failed",
        **({"TOKKA_MEMORY_LIMIT": options.memory} if options.memory else {}),
        **records.job_environment(request, job, options, threads),
    }
    if nodes > 1:
        first = f"{record.native}-0.{record.native}.{options.namespace}.svc"
        environment |= {"TOKKA_NODES": str(nodes), "MASTER_ADDR": first, "MASTER_PORT": str(options.port)}
    else:
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    limits = {
        "cpu": str(options.cpus) if options.cpus else None,
        "memory": _quantity(options.memory) if options.memory else None,
        options.gpu_resource: str(ranks * options.gpus_per_rank) if options.gpus_per_rank else None,
    }
    resources = {name: value for name, value in limits.items() if value}
    container = {
        "name": "job",
        "image": record.image,
        "command": ["/bin/sh", "-c", _SCRIPT, "sh", *records.module_command(options.python, request, ranks)],
        "workingDir": str(request.log.resolve().parent),
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "envFrom": [{"secretRef": {"name": name}} for name in options.secrets],
        "resources": {"limits": resources, "requests": resources},
        "volumeMounts": [
            *_claimed(options, request),
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    memory = {"medium": "Memory", "sizeLimit": _quantity(options.shared_memory)}
    claims = [
        {"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim.claim}}
        for number, claim in enumerate(options.volumes)
    ]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": round(options.grace_seconds),
        "nodeSelector": options.node_selector,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": gid,
            "fsGroup": gid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [*claims, {"name": "tmp", "emptyDir": {}}, {"name": "shared-memory", "emptyDir": memory}],
    }


def _claimed(options: KubernetesOptions, request: JobRequest) -> list[dict[str, Any]]:
    """The mounts of the claims. Raises ValueError where a folder that the job needs lies in none of them."""
    for folder in (request.log.resolve().parent, *request.reads, *request.writes):
        if not any(Path(folder).is_relative_to(claim.path) for claim in options.volumes):
            held = ", ".join(claim.path for claim in options.volumes) or "none"
            raise ValueError(
                f"The job {request.name} needs {folder}, but the claims of the profile hold {held}. Put lake and scratch into a "
                "claim's folder, and name it under launchers.kubernetes.volumes."
            )
    return [{"name": f"claim-{n}", "mountPath": claim.path} for n, claim in enumerate(options.volumes)]


def _quantity(size: str) -> str:
    """``16g`` as Kubernetes writes it, ``16Gi``."""
    return f"{size[:-1]}{size[-1].upper()}i"
