"""Runs with a helper: what a killed helper, a killed command and Ctrl-C leave, in the real processes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.test_kill import digests, jobs_of
from tests.workplace import Finished, Workplace, small_workplace, wait_for_line

EVALUATIONS = "external process successfully opened"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return small_workplace(tmp_path, processes=2)


def helper_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The helper of a running command."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children():
            if "orchestration.helper" in child.cmdline():
                return child
        time.sleep(0.1)
    raise AssertionError("the command has no helper")


def gone(process: psutil.Process) -> bool:
    """Whether a process leaves within ten seconds."""
    try:
        process.wait(10)
    except psutil.TimeoutExpired:
        return False
    return True


def until_both_evaluate(place: Workplace) -> subprocess.Popen[str]:
    """A run whose two checkpoints are being scored, one here and one in the helper."""
    process = place.start("run", "small")
    wait_for_line(process, "pretraining_run ")
    wait_for_line(process, EVALUATIONS)
    wait_for_line(process, EVALUATIONS)
    return process


def test_two_processes_make_what_one_makes(finished: Finished, tmp_path: Path) -> None:
    alone = small_workplace(tmp_path)
    result = alone.tokka("run", "small", "--to", "tokenized_shards")
    assert result.returncode == 0, result.stderr
    made, both = digests(alone.lake), digests(finished.place.lake)
    assert made == {partition: both[partition] for partition in made}


def test_a_helper_that_is_killed_is_a_failure_in_a_sentence_and_the_next_run_goes_on(place: Workplace) -> None:
    process = until_both_evaluate(place)
    helper_of(process).kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 3, said
    assert "The process that made it was killed by signal 9. The same command goes on" in said
    assert "Traceback" not in said
    after = place.tokka("run", "small")
    assert after.returncode == 0, after.stderr
    assert " pretraining_run " not in after.stderr


def test_a_killed_command_takes_its_helper_with_it(place: Workplace) -> None:
    process = until_both_evaluate(place)
    helper = helper_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(helper)
    after = place.tokka("run", "small")
    assert after.returncode == 0, after.stderr
    assert "found the job evaluate-small" in after.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end_the_helpers_job_ends_too(place: Workplace, number: signal.Signals) -> None:
    process = until_both_evaluate(place)
    helper = helper_of(process)
    assert len(jobs_of(place.folder)) >= 2
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "goes on from there" in said and "Traceback" not in said
    assert gone(helper)
    assert not jobs_of(place.folder)
    assert not list(place.lake.glob("**/writing.json"))
