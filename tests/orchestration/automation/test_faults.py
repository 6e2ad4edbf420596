"""What is tried again and what is not: real steps of Dagster that fail in different ways."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from assets.lake import GateNotPassedError
from assets.recipe.load import RecipeError
from orchestration.automation.faults import is_infrastructure, retried
from orchestration.execute import JobFailedError
from orchestration.instance import process_tags
from tests.orchestration.automation.place import Place
from training_jobs.launchers.docker import DockerError
from training_jobs.launchers.slurm import SlurmError, SlurmMissingError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


INFRASTRUCTURE = [
    ConnectionResetError("peer"),
    TimeoutError(),
    SlurmError("sbatch: slurm_load_partitions: Unable to contact slurm controller (connect failure)"),
    SlurmError("squeue has not answered for 60 s"),
    DockerError("the Docker engine does not answer (refused)"),
    caused(RuntimeError("reading"), ConnectionRefusedError()),
    OSError(5, "Input/output error"),
]
OTHERS = [
    GateNotPassedError("gate"),
    RecipeError("recipe"),
    JobFailedError("The job ended with exit code 1"),
    SlurmError("sbatch: error: invalid partition specified: gpus"),
    SlurmMissingError("there is no sbatch on the PATH"),
    DockerError("the Docker engine refuses: no such image"),
    FileNotFoundError("gone"),
    PermissionError("no"),
    OSError(28, "No space left on device"),
    ValueError("a value"),
    subprocess.CalledProcessError(1, ["x"]),
]


@pytest.mark.parametrize("error", INFRASTRUCTURE, ids=lambda e: f"{type(e).__name__} {e}"[:40])
def test_faults_of_the_infrastructure(error: Exception) -> None:
    assert is_infrastructure(error)


@pytest.mark.parametrize("error", OTHERS, ids=lambda e: f"{type(e).__name__} {e}"[:40])
def test_everything_else_would_end_in_the_same_way_again(error: Exception) -> None:
    assert not is_infrastructure(error)


def attempts(place: Place, fail: Callable[[int], None], tags: dict[str, str] | None = None) -> tuple[int, Any]:
    """How often a step was tried, and the result of its run."""
    tried = []

    @dg.asset
    def step(context: dg.AssetExecutionContext) -> None:
        with retried(context, place.profile):
            tried.append(1)
            fail(len(tried))

    result = dg.materialize([step], instance=place.instance, raise_on_error=False, tags=tags)
    return len(tried), result


@pytest.fixture
def quick(place: Place) -> Place:
    place.operations = {"retries": 2, "retry_seconds": 0}
    return place


def lost(times: int) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number <= times:
            raise ConnectionResetError("the launcher went away")

    return fail


def wrong(number: int) -> None:
    raise GateNotPassedError("its gate failed")


def test_a_lost_launcher_is_tried_again_and_the_run_succeeds(quick: Place) -> None:
    tried, result = attempts(quick, lost(2))
    assert tried == 3 and result.success


def test_it_ends_with_the_fault_itself_when_it_stays(quick: Place) -> None:
    tried, result = attempts(quick, lost(99))
    assert tried == 3 and not result.success
    assert "the launcher went away" in json.dumps([str(e.event_specific_data) for e in result.all_events])


def test_a_failed_gate_is_never_tried_again(quick: Place) -> None:
    tried, result = attempts(quick, wrong)
    assert tried == 1 and not result.success


def test_under_tokka_run_a_person_sees_the_fault_at_once(quick: Place) -> None:
    assert attempts(quick, lost(1), process_tags())[0] == 1


def test_no_retries_where_the_profile_wants_none(quick: Place) -> None:
    quick.operations = {"retries": 0}
    assert attempts(quick, lost(1))[0] == 1
