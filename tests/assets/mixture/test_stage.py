"""mixture, with the index that the real job builds, and its gate."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from assets.lake import Identity, Lake
from assets.mixture.stage import STAGE
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.shards.indexed import read_shard
from assets.shards.stage import SHARD
from assets.shards.stage import STAGE as SHARDS
from assets.stage import Plot
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import (
    FINNISH,
    PAIRS,
    RECIPE,
    changed,
    failed_columns,
    judged,
    make_version,
    passing_receipt,
    put_documents,
)


def catalog_with(**changes):
    return Catalog.of([Recipe.model_validate(changed(RECIPE, **changes))])


CATALOG = catalog_with()


def run_job(request):
    """The job as a launcher starts it, without one."""
    environment = {**os.environ, **request.environment}
    command = [sys.executable, "-m", request.module, str(request.spec)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@dataclass(frozen=True)
class Built:
    lake: Lake
    shards: dict
    mixture: object


def build(root, catalog=CATALOG):
    """The whole way from documents to a mixture, in a lake at ``root``."""
    lake = Lake.open(str(root / "lake"))
    english, finnish = zip(*PAIRS, strict=True)
    corpora = {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", FINNISH),
        "docs_pairs": put_documents(lake, "decontaminated_corpus", "docs_pairs", list(english), list(finnish)),
    }
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})
    shards = {}
    for source, corpus in corpora.items():
        key = f"{source}--tiny-bpe"
        inputs = {"decontaminated_corpus": {source: corpus}, "tokenizer": {"tiny-bpe": tokenizer}}
        shards[key] = make_version(SHARDS, lake, catalog, key, inputs)
        passing_receipt(lake, shards[key])
    scratch = root / "scratch"
    scratch.mkdir()
    made = make_version(STAGE, lake, catalog, "tiny", {"tokenized_shards": shards}, scratch, run_job)
    return Built(lake, shards, made)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mixture"))


def test_a_good_mixture_passes(built):
    receipt = judged(STAGE, built.lake, built.mixture, CATALOG)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert built.mixture.counts == {"sources": 2, "samples": 16, "tokens": 256}
    assert set(receipt.numbers) == {"epochs", "share_deviation", "sources"}


def test_sources_are_weighed_by_their_tokens_and_epochs(built):
    tokens = {key.split("--")[0]: made.counts["tokens"] for key, made in built.shards.items()}
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


def test_the_unigram_counts_are_those_of_the_blend(built):
    counts = np.load(built.lake.local(built.mixture) / "unigram.npy")
    sources = built.lake.read_json(built.mixture, "mixture.json")["sources"]
    expected = np.zeros(400)
    for source in sources:
        tokens = np.asarray(read_shard(built.lake.local(built.shards[f"{source['source']}--tiny-bpe"]) / SHARD).tokens)
        expected += source["weight"] * np.bincount(tokens, minlength=400) / len(tokens)
    expected *= sum(s["tokens"] for s in sources)
    assert len(counts) == 400
    assert np.abs(counts - expected).max() <= 0.5


def test_people_see_the_blend(built):
    shown = STAGE.show(built.lake, built.mixture)
    assert [row["source"] for row in shown["blend"].rows] == ["docs_fi", "docs_pairs"]
    assert isinstance(shown["sampled"], Plot) and isinstance(shown["available"], Plot)
    assert shown["max_epochs"] > 0


def test_lakes_at_different_places_get_the_same_bytes(built, tmp_path):
    place = tmp_path / "a" / "deeper" / "place"
    place.mkdir(parents=True)
    assert build(place).mixture.digest == built.mixture.digest


def damaged(built, change):
    """A version like the good one whose ``mixture.json`` and ``index.json`` were changed."""
    lake, made = built.lake, built.mixture
    who = Identity(made.asset, made.partition, {"damaged": change.__name__}, made.code, tuple(made.inputs))
    described, index = lake.read_json(made, "mixture.json"), lake.read_json(made, "index/index.json")
    change(described["sources"], index["samples_per_source"])
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
    index[sources[0]["prefix"]] -= 1


def samples_too_many(sources, index):
    index[sources[0]["prefix"]] += 1


def other_tokens(sources, index):
    sources[1]["tokens"] -= 1


def a_source_smaller_than_a_sample(sources, index):
    sources[1]["tokens"] = 16


def a_source_drawn_too_often(sources, index):
    index[sources[0]["prefix"]] += 3
    index[sources[1]["prefix"]] -= 3


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
    del index[sources[0]["prefix"]]


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
    assert [(e.column, e.severity) for e in receipt.failed] == [("wanted_epochs", "warning")]


def test_a_mixture_by_weights_is_warned_of_the_epochs_that_follow(built):
    receipt = judged(STAGE, built.lake, damaged(built, weights_that_repeat), CATALOG)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("wanted_epochs", "warning")]


def test_the_code_that_orders_the_samples_decides_the_version():
    assert {"assets.mixture.blend", "training_jobs.build_index", "training_jobs.data"} <= set(STAGE.code)
