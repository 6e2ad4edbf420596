"""What is tried again: faults of the infrastructure, such as a network or a launcher that does not answer, and nothing else.

A failed gate, a wrong recipe, a job that ended with an error would end in the same way again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from assets.lake.files import is_transient
from orchestration.instance import PROCESS
from orchestration.profile import Profile

_NETWORK = ("requests", "urllib3")
_AWAY = (
    *("not answer", "Unable to contact", "connect failure", "onnection refused", "timed out"),
    "Zero Bytes were transmitted",
)
"""What launchers, and Slurm's commands, say where their server is away."""


def is_infrastructure(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, speaks of the way to a server or a launcher and not of the work."""
    from training_jobs.launchers.docker import DockerError
    from training_jobs.launchers.slurm import SlurmError

    while error is not None:
        if isinstance(error, SlurmError | DockerError) and any(text in str(error) for text in _AWAY):
            return True
        if isinstance(error, Exception) and (is_transient(error) or type(error).__module__.split(".")[0] in _NETWORK):
            return True
        error = error.__cause__
    return False


@contextmanager
def retried(context: dg.AssetExecutionContext, profile: Profile) -> Iterator[None]:
    """Have the step tried again where its block ends with a fault of the infrastructure (``Operations.retries``).

    Not under ``tokka run``, where a person sees the fault and goes on with the same command.
    """
    try:
        yield
    except Exception as error:
        settings, number = profile.operations, context.retry_number
        if PROCESS in context.run.tags or number >= settings.retries or not is_infrastructure(error):
            raise
        seconds = settings.retry_seconds * 2**number
        context.log.warning(
            "%s: %s. It is a fault of the infrastructure, so the step is tried again in %g s (%d of %d).",
            *(type(error).__name__, error, seconds, number + 1, settings.retries),
        )
        raise dg.RetryRequested(settings.retries, seconds) from error
