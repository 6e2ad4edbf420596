"""``tokka compare``, ``scoreboard``, ``passport`` and ``tainted-by`` after a whole run."""

import json
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from assets.lake import Lake
from assets.reports.sample import samples
from assets.reports.taint import TaintError, tainted_by

STEPS, BATCH = 60, 8


@pytest.fixture(scope="module")
def place(finished):
    assert finished.result.returncode == 0, finished.result.stderr
    return finished.place


@pytest.fixture(scope="module")
def lake(place):
    return Lake.open(str(place.lake))


def told(place, *arguments):
    result = place.tokka(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def tables(html):
    """The rows of each table of a page, as texts."""

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "table":
                self.found.append([])
            elif tag == "tr":
                self.found[-1].append([])
            elif tag in ("td", "th"):
                self.found[-1][-1].append("")

        def handle_data(self, data):
            if self.found and self.found[-1] and self.found[-1][-1]:
                self.found[-1][-1][-1] += data

    reader = Reader()
    reader.found = []
    reader.feed(html)
    return reader.found


def test_training_is_a_difference_beyond_chance_and_a_checkpoint_is_like_itself(place):
    found = told(place, "compare", "small@60", "small@0", "--task", "small_heldout_fi")
    (row,) = found["rows"]
    assert (row["metric"], row["better"], row["items"]) == ("bits_per_character", "a", 4)
    assert row["low"] < row["difference"] < row["high"] < 0
    assert found["a"]["name"] == "small@60" and found["a"]["evaluation"]["partition"] == "small--step-0000060"
    assert found["resamples"] >= 1_000
    same = place.tokka("compare", "small", "small@60")
    assert same.returncode == 0 and "the same on every item" in same.stdout
    assert "not compared: small_missing of small@60 is missing" in same.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("small@7", "small"), "small was not evaluated at step 7; it was at the steps 0, 60."),
        (("small@last", "small"), "'small@last' is not RECIPE or RECIPE@STEP: 'last' is no step."),
        (("small", "mini"), "mini has no scores in the lake"),
        (("small", "small@0", "--task", "nothing"), "small@60 has no task nothing"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(place, arguments, message):
    result = place.tokka("compare", *arguments)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_the_scoreboard_sets_every_recipe_beside_the_paper(place, tmp_path):
    found = told(place, "scoreboard")
    assert [table["source"].split()[-1] for table in found["tables"]] == ["1", "2", "3", "6", "7", "8"]
    finbench = found["tables"][3]["lines"]
    assert finbench[0]["paper"]["Poro 34B"] == 77.69 and finbench[0]["ours"] == {"small@60": None}
    assert {row["step"] for row in found["scores"]} == {0, 60}
    html, markdown = tmp_path / "board.html", tmp_path / "board.md"
    assert place.tokka("scoreboard", "--html", str(html), "--markdown", str(markdown)).returncode == 0
    rows = [row for table in tables(html.read_text("utf-8")) for row in table]
    assert ["Analogies", "–", "–", "77.69", "61.54", "57.69", "43.85", "40.00", "36.15", "46.15", "66.92"] in rows
    assert next(row for row in rows if row[0] == "small_heldout_fi")[1] == "bits_per_character"
    text = markdown.read_text("utf-8")
    assert "| small_missing |" in text and (tmp_path / "bits-per-character-over-tokens.png").is_file()
    again = tmp_path / "again.html"
    place.tokka("scoreboard", "--html", str(again))
    assert again.read_bytes() == html.read_bytes()


def test_a_passport_walks_a_score_back_to_its_corpora(place, lake, tmp_path):
    found = told(place, "passport", "small", "--step", "60", "--task", "small_heldout_fi")
    (score,) = (row for row in found["scores"] if row["metric"] == "bits_per_character")
    assert score["items"] == 4 and score["stderr"] > 0
    (run,) = found["training"]
    assert run["samples"] == [0, STEPS * BATCH] and run["samples_left_out"] == []
    (mixture,) = (m for m in lake.manifests("mixture") if m.name == run["mixture"])
    every = samples(lake, mixture, range(STEPS * BATCH))
    for source in run["sources"]:
        assert source["samples"] == sum(sample.source == source["source"] for sample in every)
        assert source["epochs_seen"] == source["samples"] * 64 / source["tokens"]
        assert set(source["documents"]) == {
            "raw_corpus",
            "clean_corpus",
            "deduplicated_corpus",
            "decontaminated_corpus",
        }
    assert {s["source"]: s["licence"] for s in run["sources"]} == {"small_fi": "MPL-2.0", "small_pairs": "MPL-2.0"}
    for version in found["versions"]:
        asset, partition, name = version["version"].split("/")
        assert lake.find(asset, partition, name).digest == version["digest"]
    gates = {row["version"].split("/")[0]: row["judged"] for row in found["gates"]}
    assert {"raw_corpus", "tokenizer", "mixture", "pretraining_run", "checkpoint", "evaluation"} <= set(gates)
    assert gates["evaluation"] == "passed with warnings" and gates["checkpoint"] == "passed"
    assert found["cost"]["all_versions"]["co2_kg"] > 0 and found["evaluation"]["libraries"]["lm_eval"]
    assert len({f["sha256"] for shard in found["shards"] for f in shard["files"]}) == 4
    path = tmp_path / "passport.html"
    assert place.tokka("passport", "small", "--html", str(path)).returncode == 0
    assert found["checkpoint"]["digest"] in path.read_text("utf-8")
    shown = place.tokka("passport", "small", "--task", "small_heldout_fi")
    assert shown.returncode == 0 and "Passport of small at step 60" in shown.stdout
    wrong = place.tokka("passport", "small", "--task", "nothing")
    assert wrong.returncode == 2 and "has no task 'nothing'; it has small_heldout_fi" in wrong.stderr


def test_a_document_is_followed_to_the_steps_and_scores_that_saw_it(place, lake):
    (run,) = lake.manifests("pretraining_run", "small")
    (mixture,) = (lake.manifest(ref) for ref in run.inputs if ref.asset == "mixture")
    every = samples(lake, mixture, range(STEPS * BATCH))
    document = every[100].segments[0].document
    expected = [s.number for s in every if any(segment.document == document for segment in s.segments)]
    found = told(place, "tainted-by", document)
    (training,) = (t for t in found["document"]["training"] if t["run"] == run.name)
    assert training["samples"] == expected
    assert training["steps"] == sorted({number // BATCH + 1 for number in expected})
    assert [(c["step"], c["why"]) for c in found["checkpoints"]] == [
        (60, f"trained on it, first in step {expected[0] // BATCH + 1}")
    ]
    assert {row["step"] for row in found["scores"]} == {60}
    shown = place.tokka("tainted-by", document)
    assert shown.returncode == 0 and f"{run.name} trained on it in {len(training['steps'])} steps" in shown.stdout


def test_a_document_that_was_removed_touches_no_weight(lake):
    (clean,) = lake.manifests("clean_corpus", "small_fi")
    (entry,) = clean.under("removed")
    with lake.open_file(clean, entry.path) as stream:
        gone = pq.read_table(stream)["id"][0].as_py()
    found = tainted_by(lake, gone)
    assert [origin["version"].split("/")[0] for origin in found["origins"]] == ["raw_corpus"]
    assert found["checkpoints"] == found["scores"] == found["document"]["training"] == []


def test_a_version_or_a_file_is_followed_to_everything_made_from_it(place, lake):
    (raw,) = lake.manifests("raw_corpus", "small_pairs")
    by_name, by_digest = told(place, "tainted-by", raw.name), tainted_by(lake, raw.digest[:10])
    assert by_name["versions"] == by_digest["versions"]
    assets = {version["version"].split("/")[0] for version in by_name["versions"]}
    assert {"raw_corpus", "tokenizer", "mixture", "pretraining_run", "checkpoint", "evaluation", "model_card"} <= assets
    assert not any(v["version"].startswith("raw_corpus/small_fi") for v in by_name["versions"])
    assert {c["step"] for c in by_name["checkpoints"]} == {0, 60}
    (entry,) = raw.under("documents")
    assert tainted_by(lake, entry.sha256[:12])["origins"] == [
        {"version": raw.name, "digest": raw.digest, "file": entry.path}
    ]
    (card,) = lake.manifests("model_card", "small")
    last = tainted_by(lake, card.name)
    assert [v["version"] for v in last["versions"]] == [card.name] and last["scores"] == []


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nothing", "Nothing in the lake"),
        ("small_fi:nowhere", "small_fi, small_pairs"),
        ("fffffffffffff", "Nothing in the lake"),
    ],
)
def test_what_is_not_in_the_lake_is_refused(lake, what, message):
    with pytest.raises(TaintError, match=message):
        tainted_by(lake, what)
