"""``tokka why`` walks a document through the stages of a finished run."""

import json

import pyarrow.parquet as pq
import pytest

from assets.lake import Lake
from assets.reports.document import DocumentError, document_passages


@pytest.fixture
def lake(finished):
    return Lake.open(str(finished.place.lake))


def rows(lake, asset, partition, folder):
    (manifest,) = lake.manifests(asset, partition)
    (entry,) = manifest.under(folder)
    with lake.open_file(manifest, entry.path) as stream:
        return pq.read_table(stream).to_pylist()


def test_a_document_that_was_trained_on_is_followed_to_its_tokens(lake):
    kept = rows(lake, "decontaminated_corpus", "small_pairs", "documents")[0]
    passages = document_passages(lake, kept["id"])
    assert [p.asset for p in passages[:5]] == [
        "raw_corpus",
        "clean_corpus",
        "deduplicated_corpus",
        "decontaminated_corpus",
        "tokenized_shards",
    ]
    # A run that was killed, or another test, may have left a second mixture.
    assert {p.asset for p in passages[5:]} == {"mixture"}
    assert (passages[4].decision, passages[5].decision) == ("tokenized", "mixed")
    first, second = (r for r in rows(lake, "tokenized_shards", "small_pairs--small-bpe", "documents")
                     if r["document"] == kept["id"])  # fmt: skip
    for rendering in (first, second):
        assert f"{rendering['rendering']}: tokens {rendering['token_offset']:,} to" in passages[4].what


def test_a_document_that_cleaning_removed_says_why_and_stops_there(lake):
    gone = rows(lake, "clean_corpus", "small_fi", "removed")[0]
    passages = document_passages(lake, gone["id"])
    assert [p.decision for p in passages] == ["read", "removed"]
    assert gone["reason"] in passages[-1].what


def test_a_duplicate_names_its_survivor_and_the_survivor_what_it_stands_for(lake):
    gone = rows(lake, "deduplicated_corpus", "small_fi", "removed")[0]
    assert gone["survivor"] in document_passages(lake, gone["id"])[-1].what
    stays = {p.asset: p for p in document_passages(lake, gone["survivor"])}["deduplicated_corpus"]
    assert "stands for" in stays.what and gone["id"] in stays.what


def test_an_edited_document_shows_the_lines_that_went(lake):
    raw = {r["id"]: r["text"] for r in rows(lake, "raw_corpus", "small_fi", "documents")}
    clean = rows(lake, "clean_corpus", "small_fi", "documents")
    cut = next(r for r in clean if any(line not in r["text"] for line in raw[r["id"]].splitlines() if line.strip()))
    passage = document_passages(lake, cut["id"])[1]
    assert passage.decision == "edited"
    gone = [d[2:] for d in passage.details if d.startswith("- ")]
    assert gone and all(line in raw[cut["id"]] for line in gone)


def test_an_unknown_document_names_the_sources(lake):
    with pytest.raises(DocumentError, match="small_fi, small_pairs"):
        document_passages(lake, "small_fi:there is none")


def test_the_command_prints_json_and_fails_with_one_line(finished, lake):
    gone = rows(lake, "clean_corpus", "small_fi", "removed")[0]
    told = json.loads(finished.place.tokka("why", gone["id"], "--json").stdout)
    assert told[-1]["decision"] == "removed"
    failed = finished.place.tokka("why", "nothing:1")
    assert failed.returncode == 2 and "No raw corpus" in failed.stderr and "Traceback" not in failed.stderr
