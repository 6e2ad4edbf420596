"""The largest vocabulary that a recipe may ask for, 262,144 ids, from training to shards of four bytes a token."""

import logging

import numpy as np
import pyarrow as pa
import pytest

from assets.lake import Lake
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.recipe.tokens import Tokenizer
from assets.shards.indexed import UINT16_LIMIT, read_shard
from assets.shards.parts import shard_prefixes
from assets.shards.stage import STAGE
from assets.tokenizer import bpe, engines
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import RECIPE, changed, judged, make_version, put_documents

IDS = 262_144


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Documents of words that are all different, so many that the merges do not run out."""
    letters = np.array(list("aeioutnslkmrvjhpydäögbf"))
    drawn = letters[np.random.default_rng(0).integers(0, len(letters), (320_000, 7))]
    words = ["".join(word) for word in drawn]
    return [" ".join(words[first : first + 1_000]) + ", 3,14 😁 </s>\n" for first in range(0, len(words), 1_000)]


def test_a_vocabulary_of_262_144_ids_is_trained_encoded_and_read_by_megatron(lake: Lake, texts: list[str]) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    value = changed(
        RECIPE, tokenizer__vocab_size=IDS, tokenizer__sources={"fi": ["docs_fi"]}, tokenizer__sample_bytes=10**7
    )
    catalog = Catalog.of([Recipe.model_validate(value)])
    corpus = put_documents(lake, "decontaminated_corpus", "docs_fi", texts)
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": {"docs_fi": corpus}})
    receipt = judged(TOKENIZER, lake, tokenizer, catalog)
    assert receipt.passed, (receipt.error, receipt.failed)
    assert receipt.numbers["vocab_size"] == IDS

    path = lake.local(tokenizer) / "tokenizer.json"
    documents = pa.array(texts[:64], pa.large_string())
    chosen = engines.choose(path.read_text("utf-8"), documents, [str(n) for n in range(64)], logging.getLogger("test"))
    assert chosen == "pieces"
    expected = engines.load("huggingface", path.read_text("utf-8"))(documents)
    with_tiktoken = engines.load("tiktoken", path.read_text("utf-8"))(documents)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(with_tiktoken, expected, strict=True))

    made = make_version(
        STAGE, lake, catalog, "docs_fi--tiny-bpe",
        {"decontaminated_corpus": {"docs_fi": corpus}, "tokenizer": {"tiny-bpe": tokenizer}},
    )  # fmt: skip
    receipt = judged(STAGE, lake, made, catalog)
    assert receipt.passed, (receipt.error, receipt.failed)
    (prefix,) = shard_prefixes(made)
    mine, theirs = read_shard(lake.local(made) / prefix), IndexedDataset(str(lake.local(made) / prefix))
    assert theirs.index.dtype == mine.tokens.dtype == np.int32
    assert UINT16_LIMIT < 200_000 < mine.tokens.max() < IDS
    loaded = bpe.load(str(path))
    for number, text in enumerate(texts):
        ids = theirs[number].tolist()
        assert ids[-1] == bpe.END_OF_DOCUMENT and loaded.decode(ids[:-1], skip_special_tokens=False) == text


def test_a_vocabulary_beyond_that_is_refused() -> None:
    with pytest.raises(ValueError, match="262144"):
        Tokenizer(name="t", vocab_size=IDS + 1, sources={"fi": ("docs_fi",)}, sample_bytes=1_000)
