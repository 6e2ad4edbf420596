"""mixture, with the index that the real job builds, and its gate."""

import numpy as np
import pytest

from assets.lake import Identity
from assets.mixture.blend import MixtureError
from assets.mixture.show import repeated
from assets.mixture.stage import STAGE
from assets.shards.indexed import ShardError, read_shard
from assets.shards.parts import shard_prefixes
from assets.stage import Plot, Table
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import failed_columns, judged, make_version, put_documents
from tests.mixtures import build, catalog_with, make_shards, mix

CATALOG = catalog_with()
IN_FILES = catalog_with(
    tokenizer__shard_bytes=2_000, mixture__validation_share=0.1, mixture__validation_samples=5, training__steps=30
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mixture"), CATALOG)


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """Sources of several files, each with a tenth of its documents kept for validation."""
    return build(tmp_path_factory.mktemp("divided"), IN_FILES)


def test_a_good_mixture_passes(built):
    receipt = judged(STAGE, built.lake, built.mixture, CATALOG)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert built.mixture.counts == {"sources": 2, "samples": 16, "tokens": 256}
    assert set(receipt.numbers) == {"epochs", "share_deviation", "sources"}


def test_sources_are_weighed_by_their_tokens_and_epochs(built):
    tokens = {source: made.counts["tokens"] for source, made in built.shards.items()}
    sources = built.lake.read_json(built.mixture, "mixture.json")["sources"]
    total = 2 * tokens["docs_fi"] + tokens["docs_pairs"]
    assert {s["source"]: s["tokens"] for s in sources} == tokens
    assert [s["weight"] for s in sources] == pytest.approx(
        [2 * tokens["docs_fi"] / total, tokens["docs_pairs"] / total]
    )
    assert [s["wanted_epochs"] for s in sources] == [2, 1]


def test_the_index_is_built_and_nothing_in_it_names_a_place(built):
    folder = built.lake.local(built.mixture) / "index"
    assert sum(path.suffix == ".npy" for path in folder.iterdir()) == 2 + 3 * 2
    for path in folder.iterdir():
        assert built.lake.root.encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["built", "divided"])
def test_the_unigram_counts_are_those_of_the_blend(name, request):
    made = request.getfixturevalue(name)
    counts = np.load(made.lake.local(made.mixture) / "unigram.npy")
    sources = made.lake.read_json(made.mixture, "mixture.json")["sources"]
    expected = np.zeros(400)
    for source in sources:
        shards = [
            read_shard(
                made.lake.local(made.lake.find(*f["prefix"].split("/")[:3])) / "shards" / f["prefix"].split("/")[-1]
            )
            for f in source["files"]
        ]
        trained = [np.asarray(s.tokens[: f["tokens"]]) for s, f in zip(shards, source["files"], strict=True)]
        tokens = np.concatenate(trained)
        assert len(tokens) == source["tokens"]
        expected += source["weight"] * np.bincount(tokens, minlength=400) / len(tokens)
    expected *= sum(s["tokens"] for s in sources)
    assert len(counts) == 400
    assert np.abs(counts - expected).max() <= 0.5


def test_people_see_the_blend(built):
    shown = STAGE.show(built.lake, built.mixture)
    assert [row["source"] for row in shown["blend"].rows] == ["docs_fi", "docs_pairs", "all sources"]
    assert isinstance(shown["original and sampled"], Plot)
    assert shown["max_epochs"] > 0
    assert "validation" not in shown and "repeated often" not in shown


def test_lakes_at_different_places_get_the_same_bytes(built, tmp_path):
    place = tmp_path / "a" / "deeper" / "place"
    place.mkdir(parents=True)
    assert build(place, CATALOG).mixture.digest == built.mixture.digest


def damaged(built, change):
    """A version like the good one whose ``mixture.json`` and ``index.json`` were changed."""
    lake, made = built.lake, built.mixture
    who = Identity(made.asset, made.partition, {"damaged": change.__name__}, made.code, tuple(made.inputs))
    described, index = lake.read_json(made, "mixture.json"), lake.read_json(made, "index/index.json")
    change(described["sources"], index["samples_per_file"])
    with lake.write(who) as out:
        out.write_json("mixture.json", described)
        out.write_json("index/index.json", index)
        out.counts.update(made.counts)
    return lake.find(made.asset, made.partition, who.version)


def shares_that_do_not_sum_to_one(sources, index):
    sources[0]["weight"] += 0.001


def a_source_repeated_too_often(sources, index):
    sources[1]["epochs"] = 8.5


def samples_missing(sources, index):
    index[sources[0]["files"][0]["prefix"]] -= 1


def samples_too_many(sources, index):
    index[sources[0]["files"][0]["prefix"]] += 1


def other_tokens(sources, index):
    sources[1]["tokens"] -= 1


def a_source_smaller_than_a_sample(sources, index):
    sources[1]["tokens"] = 16


def a_source_drawn_too_often(sources, index):
    index[sources[0]["files"][0]["prefix"]] += 3
    index[sources[1]["files"][0]["prefix"]] -= 3


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (shares_that_do_not_sum_to_one, "share_error"),
        (a_source_repeated_too_often, "epochs"),
        (samples_missing, "samples_missing"),
        (samples_too_many, "samples_missing"),
        (other_tokens, "tokens_differ"),
        (a_source_smaller_than_a_sample, "sources_too_small"),
        (a_source_drawn_too_often, "share_deviation"),
    ],
)
def test_a_damaged_mixture_is_stopped(built, change, column):
    receipt = judged(STAGE, built.lake, damaged(built, change), CATALOG)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def a_source_without_index(sources, index):
    del index[sources[0]["files"][0]["prefix"]]


def test_a_source_that_the_index_does_not_know_is_stopped(built):
    receipt = judged(STAGE, built.lake, damaged(built, a_source_without_index), CATALOG)
    assert not receipt.passed and "could not judge" in receipt.error


def weights_that_repeat(sources, index):
    for source in sources:
        source["wanted_epochs"] = None
    sources[0]["epochs"] = 5


def test_repeating_a_source_often_is_a_warning_and_no_failure(built):
    receipt = judged(STAGE, built.lake, built.mixture, catalog_with(mixture__warn_epochs=1.5))
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("repeats", "warning")]


def test_a_mixture_by_weights_is_warned_of_the_epochs_that_follow(built):
    receipt = judged(STAGE, built.lake, damaged(built, weights_that_repeat), CATALOG)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("repeats", "warning")]


def test_the_code_that_orders_the_samples_decides_the_version():
    assert {"assets.mixture.blend", "training_jobs.build_index", "training_jobs.data"} <= set(STAGE.code)


def test_a_source_of_several_files_is_blended_by_their_tokens(divided):
    described = divided.lake.read_json(divided.mixture, "mixture.json")
    for source in described["sources"]:
        shards = divided.shards[source["source"]]
        assert len(source["files"]) > 2
        assert [f["prefix"] for f in source["files"]] == [f"{shards.name}/{p}" for p in shard_prefixes(shards)]
        assert sum(f["tokens"] for f in source["files"]) == source["tokens"]
        for file in source["files"]:
            assert file["weight"] == pytest.approx(source["weight"] * file["tokens"] / source["tokens"])
    index = divided.lake.read_json(divided.mixture, "index/index.json")
    assert sum(index["samples_per_file"].values()) == described["samples"] == 120
    receipt = judged(STAGE, divided.lake, divided.mixture, IN_FILES)
    assert receipt.passed and not [e for e in receipt.failed if e.severity == "critical"], receipt.failed


def test_documents_kept_for_validation_are_the_last_of_every_file_and_pairs_stay_together(divided):
    import pyarrow.parquet as pq

    described = divided.lake.read_json(divided.mixture, "mixture.json")
    assert described["validation_share"] == 0.1 and described["validation_samples"] == 5
    for source in described["sources"]:
        manifest = divided.shards[source["source"]]
        trained, held = set(), set()
        documents = 0
        for file in source["files"]:
            folder = divided.lake.local(manifest)
            ids = pq.read_table(folder / f"documents/{file['prefix'].split('/')[-1]}.parquet")["document"].to_pylist()
            cut = file["training_documents"]
            trained |= set(ids[:cut])
            held |= set(ids[cut : cut + file["validation_documents"]])
            documents += len(ids)
            # At most one more pair than a tenth, and whole documents of the file's end.
            assert round(0.1 * len(ids)) <= len(ids) - cut <= round(0.1 * len(ids)) + 1
        assert held and not trained & held, source["source"]
        assert source["validation_documents"] >= 0.05 * documents
        assert source["tokens"] + source["validation_tokens"] == manifest.counts["tokens"]
    assert divided.mixture.counts["validation_tokens"] == sum(s["validation_tokens"] for s in described["sources"])


def test_people_see_what_is_kept_for_validation(divided):
    shown = STAGE.show(divided.lake, divided.mixture)
    rows = shown["validation"].rows
    assert [row["source"] for row in rows] == ["docs_fi", "docs_pairs"]
    assert all(row["documents"] > 0 and row["tokens"] > 0 for row in rows)
    assert isinstance(shown["blend"], Table)
    (whole,) = [row for row in shown["blend"].rows if row["source"] == "all sources"]
    assert whole["sampled tokens"] == pytest.approx(120 * 16, abs=2) and whole["sampled share"] == pytest.approx(1)


def test_a_source_too_small_to_be_validated_is_named_and_warned_of(divided):
    """What the index says of such a source: ``tests/training_jobs/test_validation.py``."""
    lake, made = divided.lake, divided.mixture
    who = Identity(made.asset, made.partition, {"validated": "one"}, made.code, tuple(made.inputs))
    index = lake.read_json(made, "index/index.json")
    assert set(index["validation"]) == {"docs_fi", "docs_pairs"}
    del index["validation"]["docs_pairs"]
    with lake.write(who) as out:
        out.write_json("mixture.json", lake.read_json(made, "mixture.json"))
        out.write_json("index/index.json", index)
    small = lake.find(made.asset, made.partition, who.version)
    rows = {row["source"]: row for row in STAGE.show(lake, small)["validation"].rows}
    assert rows["docs_pairs"]["samples"] == 0 and "too small" in rows["docs_pairs"]["what"]
    assert rows["docs_fi"]["samples"] == 5 and not rows["docs_fi"]["what"]
    receipt = judged(STAGE, lake, small, IN_FILES)
    assert receipt.passed
    assert "not_validated" in {e.column for e in receipt.failed if e.severity == "warning"}


def test_shards_of_another_tokenizer_than_the_recipes_are_refused(built, tmp_path):
    other = catalog_with(tokenizer__sample_bytes=5_000)
    newer = make_version(TOKENIZER, built.lake, other, "tiny-bpe", {"decontaminated_corpus": built.corpora})
    assert newer.digest != built.tokenizer.digest
    with pytest.raises(
        MixtureError, match=rf"docs_fi, docs_pairs were made with {built.tokenizer.name}, but .*{newer.name}"
    ):
        mix(built.lake, CATALOG, built.shards, newer, tmp_path / "all", None)
    one = make_shards(built.lake, other, "docs_fi", built.corpora["docs_fi"], newer)
    with pytest.raises(ShardError, match=r"was made with tokenizer/tiny-bpe/.* Make the shards again"):
        mix(built.lake, CATALOG, built.shards | {"docs_fi": one}, newer, tmp_path / "one", None)


def test_an_id_that_the_tokenizer_does_not_have_is_refused_with_file_and_offset(tmp_path):
    damaged = build(tmp_path, CATALOG)
    (prefix,) = shard_prefixes(damaged.shards["docs_fi"])
    path = damaged.lake.local(damaged.shards["docs_fi"]) / f"{prefix}.bin"
    content = bytearray(path.read_bytes())
    content[41] = 0xFF
    path.write_bytes(content)
    found = content[40] + 0xFF00
    with pytest.raises(
        MixtureError, match=rf"part-00000\.bin, offset 40: the id {found}; allowed are 0 to 399, .* damaged"
    ):
        mix(damaged.lake, catalog_with(training__seed=7), damaged.shards, damaged.tokenizer, tmp_path / "again", None)


def test_a_source_with_fewer_tokens_than_a_sample_is_refused(built, tmp_path):
    corpus = put_documents(built.lake, "decontaminated_corpus", "docs_fi", ["Tallenna."])
    shards = make_shards(built.lake, CATALOG, "docs_fi", corpus, built.tokenizer)
    tokens = int(shards.counts["tokens"])
    with pytest.raises(
        MixtureError, match=rf"docs_fi has {tokens} tokens to train on; a sample needs 17\. Leave it out"
    ):
        mix(built.lake, CATALOG, built.shards | {"docs_fi": shards}, built.tokenizer, tmp_path / "scratch", None)


def test_a_source_repeated_more_than_four_times_is_named():
    entry = {"source": "web", "epochs": 4.5, "wanted_epochs": 4.0}
    often = {"source": "news", "epochs": 1.0, "wanted_epochs": 5.0}
    seldom = {"source": "wiki", "epochs": 4.0, "wanted_epochs": None}
    first, second = repeated([entry, often, seldom])
    assert first.startswith("web is passed over 4.5 times; above 4 ") and second.startswith(
        "news is passed over 5 times"
    )
