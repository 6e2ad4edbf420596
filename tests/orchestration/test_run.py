"""``tokka run`` from raw corpora to the model card, through Dagster, with real jobs."""

import json
import shutil
import signal
import time

import pytest

from assets.lake import Lake
from tests.workplace import SMALL, Workplace, demo_rows, small_workplace, wait_for_line


def test_a_killed_run_goes_on_where_it_was_and_finishes(finished):
    assert finished.result.returncode == 0, finished.result.stderr
    assert "tokenizer " in "".join(finished.before_kill)
    # Every job tells Dagster something: nobody is told that a job is silent.
    assert "did not receive any messages" not in "".join(finished.before_kill) + finished.result.stderr
    assert " raw_corpus " not in finished.result.stderr
    assert " tokenizer " not in finished.result.stderr
    assert "found the job pretrain-small of an earlier run" in finished.result.stderr
    assert not list(finished.place.lake.glob("**/writing.json"))


def test_the_run_of_the_killed_process_does_not_stay_open(finished, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(finished.place.folder / "home" / "dagster"))
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
    assert all(run.is_finished for run in runs)
    assert [run.tags["dagster/partition"] for run in runs if run.status == dg.DagsterRunStatus.FAILURE] == ["small"]


def test_it_ends_with_the_scores_and_the_paths_of_the_reports(finished):
    out = finished.result.stdout
    assert "bits_per_character" in out
    for report in ("scoreboard.html", "model_card.html"):
        (path,) = [line.split(": ")[1] for line in out.splitlines() if report in line]
        assert "<h1>" in open(path, encoding="utf-8").read()


def test_the_second_run_does_nothing_says_so_and_is_quick(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.place.lake.rglob("*") if p.is_file()}
    started = time.monotonic()
    again = finished.place.tokka("run", "small")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    assert time.monotonic() - started < 20
    assert {p: p.stat().st_mtime_ns for p in finished.place.lake.rglob("*") if p.is_file()} == before


def test_the_model_has_learned(finished):
    rows = json.loads(finished.place.tokka("scores", "small", "--json").stdout)
    scores = {(r["step"], r["metric"]): r["score"] for r in rows if r["task"] == "small_heldout_fi"}
    assert scores[60, "bits_per_character"] < 0.9 * scores[0, "bits_per_character"]


def test_what_training_cost_stands_in_the_manifest(finished):
    (run,) = Lake.open(str(finished.place.lake)).manifests("pretraining_run", "small")
    cost = run.cost
    assert cost["energy_kwh"] == pytest.approx(cost["rank_hours"] * 0.065, rel=1e-3)
    assert cost["gpu_hours"] in (0.0, cost["rank_hours"]), "of a machine without a GPU, or with one"
    assert cost["co2_kg"] == pytest.approx(cost["energy_kwh"] * 0.05, rel=1e-3)
    assert 0 < cost["tflops"] < cost["tflops_recomputed"]
    assert "mfu" not in cost


def test_missing_evaluation_data_is_reported_as_missing_and_never_as_zero(finished):
    rows = json.loads(finished.place.tokka("scores", "small", "--json").stdout)
    missing = [r for r in rows if r["task"] == "small_missing"]
    assert {r["status"] for r in missing} == {"missing"}
    assert {r["score"] for r in missing} == {None}


def test_every_version_with_a_gate_has_its_passing_receipt_and_the_lake_is_whole(finished):
    lake = Lake.open(str(finished.place.lake))
    for manifest in lake.manifests():
        if manifest.asset not in ("scoreboard", "model_card"):
            assert lake.require_receipt(manifest.ref).passed
    verified = finished.place.tokka("lake", "verify", "--json")
    assert json.loads(verified.stdout)["faults"] == []


def test_a_flipped_byte_is_found(finished, tmp_path):
    shutil.copytree(finished.place.lake, tmp_path / "lake")
    (path,) = tmp_path.glob("lake/tokenized_shards/small_fi--small-bpe/*/shards/*.bin")
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    verified = finished.place.tokka("lake", "verify", "--lake", str(tmp_path / "lake"))
    assert verified.returncode == 1
    assert "shards/part-00000.bin has sha256" in verified.stderr


def test_dagster_knows_every_materialization_and_every_check(finished, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(finished.place.folder / "home" / "dagster"))
    lake = Lake.open(str(finished.place.lake))
    with dg.DagsterInstance.get() as instance:
        for manifest in lake.manifests():
            filters = dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(manifest.asset), asset_partitions=[manifest.partition]
            )
            record = instance.fetch_materializations(filters, limit=1).records[0]
            tags = record.asset_materialization.tags
            assert tags["dagster/data_version"] == manifest.digest


def test_the_documents_behind_a_score_can_be_walked_to(finished):
    from assets.reports.lineage import walk

    lake = Lake.open(str(finished.place.lake))
    (evaluation,) = lake.manifests("evaluation", "small--step-0000060")
    found = walk(lake, evaluation)
    assert set(found["raw_corpus"]) == {"small_fi", "small_pairs"}
    assert found["raw_corpus"]["small_fi"].counts["documents"] == 160


@pytest.fixture
def place(tmp_path) -> Workplace:
    return small_workplace(tmp_path)


ENGLISH = "This page of the manual is written in English, and nobody has translated it into Finnish as yet. "


def test_a_damaged_source_is_stopped_by_its_gate_with_exit_code_1(place):
    rows = demo_rows("gnome_help_fi", 20)
    place.data("small_gnome_fi", rows + [{"id": f"en{n}", "text": f"{ENGLISH} Page {n}."} for n in range(200)])
    result = place.tokka("run", "small", "--to", "deduplicated_corpus", "--json")
    assert result.returncode == 1
    assert "GATE FAILED  raw_corpus, partition small_fi" in result.stderr
    assert "declared_language_share = " in result.stderr
    assert "allowed >= 0.3" in result.stderr
    assert str(place.lake / "raw_corpus" / "small_fi") in result.stderr
    assert not list(place.lake.glob("clean_corpus/small_fi/*/manifest.json"))
    assert list(place.lake.glob("clean_corpus/small_pairs/*/manifest.json")), "what does not depend on it goes on"
    assert not list(place.lake.glob("duplicates/*/*/manifest.json"))
    (failure,) = json.loads(result.stdout)["gate_failures"]
    assert (failure["asset"], failure["partition"]) == ("raw_corpus", "small_fi")


def test_a_gate_that_fails_at_the_very_end_of_the_plan_is_exit_code_1_too(place):
    place.data("small_pairs", [{"id": "a", "en": "Open the file.", "fi": "Avaa tiedosto."}] * 2)
    result = place.tokka("run", "small", "--to", "raw_corpus")
    assert result.returncode == 1
    assert "duplicate_ids = 1, allowed 0" in result.stderr


def test_a_risk_taken_goes_past_the_gate_and_stays_in_the_lineage(place):
    place.data("small_gnome_fi", [*demo_rows("gnome_help_fi", 60), {"id": "gnome-help-fi/extra", "text": ""}])
    stopped = place.tokka("run", "small", "--to", "clean_corpus")
    assert stopped.returncode == 1
    assert "bad_record_share" in stopped.stderr
    gone_on = place.tokka("run", "small", "--to", "clean_corpus", "--accept-risk", "one empty page is known")
    assert gone_on.returncode == 0, gone_on.stderr
    (manifest,) = Lake.open(str(place.lake)).manifests("clean_corpus", "small_fi")
    assert list(manifest.accepted_risks.values()) == ["one empty page is known"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixture": {"sources": {"small_fi": {"epochs": -2}}}}, "mixture.sources.small_fi.epochs is -2"),
        ({"trainign": {}}, "trainign is not a known key"),
        (
            {"sources": {"small_fi": {**SMALL["sources"]["small_fi"], "files": "nowhere.gz"}}},
            "no file matches 'nowhere.gz'",
        ),
    ],
)
def test_a_wrong_recipe_is_one_line_and_exit_code_2_before_anything_runs(place, change, message):
    place.recipe("small", SMALL | {"sources": SMALL["sources"] | change.pop("sources", {})} | change)
    result = place.tokka("run", "small")
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not place.lake.exists()


@pytest.mark.parametrize(
    "arguments",
    [("run", "nobody"), ("run", "small", "--to", "nothing"), ("run", "small", "--launcher", "rocket"), ("run",)],
)
def test_wrong_usage_is_exit_code_2(place, arguments):
    result = place.tokka(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_job_that_fails_is_exit_code_3_with_its_last_words(finished):
    training = {"lr": 1e30, "min_lr": 1.0, "warmup_steps": 0}
    finished.place.recipe("small-diverging", {"extends": "small", "training": training})
    result = finished.place.tokka("run", "small-diverging", "--to", "pretraining_run")
    assert result.returncode == 3
    assert "FAILED  pretraining_run, partition small-diverging" in result.stderr
    assert "not finite" in result.stderr
    assert "Traceback" not in result.stderr
    assert " tokenized_shards " not in result.stderr, "what the two recipes share is not made again"
    assert not list(finished.place.lake.glob("pretraining_run/small-diverging/*/manifest.json"))


def test_ctrl_c_leaves_nothing_half_written_and_the_next_run_goes_on(place):
    process = place.start("run", "small", "--to", "tokenized_shards")
    wait_for_line(process, "raw_corpus")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "goes on from there" in rest
    assert not list(place.lake.glob("**/writing.json"))
    assert not [
        p
        for p in place.lake.glob("*/*/*")
        if p.is_dir() and not (p / "manifest.json").exists() and ".staging" not in p.parts
    ]
    result = place.tokka("run", "small", "--to", "clean_corpus")
    assert result.returncode == 0, result.stderr
