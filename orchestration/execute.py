"""Making one version of a stage inside a Dagster step: inputs checked, reused where it exists, made otherwise."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from assets import engine
from assets.graph import BY_ASSET
from assets.lake import GateNotPassedError, InputRef, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.jobs import JobCost, JobRequest, JobStatus, Launcher
from assets.stage import Stage, Work
from orchestration.messages import FileMessages, context_path, messages_path
from orchestration.profile import Profile

ACCEPT_RISK = "tokka/accept_risk"
"""Tag of a run that uses inputs without a passing receipt; its value is the reason, which stays in the manifest."""


class JobFailedError(Exception):
    """A job ended without success. The message holds the last lines that it printed."""


def accepted_risks(profile: Profile, inputs: list[InputRef], reason: str | None) -> dict[str, str]:
    """Check that every input with a gate has a passing receipt.

    With a reason, return the inputs that lack one and are taken anyway, each with the reason.
    """
    risks = {}
    for ref in inputs:
        if BY_ASSET[ref.asset].gate is None:
            continue
        try:
            profile.lake.require_receipt(ref)
        except GateNotPassedError:
            if not reason:
                raise
            risks[ref.name] = reason
    return risks


def ensure_version(
    context: dg.AssetExecutionContext,
    stage: Stage,
    catalog: Catalog,
    profile: Profile,
    inputs: Mapping[str, Mapping[str, Manifest]],
) -> tuple[Manifest, bool]:
    """The version of the step's partition, and whether it was there already."""
    key = context.partition_key
    refs = [manifest.ref for by_key in inputs.values() for manifest in by_key.values()]
    risks = accepted_risks(profile, refs, context.run.tags.get(ACCEPT_RISK))
    for name, reason in risks.items():
        context.log.warning("%s is used without a passing receipt: %s", name, reason)
    identity = stage.identity(catalog, key, refs)
    lake = profile.lake
    found = lake.find(stage.asset, key, identity.version)
    if found is not None:
        unfinished = stage.unfinished(lake, found)
        if not unfinished:
            return found, True
        context.log.warning("%s is made again: %s. It lies in %s now.", found.name, unfinished, lake.set_aside(found))
    for by_key in inputs.values():
        for manifest in by_key.values():
            lake.require_whole(manifest)
    scratch = profile.scratch(stage.asset, key, identity.version)
    engine.choose(profile.data_engine)
    with lake.write(identity, risks) as out:
        stage.make(
            Work(
                key=key,
                catalog=catalog,
                lake=lake,
                inputs=inputs,
                out=out,
                scratch=scratch,
                log=context.log,
                run_job=lambda request: run_job(context, profile, request),
                accepted_risks=risks,
                assumptions=profile.assumptions,
            )
        )
    shutil.rmtree(scratch, ignore_errors=True)
    made = lake.find(stage.asset, key, identity.version)
    assert made is not None, "a version is visible once its writer has ended"
    return made, False


def run_job(context: dg.AssetExecutionContext, profile: Profile, request: JobRequest) -> JobCost:
    """Run a job under the profile's launcher, and say what it took; its messages come home by Dagster Pipes.

    A job that an earlier, killed run has submitted and that waits, runs or has succeeded is found again and not started
    twice. When the step is interrupted, the job is cancelled. Raises JobFailedError.
    """
    launcher = profile.launcher()
    request = _with_folders(profile, request)
    _refuse_second_launcher(profile, request)
    job = launcher.reattach(request)
    found = job is not None
    if job is not None and launcher.poll(job).state == "succeeded":
        context.log.info("found the job %s of an earlier run, which has succeeded", request.name)
        return launcher.cost(job)
    with dg.open_pipes_session(
        context=context,
        context_injector=dg.PipesFileContextInjector(str(context_path(request.log))),
        message_reader=FileMessages(messages_path(request.log), resume=found),
    ) as session:
        environment = {**request.environment, **session.get_bootstrap_env_vars()}
        if job is None:
            job = launcher.submit(request.model_copy(update={"environment": environment}))
        what = "found the job %s of an earlier run and follow it" if found else "started the job %s"
        context.log.info(f"{what}, launcher %s; its log is %s", request.name, launcher.name, request.log)
        try:
            while _starts_again(request, status := _wait(context, launcher, job)):
                context.log.warning("%s ended with exit code %s and is started again", request.name, status.exit_code)
                job = launcher.submit(request.model_copy(update={"environment": environment}))
        except BaseException:
            launcher.cancel(job)
            raise
    if status.state == "failed":
        reason = f", {status.reason}" if status.reason else ""
        raise JobFailedError(
            f"The job {request.name} ended with exit code {status.exit_code}{reason}. The last lines of {request.log}:\n"
            + launcher.logs(job)
        )
    cost = launcher.cost(job)
    context.log.info(
        "the job %s took %.1f s on %d ranks and %d GPUs (%s): %.3f rank-hours, %.3f GPU-hours",
        *(request.name, cost.seconds, cost.ranks, cost.gpus, cost.source, cost.rank_hours, cost.gpu_hours),
    )
    return cost


def _wait(context: dg.AssetExecutionContext, launcher: Launcher, job: str) -> JobStatus:
    """Wait for the end of a job; what the launcher says meanwhile is logged when it changes."""
    said = ""
    while not (status := launcher.poll(job)).ended:
        now = f"{status.state}: {status.reason}" if status.reason else ""
        if now and now != said:
            context.log.info("%s", now)
        said = now
        time.sleep(launcher.poll_seconds)
    return status


def _starts_again(request: JobRequest, status: JobStatus) -> bool:
    """Whether a job that ended in this way shall be started again, given how often its like have ended so before."""
    from training_jobs.launchers.records import ends

    if status.exit_code not in request.restarts:
        return False
    return ends(request.log)[status.exit_code] <= request.restarts[status.exit_code]


def _with_folders(profile: Profile, request: JobRequest) -> JobRequest:
    """The request with the folders of the lake that a job needs wherever it runs."""
    lake = profile.lake
    if lake.is_local:
        return request.model_copy(update={"reads": (*request.reads, Path(lake.root))})
    return request


def _refuse_second_launcher(profile: Profile, request: JobRequest) -> None:
    """Stop where another launcher's job works in the same folder. Raises JobFailedError."""
    from training_jobs.launchers.records import records

    for job, record in records(request.log):
        if record.launcher == profile.launcher_name:
            continue
        status = profile.launcher(record.launcher).poll(job)
        if not status.ended:
            raise JobFailedError(
                f"The job {request.name} was started with the launcher {record.launcher} and is {status.state} as "
                f"{record.native}. Run with --launcher {record.launcher} to follow it, or end it first."
            )
