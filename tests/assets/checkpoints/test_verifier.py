"""The process that verifies checkpoints: shared by gates, started again when it is gone, and never taken for a pass."""

import json
import os
import signal

import pytest

from assets.checkpoints.verifier import Verifier, VerifierError
from assets.recipe.jobs import VerifyJob


@pytest.fixture
def verifier():
    made = Verifier()
    yield made
    made.end()


def spec_of(folder, place):
    place.mkdir()
    spec = place / "verify.json"
    spec.write_text(VerifyJob(checkpoint=str(folder), probe=str(folder / "probe"), output=str(place)).model_dump_json())
    return spec


def test_one_process_verifies_several_and_another_takes_its_place(verifier, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    verifier.verify(spec_of(empty, tmp_path / "a"))
    process = verifier._process
    verifier.verify(spec_of(empty, tmp_path / "b"))
    assert verifier._process is process
    for place in ("a", "b"):
        found = json.loads((tmp_path / place / "verification.json").read_text())
        assert not found["loaded"] and found["error"]
    with pytest.raises(VerifierError, match="There is no checkpoint folder"):
        verifier.verify(spec_of(tmp_path / "nowhere", tmp_path / "c"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    verifier.verify(spec_of(empty, tmp_path / "d"))
    assert verifier._process is not process
    last = verifier._process
    verifier.end()
    assert last.returncode == 0


def test_a_process_that_dies_over_a_checkpoint_is_an_error(verifier, tmp_path):
    (tmp_path / "folder").mkdir()
    spec = spec_of(tmp_path / "folder", tmp_path / "a")
    (tmp_path / "a" / "verification.json").mkdir()
    with pytest.raises(VerifierError, match="ended with 1"):
        verifier.verify(spec)
