"""``tokka sample`` after a whole run."""

import json

from orchestration.cli.output import printable


def test_the_samples_of_a_step_are_listed_with_their_documents(finished):
    assert finished.result.returncode == 0, finished.result.stderr
    result = finished.place.tokka("sample", "small", "3")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "small, step 3 of 60: samples 16 to 23, 8 of them shown"
    assert lines[1].startswith("pretraining_run/small/")
    assert sum(line.startswith("sample ") for line in lines) == 8
    assert any(" tokens " in line and line.startswith("  small_") for line in lines)
    assert any("from decontaminated_corpus/small_" in line and "shards/part-00000" in line for line in lines)


def test_as_json_every_segment_names_a_document_that_is_in_the_lake(finished):
    result = finished.place.tokka("sample", "small", "60", "--json", "--samples", "2")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["batch"] == [472, 480] and [s["number"] for s in found["samples"]] == [472, 473]
    assert found["pretraining_run"].startswith("pretraining_run/small/")
    for sample in found["samples"]:
        assert sum(len(segment["ids"]) for segment in sample["segments"]) == 65
        for segment in sample["segments"]:
            assert (finished.place.lake / segment["source_version"] / "manifest.json").is_file()
    document = found["samples"][0]["segments"][0]["document"]
    why = finished.place.tokka("why", document, "--json")
    assert why.returncode == 0 and "tokenized" in {passage["decision"] for passage in json.loads(why.stdout)}


def test_a_step_that_the_run_does_not_have_and_a_recipe_that_was_not_run_are_refused(finished):
    for step in ("0", "61"):
        result = finished.place.tokka("sample", "small", step)
        assert result.returncode == 2 and result.stdout == ""
        assert result.stderr.strip() == f"tokka: There is no step {step}: the run has the steps 1 to 60."
    result = finished.place.tokka("sample", "mini", "1")
    assert result.returncode == 2 and "tokka: mini has no mixture in the lake" in result.stderr
    assert "`tokka run mini --to mixture` makes it" in result.stderr


def test_a_corpus_cannot_steer_the_terminal():
    assert printable("a\x1b[31mb\rc\tÄ ⟦</s>⟧") == "a\\x1b[31mb\\rc\tÄ ⟦</s>⟧"
