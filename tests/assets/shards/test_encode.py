"""Pairs as documents, byte for byte as Poro 34B renders them (Luukkonen et al. 2024, section 2)."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer

from assets.recipe.data import Source
from assets.recipe.tokens import PairTemplate, Tokenizer
from assets.shards.encode import encode, encode_parts, encode_slice, inserted, rendering_of
from assets.tokenizer import bpe, engines
from tests.conftest import FINNISH, PAIRS

SOURCE = Source(
    format="pairs_jsonl", files=("x",), language="fi", pair_language="en", license="MIT", cleaning="pairs", pool="pairs"
)
PORO = PairTemplate(instructions={"fi": "Translate into Finnish: ", "en": "Translate into English: "})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The content of a small tokenizer.json."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    config = Tokenizer(name="tiny", vocab_size=400, sources={"fi": ("x",)}, sample_bytes=1_000)
    bpe.train(config, FINNISH).save(str(path))
    return path.read_text("utf-8")


@pytest.fixture(scope="module", params=["huggingface", "pieces", "tiktoken"])
def engine(request: pytest.FixtureRequest) -> str:
    """All of this holds whatever engine encodes."""
    return str(request.param)


def table_of(pairs: list[tuple[str, str]]) -> pa.Table:
    """Pairs (English, Finnish) as rows."""
    columns = [[f"p:{n}" for n in range(len(pairs))], [en for en, _ in pairs], [fi for _, fi in pairs]]
    arrays = [pa.array(column, pa.large_string()) for column in columns]
    return pa.Table.from_arrays(arrays, ["id", "text", "translation"])


def rendered(
    tokenizer: str, engine: str, pairs: list[tuple[str, str]], template: PairTemplate = PORO
) -> list[tuple[str, str]]:
    """The rendering and the text of each document that pairs become."""
    rendering = rendering_of(SOURCE, template)
    ids, lengths = encode(table_of(pairs), engines.load(engine, tokenizer), rendering)
    assert len(lengths) == 2 * len(pairs) and lengths.sum() == len(ids)
    decoder = HfTokenizer.from_str(tokenizer)
    documents = np.split(ids, np.cumsum(lengths)[:-1]) if pairs else []
    texts = [decoder.decode(document.tolist(), skip_special_tokens=False) for document in documents]
    return list(zip(rendering.names * len(pairs), texts, strict=True))


def test_both_directions_byte_for_byte(tokenizer: str, engine: str) -> None:
    assert rendered(tokenizer, engine, [("Good morning!", "Hyvää huomenta!")]) == [
        ("en-fi", "<|user|>Translate into Finnish: Good morning! <|assistant|>Hyvää huomenta!</s>"),
        ("fi-en", "<|user|>Translate into English: Hyvää huomenta! <|assistant|>Good morning!</s>"),
    ]


def test_half_of_the_documents_are_of_each_direction(tokenizer: str, engine: str) -> None:
    directions = Counter(rendering for rendering, _ in rendered(tokenizer, engine, PAIRS))
    assert directions == {"en-fi": len(PAIRS), "fi-en": len(PAIRS)}


def test_another_template(tokenizer: str, engine: str) -> None:
    finnish = PairTemplate(instructions={"fi": "Käännä suomeksi: ", "en": "Käännä englanniksi: "}, separator="\n")
    assert rendered(tokenizer, engine, [("Yes", "Kyllä")], finnish) == [
        ("en-fi", "<|user|>Käännä suomeksi: Yes\n<|assistant|>Kyllä</s>"),
        ("fi-en", "<|user|>Käännä englanniksi: Kyllä\n<|assistant|>Yes</s>"),
    ]


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(ANY, ANY | st.sampled_from(["<|user|>", "</s>", " <|assistant|>"])), max_size=5))
def test_any_pair_keeps_its_bytes(tokenizer: str, engine: str, pairs: list[tuple[str, str]]) -> None:
    texts = [text for _, text in rendered(tokenizer, engine, pairs)]
    assert texts[::2] == [f"<|user|>Translate into Finnish: {en} <|assistant|>{fi}</s>" for en, fi in pairs]
    assert texts[1::2] == [f"<|user|>Translate into English: {fi} <|assistant|>{en}</s>" for en, fi in pairs]


def test_text_yields_no_special_id(tokenizer: str, engine: str) -> None:
    rows = table_of([("<|user|> </s>", "<|assistant|>")])
    ids, _ = encode(rows, engines.load(engine, tokenizer), rendering_of(SOURCE, PORO))
    assert [i for i in ids if i < 24] == 2 * [bpe.USER, bpe.ASSISTANT, bpe.END_OF_DOCUMENT]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(ANY, max_size=8))
def test_any_document_keeps_its_bytes_and_ends(tokenizer: str, engine: str, texts: list[str]) -> None:
    source = Source(format="jsonl", files=("x",), language="fi", license="MIT", cleaning="web", pool="all")
    plain = rendering_of(source, None)
    assert plain.names == ("document",)
    ids, lengths = encode(table_of([(t, "") for t in texts]), engines.load(engine, tokenizer), plain)
    documents = np.split(ids, np.cumsum(lengths)[:-1]) if texts else []
    decoder = HfTokenizer.from_str(tokenizer)
    assert [decoder.decode(d.tolist(), skip_special_tokens=False) for d in documents] == [f"{t}</s>" for t in texts]


def test_a_slice_and_parts_hold_the_same_ids_as_the_rows_at_once(
    tokenizer: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, rendering = table_of(PAIRS), rendering_of(SOURCE, PORO)
    ids, lengths = encode(rows, engines.load(engine, tokenizer), rendering)
    made = encode_slice(rows.slice(10, 7), engine, tokenizer, rendering)
    assert made["lengths"].to_pylist() == lengths[20:34].reshape(7, 2).tolist()
    begin = lengths[:20].sum()
    assert made["ids"].combine_chunks().flatten().to_pylist() == ids[begin : begin + lengths[20:34].sum()].tolist()
    monkeypatch.setattr("assets.shards.encode.SLICE_BYTES", 200)
    parts = [rows.slice(0, 13), rows.slice(13)]
    names, found, counts = zip(*encode_parts(parts, engine, tokenizer, rendering), strict=True)
    assert len(names) > 10
    assert [name for slice_ in names for name in slice_.to_pylist()] == rows["id"].to_pylist()
    assert np.array_equal(np.concatenate(found), ids) and np.array_equal(np.concatenate(counts), lengths)


@given(places=st.lists(st.integers(0, 20), max_size=12), size=st.integers(0, 20))
def test_what_is_inserted_stands_where_numpy_puts_it(places: list[int], size: int) -> None:
    at = np.array(sorted(place for place in places if place <= size), np.int64)
    ids, values = np.arange(size, dtype=np.uint32), np.arange(100, 100 + len(at), dtype=np.uint32)
    found = inserted(ids, at, values)
    assert found.dtype == np.uint32 and found.tolist() == np.insert(ids, at, values).tolist()
