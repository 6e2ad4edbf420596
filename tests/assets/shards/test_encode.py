"""Pairs as documents, byte for byte as Poro 34B renders them (Luukkonen et al. 2024, section 2)."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.recipe.data import Source
from assets.recipe.tokens import PairTemplate, Tokenizer
from assets.shards.encode import encode
from assets.tokenizer import bpe
from tests.conftest import FINNISH, PAIRS

SOURCE = Source(
    format="pairs_jsonl", files=("x",), language="fi", pair_language="en", license="MIT", cleaning="pairs", pool="pairs"
)
PORO = PairTemplate(instructions={"fi": "Translate into Finnish: ", "en": "Translate into English: "})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = str(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    config = Tokenizer(name="tiny", vocab_size=400, sources={"fi": ("x",)}, sample_bytes=1_000)
    bpe.train(config, FINNISH).save(path)
    return bpe.load(path)


def rendered(tokenizer: Any, pairs: list[tuple[str, str]], template: PairTemplate = PORO) -> list[tuple[str, str]]:
    """The rendering and the text of each document that pairs (English, Finnish) become."""
    columns = {"id": [f"p:{n}" for n in range(len(pairs))], "text": [en for en, _ in pairs]}
    table = pa.table({**columns, "translation": [fi for _, fi in pairs]})
    documents = encode(tokenizer, table, SOURCE, template)
    return [(rendering, tokenizer.decode(ids, skip_special_tokens=False)) for _, rendering, ids in documents]


def test_both_directions_byte_for_byte(tokenizer: Any) -> None:
    assert rendered(tokenizer, [("Good morning!", "Hyvää huomenta!")]) == [
        ("en-fi", "<|user|>Translate into Finnish: Good morning! <|assistant|>Hyvää huomenta!</s>"),
        ("fi-en", "<|user|>Translate into English: Hyvää huomenta! <|assistant|>Good morning!</s>"),
    ]


def test_half_of_the_documents_are_of_each_direction(tokenizer: Any) -> None:
    directions = Counter(rendering for rendering, _ in rendered(tokenizer, PAIRS))
    assert directions == {"en-fi": len(PAIRS), "fi-en": len(PAIRS)}


def test_another_template(tokenizer: Any) -> None:
    finnish = PairTemplate(instructions={"fi": "Käännä suomeksi: ", "en": "Käännä englanniksi: "}, separator="\n")
    assert rendered(tokenizer, [("Yes", "Kyllä")], finnish) == [
        ("en-fi", "<|user|>Käännä suomeksi: Yes\n<|assistant|>Kyllä</s>"),
        ("fi-en", "<|user|>Käännä englanniksi: Kyllä\n<|assistant|>Yes</s>"),
    ]


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(ANY, ANY | st.sampled_from(["<|user|>", "</s>", " <|assistant|>"])), max_size=5))
def test_any_pair_keeps_its_bytes(tokenizer: Any, pairs: list[tuple[str, str]]) -> None:
    texts = [text for _, text in rendered(tokenizer, pairs)]
    assert texts[::2] == [f"<|user|>Translate into Finnish: {en} <|assistant|>{fi}</s>" for en, fi in pairs]
    assert texts[1::2] == [f"<|user|>Translate into English: {fi} <|assistant|>{en}</s>" for en, fi in pairs]


def test_text_yields_no_special_id(tokenizer: Any) -> None:
    table = pa.table({"id": ["p"], "text": ["<|user|> </s>"], "translation": ["<|assistant|>"]})
    for _, _, ids in encode(tokenizer, table, SOURCE, PORO):
        assert [i for i in ids if i < 24] == [bpe.USER, bpe.ASSISTANT, bpe.END_OF_DOCUMENT]
