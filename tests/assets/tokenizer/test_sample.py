"""The sample of a tokenizer: uniform over documents, exact in bytes, the same whatever the order of things."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.lake import Lake
from assets.tokenizer.sample import HELD_OUT_SHARE, LAST, EmptySampleError, Lowest, draw, positions, read
from tests.conftest import FINNISH, PAIRS, put_documents

SOURCES = ("docs_fi", "docs_pairs")


def sampled(lake, catalog, corpora, **changes):
    config = catalog.tokenizers["tiny-bpe"].model_copy(update=changes)
    draws = draw(lake, corpora, catalog.sources, config)
    return draws, list(read(lake, corpora, catalog.sources, config, draws))


def size(texts):
    return sum(len(each.text.encode()) for each in texts)


@pytest.mark.parametrize("budget", [1, 500, 2_000, 5_000])
def test_the_budget_is_met_to_the_byte_and_held_out_documents_are_not_in_the_sample(lake, catalog, corpora, budget):
    _, texts = sampled(lake, catalog, corpora, sample_bytes=budget)
    for language in ("fi", "en"):
        mine = [each for each in texts if each.language == language]
        sample, held_out = [e for e in mine if not e.held_out], [e for e in mine if e.held_out]
        # "ä" at the end may not fit.
        everything = size(mine) - size(held_out) if len(mine) == len(PAIRS) else budget
        assert min(budget, everything) - 1 <= size(sample) <= budget
        assert held_out
        assert not {e.document for e in sample} & {e.document for e in held_out}


def test_a_budget_beyond_the_corpus_takes_every_document_that_is_not_held_out(lake, catalog, corpora):
    _, texts = sampled(lake, catalog, corpora)
    finnish = [each for each in texts if each.language == "fi"]
    assert len(finnish) == len(FINNISH) + len(PAIRS)
    held_out = [each for each in finnish if each.held_out]
    total = size(finnish)
    assert total * HELD_OUT_SHARE <= size(held_out) <= total * HELD_OUT_SHARE + 120
    assert {each.text for each in finnish} == {*FINNISH, *(fi for _, fi in PAIRS)}
    assert {each.text for each in texts if each.language == "en"} == {en for en, _ in PAIRS}


def test_every_source_has_its_share_of_the_sample(lake, catalog):
    """None is favoured for coming first, or left out for coming last."""
    corpora = {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", [f"yksi {n:05d}" for n in range(4_000)]),
        "docs_pairs": put_documents(
            lake, "decontaminated_corpus", "docs_pairs", ["-"] * 2_000, [f"kaksi {n:04d}" for n in range(2_000)]
        ),
    }
    _, texts = sampled(lake, catalog, corpora, sample_bytes=15_000)
    drawn = [each.text.split()[0] for each in texts if each.language == "fi" and not each.held_out]
    assert len(drawn) == 1_500
    # Binomial: 1,000 expected, with a standard deviation of 16.
    assert 935 < drawn.count("yksi") < 1_065


def test_another_seed_draws_other_documents(lake, catalog, corpora):
    first, second = (sampled(lake, catalog, corpora, sample_bytes=2_000, seed=seed)[1] for seed in (1, 2))
    assert {each.document for each in first} != {each.document for each in second}


def test_what_is_looked_at_again_is_of_the_sample(lake, catalog, corpora, monkeypatch):
    monkeypatch.setattr("assets.tokenizer.sample.LOOKED_AT_BYTES", 1_000)
    _, texts = sampled(lake, catalog, corpora, sample_bytes=3_000)
    looked_at = [each for each in texts if each.looked_at]
    assert not any(each.held_out for each in looked_at)
    assert 900 < size(looked_at) < 1_200


def test_a_language_without_text_to_train_on_is_refused(lake, catalog, corpora):
    alone = put_documents(lake, "decontaminated_corpus", "docs_fi", ["Ainoa asiakirja."])
    none = put_documents(lake, "decontaminated_corpus", "docs_pairs", [], [])
    with pytest.raises(
        EmptySampleError, match=r"tokenizer tiny-bpe: docs_pairs hold 0 documents in en, 0 bytes\..*sources\.en"
    ):
        sampled(lake, catalog, {"docs_fi": alone, "docs_pairs": none})
    with pytest.raises(EmptySampleError, match=r"docs_fi, docs_pairs hold 1 documents in fi, 16 bytes\."):
        sampled(lake, catalog, {"docs_fi": alone, "docs_pairs": none}, sources={"fi": SOURCES})


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 50)), max_size=8), max_size=8),
    st.integers(1, 400),
    st.integers(1, 1_000),
)
def test_the_lowest_documents_within_a_budget_are_those_of_sorting_all(parts, budget, below):
    lowest = Lowest(budget)
    for part in parts:
        lowest.add(
            np.array([position for position, _ in part], np.uint64), np.array([bytes_ for _, bytes_ in part], np.int64)
        )
    found = lowest.upto(budget, below)
    whole = sum(s for part in parts for p, s in part if p < found.position and p < below)
    at = sum(s for part in parts for p, s in part if p == found.position)
    everything = sum(s for part in parts for p, s in part if p < below)
    if everything < budget:
        assert found == (below, 0)
    else:
        assert whole < budget <= whole + at
        assert 1 <= found.rest <= budget


def test_positions_follow_from_id_and_seed_and_are_uniform():
    ids = [f"source:{n}" for n in range(20_000)]
    found = positions(pa.chunked_array([pa.array(ids, pa.large_string())]), 7)
    one_by_one = [int(positions(pa.chunked_array([pa.array([i], pa.large_string())]), 7)[0]) for i in ids[:50]]
    assert found[:50].tolist() == one_by_one
    assert len(np.unique(found)) == len(ids)
    # 2,000 expected in each tenth, with a standard deviation of 42.
    assert all(abs(count - 2_000) < 200 for count in np.histogram(found / LAST, bins=10, range=(0, 1))[0])


SCRIPT = """
import sys
from assets.lake import Lake
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.tokenizer import bpe
from assets.tokenizer.sample import draw, read
from tests.conftest import RECIPE, FINNISH, PAIRS, put_documents

place, order, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lake, catalog = Lake.open(place), Catalog.of([Recipe.model_validate(RECIPE)])
config = catalog.tokenizers["tiny-bpe"].model_copy(update={"sample_bytes": 4_000})
config = config.model_copy(update={"sources": {k: v[::order] for k, v in list(config.sources.items())[::order]}})
corpora = {
    "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", FINNISH, rows=rows),
    "docs_pairs": put_documents(
        lake, "decontaminated_corpus", "docs_pairs", [en for en, _ in PAIRS], [fi for _, fi in PAIRS], rows=rows
    ),
}
if order < 0:  # the same documents, from the last part to the first
    for manifest in corpora.values():
        manifest.files.reverse()
draws = draw(lake, corpora, catalog.sources, config)
texts = (each.text for each in read(lake, corpora, catalog.sources, config, draws) if not each.held_out)
sys.stdout.write(bpe.train(config, texts).to_str())
"""


def test_the_same_sample_and_seed_give_the_same_file_whatever_the_order_and_the_hash_seed(tmp_path):
    def digest(name, order, rows, hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TOKENIZERS_PARALLELISM": "true"}
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / name), str(order), str(rows)]
        made = subprocess.run(command, env=environment, check=True, capture_output=True)
        assert len(made.stdout) > 8_000
        return hashlib.sha256(made.stdout).hexdigest()

    assert len({digest("a", 1, 1_000, "0"), digest("b", -1, 7, "1"), digest("c", 1, 13, "4711")}) == 1


def test_a_lake_is_read_a_part_at_a_time(lake, catalog, corpora, monkeypatch):
    opened = []
    original = Lake.open_file
    monkeypatch.setattr(
        Lake, "open_file", lambda self, version, file: opened.append(file) or original(self, version, file)
    )
    sampled(lake, catalog, corpora)
    assert len(opened) == 2 * 3  # two passes over the corpora of fi, and over that of en
