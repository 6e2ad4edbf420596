"""The job ``run_recipe``: what a click in the UI makes of a recipe, in the runs of its own, and how it says that it stopped."""

import json
import shutil
import subprocess
import sys

import dagster as dg

from orchestration.recipe_job import NAME
from tests.faults.test_kill import digests
from tests.workplace import SMALL, Workplace, small_workplace


def launched(place: Workplace, recipe: str) -> subprocess.CompletedProcess[str]:
    """Run the job as Dagster's command does, over the same instance as ``tokka``."""
    home = place.folder / "home" / "dagster"
    tags = json.dumps({"dagster/partition": recipe})
    return subprocess.run(
        [sys.executable, "-m", "dagster", "job", "execute", "-m", "orchestration.definitions", "-j", NAME, "--tags", tags],
        env=place.environment | {"DAGSTER_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_makes_what_is_due_and_leaves_what_is_there(finished, tmp_path):
    place = Workplace(tmp_path)
    shutil.copytree(finished.place.folder, place.folder, dirs_exist_ok=True)
    before = digests(place.lake)
    for asset in ("scoreboard", "model_card"):
        shutil.rmtree(place.lake / asset)
    done = launched(place, "small")
    assert done.returncode == 0, done.stderr[-3000:]
    assert digests(place.lake) == before
    with dg.DagsterInstance.from_config(str(place.folder / "home" / "dagster")) as instance:
        made, job, *_ = instance.get_runs(limit=3)
        assert job.job_name == NAME and job.is_success
        assert made.tags["tokka/recipe"] == "small" and made.is_success
        messages = [entry.user_message for entry in instance.all_logs(job.run_id)]
    assert any(message.startswith("small: 2 of ") for message in messages)
    assert [m.split(":")[0].split("] ")[1] for m in messages if m.startswith("[")] == [
        "scoreboard small",
        "model_card small",
    ]


def test_a_gate_that_fails_is_named_with_what_it_found(tmp_path):
    place = small_workplace(tmp_path)
    strict = json.loads(json.dumps(SMALL))
    strict["sources"]["small_fi"]["bounds"] = {"language_share": 0.99}
    place.recipe("small", strict)
    assert place.tokka("recipes", "check", "small").returncode == 0
    assert place.tokka("run", "small", "--to", "benchmark").returncode == 0  # makes the instance
    done = launched(place, "small")
    assert done.returncode == 1
    with dg.DagsterInstance.from_config(str(place.folder / "home" / "dagster")) as instance:
        (job,) = (run for run in instance.get_runs() if run.job_name == NAME)
        assert job.status == dg.DagsterRunStatus.FAILURE
        (failure,) = instance.all_logs(job.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    data = failure.get_dagster_event().step_failure_data
    assert "small stopped: 1 gates and 0 jobs failed" in str(data.error_display_string)
    said = data.user_failure_data.metadata["raw_corpus small_fi"].value
    assert "declared_language_share" in said and "allowed >= 0.99" in said


def test_corpora_that_are_not_at_hand_are_said_in_a_sentence(tmp_path):
    place = small_workplace(tmp_path)
    assert place.tokka("run", "small", "--to", "benchmark").returncode == 0  # makes the instance
    assert launched(place, "poro-186m").returncode == 1
    with dg.DagsterInstance.from_config(str(place.folder / "home" / "dagster")) as instance:
        (job,) = (run for run in instance.get_runs() if run.job_name == NAME)
        (failure,) = instance.all_logs(job.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert "needs the environment variable TOKKA_PORO" in str(
        failure.get_dagster_event().step_failure_data.error_display_string
    )
