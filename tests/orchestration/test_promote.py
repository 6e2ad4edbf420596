"""``tokka promote``, ``promoted``, ``rollback`` and ``lake gc`` over a whole, real run."""

import json
import shutil
from pathlib import Path

import pytest

from tests.workplace import Finished, Workplace, small_workplace


@pytest.fixture(scope="module")
def place(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A copy of the finished run: what is promoted stays in its lake."""
    assert finished.result.returncode == 0, finished.result.stderr
    folder = tmp_path_factory.mktemp("promote")
    copy = small_workplace(folder)
    shutil.copytree(finished.place.folder / "home", folder / "home", ignore=shutil.ignore_patterns(".staging"))
    return copy


def test_a_model_is_promoted_rolled_back_and_kept(place):
    first = place.tokka("promote", "small", "--step", "0", "--as", "small-fi", "--why", "to begin with", "--json")
    assert first.returncode == 0, first.stderr
    done = place.tokka("promote", "small", "--as", "small-fi")
    assert done.returncode == 0, done.stderr
    assert "small, step 60, is current as small-fi: the latest checkpoint that passed." in done.stdout
    entries = json.loads(place.tokka("promoted", "small-fi", "--json").stdout)
    assert [(e["number"], e["step"], e["why"]) for e in entries] == [
        (1, 0, "to begin with"),
        (2, 60, "the latest checkpoint that passed"),
    ]
    folder = Path(entries[1]["folder"])
    assert (folder / "card" / "model_card.html").is_file()
    passport = json.loads((folder / "passport.json").read_text("utf-8"))
    assert passport["recipe"] == "small" and passport["step"] == 60
    gates = json.loads((folder / "promotion.json").read_text("utf-8"))["gates"]
    assert {row["gate"] for row in gates} <= {"passed", "no gate"}
    assert {row["version"].split("/")[0] for row in gates} >= {"raw_corpus", "mixture", "pretraining_run", "evaluation"}

    back = place.tokka("rollback", "small-fi", "--why", "it repeats itself")
    assert back.returncode == 0 and "small-fi is small, step 0, again" in back.stdout
    (current,) = json.loads(place.tokka("promoted", "--json").stdout)
    assert (current["action"], current["step"], current["why"]) == ("rollback", 0, "it repeats itself")
    again = place.tokka("rollback", "small-fi", "--why", "again")
    assert again.returncode == 1 and "there is nothing before" in again.stderr


def test_what_is_current_or_promoted_is_never_collected(place):
    before = set(place.lake.rglob("manifest.json"))
    result = place.tokka("lake", "gc", "--keep", "0", "--older-than", "0", "--delete", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["versions"] == [] and found["warnings"] == []
    assert set(place.lake.rglob("manifest.json")) == before
    assert place.tokka("lake", "verify").returncode == 0


def test_what_is_not_there_is_said(place):
    unknown = place.tokka("promoted", "nobody")
    assert unknown.returncode == 2 and "nothing was promoted as 'nobody'" in unknown.stderr
    wrong = place.tokka("promote", "small", "--as", "../out")
    assert wrong.returncode == 2 and "is not allowed" in wrong.stderr
    step = place.tokka("promote", "small", "--step", "7")
    assert step.returncode == 1 and "there are those at the steps 0, 60" in step.stderr
