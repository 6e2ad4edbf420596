"""``tokka study``: a grid of recipes as one Dagster backfill, killed in the middle, run again, and reported."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from assets.graph import STAGES
from assets.lake import Lake
from orchestration.cli.study import TimeLeft
from orchestration.plan import Due, Plan
from tests.workplace import Workplace, small_workplace, wait_for_line

STUDY: dict[str, Any] = {
    "description": "Whether pairs help, at the smallest size.",
    "target": "fi",
    "baseline": "only-fi",
    "seeds": [1, 2],
    "max_epochs": 50,
    "bases": {
        "small": {
            "tokens": {"fi": 30_000, "pairs": 30_000},
            "change": {
                "training": {"steps": 8, "data_parallel": 1, "warmup_steps": 2, "checkpoints": [8], "log_every": 1},
                "tasks": {"small_translation": None, "small_missing": None},
            },
        }
    },
    "arms": {
        "only-fi": {"only": ["fi"]},
        "with-pairs": {"description": "Finnish and pairs"},
        # More epochs than its gate allows.
        "too-often": {"only": ["fi"], "change": {"mixture": {"max_epochs": 0.001}}},
    },
}
RECIPES = [f"small-{arm}-s{seed}" for arm in ("only-fi", "with-pairs") for seed in (1, 2)]
GATE_FAILED = 1


@dataclass(frozen=True)
class Ran:
    """The workplace after the study was killed in its second training and run again, with what the second run said."""

    place: Workplace
    result: subprocess.CompletedProcess[str]
    left: dict[str, str]
    """Versions that the killed run left, with their digests."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    place = small_workplace(tmp_path_factory.mktemp("study"))
    studies = place.folder / "recipes" / "studies"
    studies.mkdir()
    (studies / "tiny.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), "utf-8")
    process = place.start("study", "run", "tiny")
    wait_for_line(process, "[2/6]")
    wait_for_line(process, "step ")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = {manifest.name: manifest.digest for manifest in Lake.open(str(place.lake)).manifests()}
    return Ran(place, place.tokka("study", "run", "tiny", "--json"), left)


def backfills(place: Workplace) -> list[dict[str, Any]]:
    """Dagster's backfills, oldest first, with the runs that carry their ids."""
    code = """if True:
        import json
        import dagster as dg
        from orchestration.instance import open_instance
        with open_instance() as instance:
            found = []
            for each in reversed(instance.get_backfills()):
                runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": each.backfill_id}))
                data = each.asset_backfill_data
                found.append({
                    "id": each.backfill_id, "status": each.status.value, "tags": each.tags, "title": each.title,
                    "runs": [run.tags["tokka/recipe"] for run in runs],
                    "wanted": data.target_subset.num_partitions_and_non_partitioned_assets,
                    "made": data.materialized_subset.num_partitions_and_non_partitioned_assets,
                    "failed": data.failed_and_downstream_subset.num_partitions_and_non_partitioned_assets,
                })
            print(json.dumps(found))
    """
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], env=place.environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_failing_arm_is_named_and_the_others_go_on(ran: Ran) -> None:
    assert ran.result.returncode == GATE_FAILED, ran.result.stderr
    said = json.loads(ran.result.stdout)
    assert said["failed"] == ["small-too-often-s1", "small-too-often-s2"]
    assert "GATE FAILED  mixture, partition small-too-often-s1" in ran.result.stderr
    made = {path.parent.parent.name for path in ran.place.lake.glob("model_card/*/*/manifest.json")}
    assert made == set(RECIPES)


def test_it_is_a_backfill_of_dagsters_and_the_killed_one_is_closed(ran: Ran) -> None:
    killed, second = backfills(ran.place)
    assert killed["status"] == "FAILED" and killed["tags"]["tokka/study"] == "tiny"
    assert second["status"] == "COMPLETED_FAILED" and second["title"] == "study tiny"
    assert second["made"] + second["failed"] == second["wanted"] > 0
    # The first recipe was finished before the kill but for what compares it with the others.
    assert {"small-with-pairs-s1", "small-too-often-s2"} <= set(second["runs"]) <= {*RECIPES, *said_failed(ran)}
    assert json.loads(ran.result.stdout)["backfill"] == second["id"]


def said_failed(ran: Ran) -> list[str]:
    return json.loads(ran.result.stdout)["failed"]


def test_what_the_killed_run_left_is_not_made_again(ran: Ran) -> None:
    versions: dict[str, list[str]] = {}
    for manifest in Lake.open(str(ran.place.lake)).manifests():
        versions.setdefault(f"{manifest.asset}/{manifest.partition}", []).append(manifest.version)
        assert ran.left.get(manifest.name, manifest.digest) == manifest.digest
    assert ran.left and all(len(each) == 1 for each in versions.values())
    again = ran.place.tokka("study", "run", "tiny", "--base", "small", "--json")
    assert {"mixture"} == {line.split()[2].rstrip(",") for line in again.stderr.splitlines() if "GATE FAILED" in line}
    assert json.loads(again.stdout)["made"] == 0


def test_the_report_shows_scores_differences_curves_cost_and_the_shared_work(ran: Ran) -> None:
    folder = ran.place.folder / "report"
    shown = ran.place.tokka("study", "report", "tiny", "--to", str(folder))
    assert shown.returncode == 0, shown.stderr
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert {row["recipe"] for row in report["missing"]} == set(said_failed(ran))
    only, pairs = report["scores"]
    assert (only["arm"], pairs["arm"], len(pairs["values"])) == ("only-fi", "with-pairs", 2)
    assert (
        pairs["mean"] == pytest.approx(sum(pairs["values"].values()) / 2)
        and pairs["low"] < pairs["mean"] < pairs["high"]
    )
    (test,) = report["differences"]
    assert test["mean"] == pytest.approx(pairs["mean"] - only["mean"])
    assert test["verdict"] == "2 seeds are too few to tell; 3 are the least"
    assert {row["arm"] for row in report["losses"]} == {"only-fi", "with-pairs"}
    assert all(row["rank-hours of training"] > 0 and row["energy in kWh"] > 0 for row in report["cost"])
    lake = {manifest.digest: manifest for manifest in Lake.open(str(ran.place.lake)).manifests()}
    shared = {row["artefact"]: row for row in report["work"]["shared"]}
    assert sorted(shared["tokenizer/small-bpe"]["recipes"]) == sorted(RECIPES)
    assert all(lake[row["digest"]].version == row["version"] for row in shared.values())
    # Finnish alone reads no shards of pairs.
    assert sorted(shared["tokenized_shards/small_pairs--small-bpe"]["recipes"]) == RECIPES[2:]
    assert report["work"]["several"] == []
    assert report["work"]["needed"] > report["work"]["made"] and report["work"]["saved_seconds"] > 0
    assert all("Work shared" in (folder / name).read_text("utf-8") for name in ("report.html", "report.md"))
    assert list(folder.glob("*.png"))


def test_the_name_of_a_study_runs_it_and_writes_its_report(ran: Ran) -> None:
    done = ran.place.tokka("study", "tiny", "--json")
    assert done.returncode == GATE_FAILED, done.stderr
    assert json.loads(done.stdout)["study"] == "tiny" and "0 partitions made" in done.stderr
    folder = ran.place.folder / "home" / "studies" / "tiny"
    assert json.loads((folder / "report.json").read_text("utf-8")) == json.loads(done.stdout)
    assert {"report.html", "report.md"} <= {path.name for path in folder.iterdir()}


def test_neither_a_study_nor_a_command_names_both(ran: Ran) -> None:
    done = ran.place.tokka("study", "reprot")
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "there is no study 'reprot'" in said and "tiny" in said and "Commands are: list, plan, run, report." in said


def test_a_plan_needs_no_corpora(ran: Ran) -> None:
    done = ran.place.tokka("study", "plan", "ablations", "--base", "poro-34b", "--json")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert set(planned["not_here"]) == set(planned["order"]) and planned["finished"] == 0
    assert planned["partitions_saved"] > 500 and "TOKKA_PORO" in planned["not_here"]["poro-34b"]


def test_a_report_needs_no_corpora_either(ran: Ran) -> None:
    done = ran.place.tokka("study", "report", "ablations", "--base", "poro-34b")
    assert done.returncode == 2 and "no recipe of ablations has scores yet" in done.stderr, done.stderr


def test_an_unknown_study_names_those_there_are(ran: Ran) -> None:
    done = ran.place.tokka("study", "run", "tinny")
    assert done.returncode == 2
    assert "there is no study 'tinny'" in done.stderr and "tiny" in done.stderr


def test_the_time_left_is_of_recipes_that_train() -> None:
    def plan(*assets: str) -> Plan:
        stages = {stage.asset: stage for stage in STAGES}
        return Plan(tuple(Due(stages[asset], "a", "new or changed", ()) for asset in assets), {})

    left = TimeLeft(recipes=6, seconds=None)
    report, training = (
        plan("scoreboard", "model_card"),
        plan("pretraining_run", "checkpoint", "evaluation", "scoreboard"),
    )
    assert left.said(1, report, 0) == "" and left.said(2, report, 1) == ""
    assert left.said(3, training, 2) == ""  # takes 200 s, for what all share
    assert left.said(4, training, 202) == ""  # takes 100 s
    assert left.said(5, training, 302) == ", about 3:20 left"
    assert left.said(6, training, 442) == ", about 2:00 left"
