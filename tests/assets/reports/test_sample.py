"""What a training step saw: exactly the ids that the blended dataset gives, walked back to documents of the lake."""

import json
import subprocess
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from assets.lake import Identity, Lake, ranges
from assets.lake.documents import read_all
from assets.recipe.model import Recipe
from assets.reports.consumed import Training, samples_by_source, samples_with
from assets.reports.sample import Consumed, SampleError, consumed, samples, step_samples
from assets.tokenizer import bpe
from tests.conftest import RECIPE, changed
from tests.mixtures import build, catalog_with
from tests.servers import s3_server

STEPS, BATCH, SEQUENCE = 60, 4, 16
CATALOG = catalog_with(tokenizer__shard_bytes=2_000, mixture__validation_share=0.1, training__steps=STEPS)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sources of several files, one of documents and one of pairs."""
    return build(tmp_path_factory.mktemp("sample"), CATALOG)


@pytest.fixture(scope="module")
def every(built):
    """All samples of the run."""
    return samples(built.lake, built.mixture, range(STEPS * BATCH))


def opened(built):
    from pathlib import Path

    from training_jobs.data import open_mixture

    return open_mixture(built.lake.local(built.mixture), Path(built.lake.root))[0]


def test_the_ids_are_those_of_the_blended_dataset(built, every):
    dataset = opened(built)
    assert len(every) == STEPS * BATCH
    for sample in every:
        item = dataset[sample.number]
        assert sample.ids[:-1] == item["tokens"].tolist()
        assert sample.ids[1:] == item["labels"].tolist()


def encoded(built, segment):
    """A document's ids, encoded anew from the text in the version that the segment names."""
    asset, source, version = segment.source_version.split("/")
    corpus = built.lake.find(asset, source, version)
    assert asset == "decontaminated_corpus" and source == segment.source == segment.document.split(":")[0]
    rows = read_all(built.lake, corpus, ["id", "text", "translation"])
    (row,) = rows.filter(pc.equal(rows["id"], segment.document)).to_pylist()
    tokenizer = bpe.load(str(built.lake.local(built.tokenizer) / "tokenizer.json"))

    def ids(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    if segment.rendering == "document":
        return [*ids(row["text"]), bpe.END_OF_DOCUMENT]
    sides = {"en": row["text"], "fi": row["translation"]}
    origin, target = segment.rendering.split("-")
    prompt = CATALOG.recipe("tiny").pair_template.instructions[target] + sides[origin] + " "
    return [bpe.USER, *ids(prompt), bpe.ASSISTANT, *ids(sides[target]), bpe.END_OF_DOCUMENT]


def test_every_token_is_walked_back_to_a_document_of_the_lake(built, every):
    documents = {}
    for sample in every:
        for segment in sample.segments:
            key = (segment.document, segment.rendering)
            if key not in documents:
                documents[key] = encoded(built, segment)
            whole = documents[key]
            assert segment.length == len(whole)
            assert segment.ids == whole[segment.start : segment.start + len(segment.ids)]
    assert {rendering for _, rendering in documents} == {"document", "en-fi", "fi-en"}
    shards = {segment.shard for sample in every for segment in sample.segments}
    assert {source: sum(source in shard for shard in shards) > 2 for source in ("docs_fi", "docs_pairs")} == {
        "docs_fi": True,
        "docs_pairs": True,
    }


def test_samples_hold_parts_of_documents_in_every_way(every):
    """Within one document, from its start, to its end, over a boundary, and over a whole document."""
    within = [s for s in every if len(s.segments) == 1]
    several = [s for s in every if len(s.segments) > 1]
    assert any(0 < s.segments[0].start < s.segments[0].length - SEQUENCE - 1 for s in within)
    assert any(s.segments[0].start == 0 for s in every)
    for sample in several:
        first, *_, last = sample.segments
        assert first.start + len(first.ids) == first.length and first.ids[-1] == bpe.END_OF_DOCUMENT
        assert all(segment.start == 0 for segment in sample.segments[1:])
        assert 0 < len(last.ids) <= last.length
    assert several and all(len(s.ids) == SEQUENCE + 1 for s in every)


def test_special_tokens_are_shown_as_such_and_text_is_text(every):
    texts = [segment.text for sample in every for segment in sample.segments]
    whole = "".join(texts)
    assert "⟦</s>⟧" in whole and "⟦<|user|>⟧Translate into" in whole and "⟦<|assistant|>⟧" in whole
    assert "Tallenna" in whole
    for sample in every:
        for segment in sample.segments:
            assert segment.text.count("⟦") == sum(token < len(bpe.SPECIAL_TOKENS) for token in segment.ids)


def test_no_sample_is_cut_from_a_document_kept_for_validation(built, every):
    sources = built.lake.read_json(built.mixture, "mixture.json")["sources"]
    limits = {file["prefix"]: file["training_documents"] for source in sources for file in source["files"]}
    assert all(segment.number < limits[segment.shard] for sample in every for segment in sample.segments)


def test_a_step_is_its_part_of_the_samples(built, every):
    trained = consumed(built.lake, CATALOG.recipe("tiny"), None, built.mixture.ref)
    assert (trained.steps, trained.global_batch, trained.run) == (STEPS, BATCH, None)
    assert step_samples(built.lake, trained, 1) == every[:BATCH]
    assert step_samples(built.lake, trained, STEPS) == every[-BATCH:]
    assert step_samples(built.lake, trained, 3, limit=2) == every[2 * BATCH : 2 * BATCH + 2]
    for step in (0, -1, STEPS + 1):
        with pytest.raises(SampleError, match=rf"no step {step}: the run has the steps 1 to {STEPS}"):
            step_samples(built.lake, trained, step)


def test_a_run_is_shown_with_the_mixture_and_the_batch_that_it_was_trained_with(built):
    """The recipe may have changed since."""
    who = Identity("pretraining_run", "tiny", {"training": {"steps": 30, "global_batch": 8}}, "c", (built.mixture.ref,))
    with built.lake.write(who) as out:
        out.write_json("summary.json", {})
    run = built.lake.find(who.asset, who.partition, who.version)
    trained = consumed(built.lake, CATALOG.recipe("tiny"), run.ref, None)
    assert trained == Consumed(built.mixture, 30, 8, run)
    assert [sample.number for sample in step_samples(built.lake, trained, 30)] == list(range(232, 240))


def test_a_recipe_without_a_mixture_or_with_another_schedule_is_refused(built):
    recipe = CATALOG.recipe("tiny")
    with pytest.raises(SampleError, match=r"tiny has no mixture in the lake .* yet\. `tokka run tiny --to mixture`"):
        consumed(built.lake, recipe, None, None)
    other = Recipe.model_validate(changed(RECIPE, training__seed=99, training__steps=60, training__checkpoints=[60]))
    with pytest.raises(SampleError, match="made with seed = 1234, the recipe says 99 now"):
        consumed(built.lake, other, None, built.mixture.ref)


def test_neither_torch_nor_megatron_is_loaded(built):
    code = (
        "import sys; from assets.lake import Lake; from assets.reports.sample import samples;"
        f"lake = Lake.open({built.lake.uri!r}); (mixture,) = lake.manifests('mixture');"
        "assert len(samples(lake, mixture, range(4))) == 4;"
        "print([name for name in ('torch', 'megatron', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def damaged(built, tmp_path, change):
    """The mixture in a copy of the lake in which something was changed."""
    import shutil

    root = tmp_path / "lake"
    shutil.copytree(built.lake.root, root)
    lake = Lake.open(str(root))
    change(lake, built)
    return lake


def other_document_index(lake, built):
    for manifest in built.shards.values():
        path = lake.local(manifest) / "documents/part-00001.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(1, "length", pc.add(table["length"], 1)), path)


def another_shard(lake, built):
    for manifest in built.shards.values():
        path = lake.local(manifest) / "shards/part-00001.idx"
        raw = bytearray(path.read_bytes())
        raw[34:38] = np.int32(7_777).tobytes()
        path.write_bytes(bytes(raw))


def no_shuffle(lake, built):
    for path in (lake.local(built.mixture) / "index").glob("*train-shuffle_index.npy"):
        path.unlink()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (other_document_index, r"documents/part-00001\.parquet does not fit .*part-00001\.idx: of document"),
        (another_shard, r"does not fit"),
        (no_shuffle, r"index file .*shuffle_index\.npy cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(built, tmp_path, change, sentence):
    with pytest.raises(SampleError, match=sentence):
        samples(damaged(built, tmp_path, change), built.mixture, range(STEPS * BATCH))


def test_a_sample_that_the_index_does_not_have_is_refused(built):
    with pytest.raises(SampleError, match=r"no sample 1,000,000: the mixture's index has"):
        samples(built.lake, built.mixture, [1_000_000])


@pytest.mark.s3
def test_in_s3_the_mixture_and_its_samples_are_the_same_and_no_shard_is_copied(built, every, tmp_path, monkeypatch):
    with s3_server(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TOKKA_CACHE", str(tmp_path / "cache"))
        remote = build(tmp_path, CATALOG, Lake.open("s3://lake/sample"))
        assert (
            json.loads(remote.mixture.model_dump_json())["files"]
            == json.loads(built.mixture.model_dump_json())["files"]
        )
        ranges._blocks.reset()
        assert samples(remote.lake, remote.mixture, range(STEPS * BATCH)) == every
    assert not list((tmp_path / "cache").rglob("*.bin"))


def training_on(built, *left_out):
    return Training(built.mixture, built.mixture.ref, BATCH, SEQUENCE, STEPS, left_out)


def test_the_samples_that_hold_a_document_are_found_without_reading_the_others(built, every):
    holders = {}
    for sample in every:
        for segment in sample.segments:
            holders.setdefault((segment.shard, segment.number), set()).add(sample.number)
    for (shard, number), expected in sorted(holders.items()):
        found = samples_with(built.lake, built.mixture, {shard: [number]})
        assert found.tolist() == sorted(expected), (shard, number)
    shard = min(holders)[0]
    together = {number for (of, number) in holders if of == shard}
    found = samples_with(built.lake, built.mixture, {shard: together})
    assert found.tolist() == sorted(set().union(*(holders[shard, number] for number in together)))


def test_a_document_that_is_kept_for_validation_is_in_no_sample(built):
    described = built.lake.read_json(built.mixture, "mixture.json")
    file = next(f for s in described["sources"] for f in s["files"] if f["validation_documents"])
    kept = range(file["training_documents"], file["training_documents"] + file["validation_documents"])
    assert samples_with(built.lake, built.mixture, {file["prefix"]: kept}).tolist() == []


@pytest.mark.parametrize("step", [0, 1, 17, STEPS])
def test_samples_are_counted_by_source_up_to_a_step_without_those_left_out(built, every, step):
    def counted(samples):
        return {source: sum(s.source == source for s in samples) for source in ("docs_fi", "docs_pairs")}

    assert samples_by_source(built.lake, training_on(built), step) == counted(every[: step * BATCH])
    kept = [s for s in every[: step * BATCH] if not 40 <= s.number < 80]
    assert samples_by_source(built.lake, training_on(built, (40, 80)), step) == counted(kept)


def test_what_a_step_left_out_was_not_trained_on(built):
    numbers = np.array([3, 39, 40, 79, 80, 200])
    training = training_on(built, (40, 80))
    assert training.trained(numbers).tolist() == [3, 39, 80, 200]
    assert training.trained(numbers, step=21).tolist() == [3, 39, 80]
