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
from assets.recipe.jobs import JobRequest, Launcher
from assets.stage import Stage, Work
from orchestration.profile import Profile

ACCEPT_RISK = "tokka/accept_risk"
"""Tag of a run that uses inputs without a passing receipt; its value is the reason, which stays in the manifest."""

POLL_SECONDS = 0.2


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
        return found, True
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
            )
        )
    shutil.rmtree(scratch, ignore_errors=True)
    made = lake.find(stage.asset, key, identity.version)
    assert made is not None, "a version is visible once its writer has ended"
    return made, False


def run_job(context: dg.AssetExecutionContext, profile: Profile, request: JobRequest) -> None:
    """Run a job under the profile's launcher; its messages come home by Dagster Pipes. Raises JobFailedError.

    A job that an earlier, killed run has started and that still runs or has succeeded is found again by its id, which
    stands beside its log, and is not started twice. When the step is interrupted, the job is cancelled.
    """
    launcher = profile.launcher()
    handle = request.log.with_suffix(".job")
    with dg.open_pipes_session(
        context=context,
        context_injector=dg.PipesTempFileContextInjector(),
        message_reader=dg.PipesTempFileMessageReader(),
    ) as session:
        job = _earlier_job(launcher, handle)
        if job is not None:
            context.log.info(
                "found the job %s of an earlier run and follow it; its log is %s", request.name, request.log
            )
        else:
            environment = {**request.environment, **session.get_bootstrap_env_vars()}
            job = launcher.submit(request.model_copy(update={"environment": environment}))
            handle.write_text(job, "utf-8")
            context.log.info("started the job %s, launcher %s; its log is %s", request.name, launcher.name, request.log)
        try:
            while (status := launcher.poll(job)).state == "running":
                time.sleep(POLL_SECONDS)
        except BaseException:
            launcher.cancel(job)
            raise
    if status.state == "failed":
        raise JobFailedError(
            f"The job {request.name} ended with exit code {status.exit_code}. The last lines of {request.log}:\n"
            + launcher.logs(job)
        )


def _earlier_job(launcher: Launcher, handle: Path) -> str | None:
    """The id of a job that was started before and has not failed."""
    if not handle.exists():
        return None
    job = handle.read_text("utf-8")
    try:
        return job if launcher.poll(job).state != "failed" else None
    except LookupError:
        return None
