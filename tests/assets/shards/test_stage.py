import logging
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.lake import Identity, Lake
from assets.lake.documents import read_parts
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.shards.indexed import ShardError, ShardWriter, read_shard
from assets.shards.parts import PartsWriter, index_schema, shard_prefix, shard_prefixes, tokenizer_of
from assets.shards.stage import STAGE
from assets.tokenizer import bpe
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

SHARD = shard_prefix(0)


@pytest.fixture
def inputs(lake, catalog, corpora):
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})
    passing_receipt(lake, tokenizer)
    return {"decontaminated_corpus": corpora, "tokenizer": {"tiny-bpe": tokenizer}}


def of(inputs, source):
    return {**inputs, "decontaminated_corpus": {source: inputs["decontaminated_corpus"][source]}}


def make(lake, catalog, inputs, source):
    return make_version(STAGE, lake, catalog, f"{source}--tiny-bpe", of(inputs, source))


@pytest.mark.parametrize("source", ["docs_fi", "docs_pairs"])
def test_good_shards_pass(lake, catalog, inputs, source):
    receipt = judged(STAGE, lake, make(lake, catalog, inputs, source), catalog)
    assert receipt.passed, (receipt.error, receipt.failed)


def test_every_document_is_there_and_ends(lake, catalog, inputs):
    manifest = make(lake, catalog, inputs, "docs_fi")
    shard = read_shard(lake.local(manifest) / SHARD)
    tokenizer = bpe.load(str(lake.local(inputs["tokenizer"]["tiny-bpe"]) / "tokenizer.json"))
    assert len(shard.lengths) == len(FINNISH) == manifest.counts["documents"]
    for number in (0, 17, len(FINNISH) - 1):
        ids = shard.document(number).tolist()
        assert ids[-1] == bpe.END_OF_DOCUMENT
        assert tokenizer.decode(ids[:-1], skip_special_tokens=False) == FINNISH[number]


def test_pairs_become_two_documents_with_real_special_ids(lake, catalog, inputs):
    manifest = make(lake, catalog, inputs, "docs_pairs")
    shard = read_shard(lake.local(manifest) / SHARD)
    tokenizer = bpe.load(str(lake.local(inputs["tokenizer"]["tiny-bpe"]) / "tokenizer.json"))
    english, finnish = PAIRS[0]
    shown = [tokenizer.decode(shard.document(n).tolist(), skip_special_tokens=False) for n in (0, 1)]
    assert shown == [
        f"<|user|>Translate into Finnish: {english} <|assistant|>{finnish}</s>",
        f"<|user|>Translate into English: {finnish} <|assistant|>{english}</s>",
    ]
    assert shard.document(0)[0] == bpe.USER
    assert (np.asarray(shard.tokens) == bpe.ASSISTANT).sum() == 2 * len(PAIRS) == manifest.counts["documents"]


def test_the_document_index_leads_from_tokens_to_documents(lake, catalog, inputs):
    manifest = make(lake, catalog, inputs, "docs_pairs")
    rows = STAGE.show(lake, manifest)["document index"].rows
    assert [(r["document"], r["rendering"]) for r in rows[:2]] == [("docs_pairs:0", "en-fi"), ("docs_pairs:0", "fi-en")]
    assert rows[1]["token_offset"] == rows[0]["length"]


def test_the_bytes_do_not_depend_on_how_the_corpus_is_parted(tmp_path, catalog, lake, inputs):
    other = Lake.open(str(tmp_path / "other"))
    parted = put_documents(other, "decontaminated_corpus", "docs_fi", FINNISH, rows=7)
    with other.write(Identity("tokenizer", "tiny-bpe", {}, "copy")) as out:
        source = lake.local(inputs["tokenizer"]["tiny-bpe"]) / "tokenizer.json"
        out.stage("tokenizer.json").write_bytes(source.read_bytes())
    (tokenizer,) = other.manifests("tokenizer")
    one = make(lake, catalog, inputs, "docs_fi")
    two = make_version(
        STAGE, other, catalog, "docs_fi--tiny-bpe",
        {"decontaminated_corpus": {"docs_fi": parted}, "tokenizer": {"tiny-bpe": tokenizer}},
    )  # fmt: skip
    assert one.files == two.files


def with_files_of(shard_bytes):
    """A catalog whose tokenizer asks for such files."""
    return Catalog.of([Recipe.model_validate(changed(RECIPE, tokenizer__shard_bytes=shard_bytes))])


@pytest.mark.parametrize("source", ["docs_fi", "docs_pairs"])
@pytest.mark.parametrize("shard_bytes", [1, 700, 2_000])
def test_files_end_before_the_document_with_which_they_would_be_too_large(lake, catalog, inputs, source, shard_bytes):
    one = make(lake, catalog, inputs, source)
    many = make(lake, with_files_of(shard_bytes), inputs, source)
    whole = read_shard(lake.local(one) / SHARD)
    parts = [read_shard(lake.local(many) / prefix) for prefix in shard_prefixes(many)]
    assert shard_prefixes(many) == [f"shards/part-{n:05d}" for n in range(len(parts))] and len(parts) > 1
    assert np.array_equal(np.concatenate([p.tokens for p in parts]), whole.tokens)
    assert np.array_equal(np.concatenate([p.lengths for p in parts]), whole.lengths)
    for part, following in pairwise(parts):
        assert part.tokens.nbytes <= shard_bytes or len(part.lengths) == 1
        assert part.tokens.nbytes + 2 * following.lengths[0] > shard_bytes
    receipt = judged(STAGE, lake, many, with_files_of(shard_bytes))
    assert receipt.passed, (receipt.error, receipt.failed)
    assert many.counts["files"] == len(parts) and many.counts["tokens"] == one.counts["tokens"]


def test_the_index_of_every_file_leads_from_its_tokens_to_the_documents_and_their_version(lake, inputs):
    manifest = make(lake, with_files_of(900), inputs, "docs_pairs")
    source = inputs["decontaminated_corpus"]["docs_pairs"]
    tables = list(read_parts(lake, manifest))
    assert len(tables) == len(shard_prefixes(manifest)) > 1
    for prefix, index in zip(shard_prefixes(manifest), tables, strict=True):
        shard = read_shard(lake.local(manifest) / prefix)
        assert index.schema.equals(index_schema())
        assert index["token_offset"].to_pylist() == shard.offsets.tolist()
        assert index["length"].to_pylist() == shard.lengths.tolist()
    whole = pa.concat_tables(tables)
    assert set(whole["source_version"].to_pylist()) == {source.name}
    assert whole["document"].to_pylist() == [f"docs_pairs:{n}" for n in range(len(PAIRS)) for _ in range(2)]
    assert whole["rendering"].to_pylist() == ["en-fi", "fi-en"] * len(PAIRS)


@pytest.mark.parametrize("engine", ["huggingface", "pieces", "tiktoken"])
@pytest.mark.parametrize("source", ["docs_fi", "docs_pairs"])
def test_the_bytes_do_not_depend_on_the_encoding_engine(
    tmp_path, lake, catalog, inputs, source, engine, monkeypatch, caplog
):
    one = make(lake, catalog, inputs, source)
    monkeypatch.setattr("assets.tokenizer.engines.FASTEST_FIRST", () if engine == "huggingface" else (engine,))
    other = Lake.open(str(tmp_path / "other"))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        two = make_version(STAGE, other, catalog, f"{source}--tiny-bpe", copied(lake, other, of(inputs, source)))
    assert f"encoding by {engine}" in caplog.text
    assert (one.files, one.version, one.digest) == (two.files, two.version, two.digest)


def copied(lake, other, inputs):
    """The same versions in another lake."""
    for by_key in inputs.values():
        for manifest in by_key.values():
            lake.fs.copy(lake.folder(manifest), other.folder(manifest), recursive=True)
    return inputs


def test_an_engine_that_differs_is_left_out_and_the_log_names_the_document(lake, catalog, inputs, monkeypatch, caplog):
    from assets.tokenizer import engines

    honest = engines._MAKERS["pieces"]

    def wrong(tokenizer):
        encode = honest(tokenizer)

        def encoder(texts):
            # A merge is missed where a document says 1480.
            made = [encode(texts.slice(n, 1))[0] for n in range(len(texts))]
            spoilt = ["nro 1480" in text.as_py() for text in texts]
            made = [np.append(ids[:-1], [30, 30]) if bad else ids for ids, bad in zip(made, spoilt, strict=True)]
            return np.concatenate(made).astype(np.uint32), np.array([len(ids) for ids in made])

        return encoder

    monkeypatch.setitem(engines._MAKERS, "pieces", wrong)
    monkeypatch.setattr(engines, "FASTEST_FIRST", ("pieces",))
    engines._load.cache_clear()
    with caplog.at_level(logging.INFO):
        manifest = make(lake, catalog, inputs, "docs_fi")
    engines._load.cache_clear()
    assert "pieces is left out: its ids differ from Hugging Face's on document docs_fi:40" in caplog.text
    assert "encoding by huggingface" in caplog.text
    assert judged(STAGE, lake, manifest, catalog).passed


def test_a_source_without_documents_is_refused(lake, catalog, inputs):
    nothing = put_documents(lake, "decontaminated_corpus", "docs_fi", [])
    given = {**inputs, "decontaminated_corpus": {"docs_fi": nothing}}
    with pytest.raises(ShardError, match=r"part-00000\.parquet, row 0: the source docs_fi has no document left"):
        make_version(STAGE, lake, catalog, "docs_fi--tiny-bpe", given)
    assert not list(lake.manifests("tokenized_shards"))


def test_ids_that_the_tokenizer_does_not_have_are_refused_with_file_and_offset(lake, tmp_path):
    names = pa.chunked_array([["a", "b"]], pa.large_string())
    message = r"decontaminated_corpus/x/1: part-00000\.bin, offset 4: document 1 holds the id 300; allowed are 0 to 299"
    with (
        pytest.raises(ShardError, match=message),
        lake.write(Identity("tokenized_shards", "x", {}, "test")) as out,
        PartsWriter(out, 300, 1_000, ("document",), "decontaminated_corpus/x/1") as writer,
    ):
        writer.append(np.array([5, 2, 300, 2]), np.array([2, 2]), names)
    assert lake.find("tokenized_shards", "x", Identity("tokenized_shards", "x", {}, "test").version) is None


def test_shards_of_two_tokenizers_are_not_mixed(lake, catalog, inputs):
    made = [make(lake, catalog, inputs, source) for source in ("docs_fi", "docs_pairs")]
    assert tokenizer_of(made) == inputs["tokenizer"]["tiny-bpe"].ref
    changed_tokenizer = inputs["tokenizer"]["tiny-bpe"].ref.model_copy(update={"version": "0" * 16, "digest": "0" * 64})
    old = made[1].model_copy(update={"inputs": [made[1].inputs[0], changed_tokenizer]})
    with pytest.raises(ShardError, match=rf"{old.name} was made with tokenizer/tiny-bpe/0+ .* Make the shards again"):
        tokenizer_of([made[0], old])


def damaged(lake, made, change, index=lambda table: table):
    """A version like ``made`` whose documents, as lists of ids, and whose document index were changed."""
    shard = read_shard(lake.local(made) / SHARD)
    documents = change([shard.document(n).tolist() for n in range(len(shard.lengths))])
    who = Identity(made.asset, made.partition, {"damaged": f"{change} {index}"}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        out.stage(f"{SHARD}.bin")
        writer = ShardWriter(out.folder / SHARD, 60_000)
        for document in documents:
            writer.append(np.array(document), np.array([len(document)]))
        writer.close()
        path = "documents/part-00000.parquet"
        pq.write_table(index(pq.read_table(lake.local(made) / path)), out.stage(path))
        out.counts.update(made.counts)
    return lake.find(made.asset, made.partition, who.version)


def unchanged(documents):
    return documents


def lose_an_end(documents):
    return [[*documents[0][:-1], 30], *documents[1:]]


def lose_a_document(documents):
    return documents[:-1]


def leave_the_vocabulary(documents):
    return [[50_000, *documents[0][1:]], *documents[1:]]


def change_a_word(documents):
    return [[documents[0][1], documents[0][0], *documents[0][2:]], *documents[1:]]


def end_in_the_middle(documents):
    return [[2, *documents[0][1:]], *documents[1:]]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lose_an_end, "documents_without_end"),
        (lose_a_document, "documents_miscounted"),
        (lose_a_document, "tokens_miscounted"),
        (leave_the_vocabulary, "ids_out_of_range"),
        (change_a_word, "text_differs"),
        (change_a_word, "rebuilt_bytes_differ"),
        (end_in_the_middle, "ends_inside_documents"),
    ],
)
def test_damaged_shards_are_stopped(lake, catalog, inputs, change, column):
    made = make(lake, catalog, inputs, "docs_fi")
    receipt = judged(STAGE, lake, damaged(lake, made, change), catalog)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_the_gate_says_where_the_first_id_lies_that_is_out_of_range(lake, catalog, inputs):
    made = make(lake, catalog, inputs, "docs_fi")
    shard = read_shard(lake.local(made) / SHARD)
    offset = shard.offsets[5] * 2

    def spoil(documents):
        return [*documents[:5], [50_001, *documents[5][1:]], *documents[6:]]

    receipt = judged(STAGE, lake, damaged(lake, made, spoil), catalog)
    (found,) = [e.observed for e in receipt.failed if e.column == "first_id_out_of_range"]
    assert found == f"part-00000.bin, offset {offset}: 50001 of 400 ids"


def column(name, place, value):
    """A damage of the document index: one value is another."""

    def change(table):
        values = table[name].to_pylist()
        values[place] = value
        return table.set_column(table.column_names.index(name), name, pa.array(values, table.schema.field(name).type))

    return change


@pytest.mark.parametrize(
    "index",
    [
        column("token_offset", 3, 7),
        column("length", 119, 1),
        column("document", 60, "docs_fi:61"),
        column("rendering", 0, "fi-en"),
        column("source_version", 5, "decontaminated_corpus/docs_fi/another"),
        lambda table: table.slice(0, 119),
        lambda table: pa.concat_tables([table, table.slice(0, 1)]),
        lambda table: table.take([*range(1, 120), 0]),
    ],
)
def test_a_document_index_that_does_not_fit_is_stopped(lake, catalog, inputs, index):
    made = make(lake, catalog, inputs, "docs_fi")
    assert judged(STAGE, lake, damaged(lake, made, unchanged), catalog).passed
    receipt = judged(STAGE, lake, damaged(lake, made, unchanged, index), catalog)
    assert failed_columns(receipt) == {"index_differs"}, (receipt.error, receipt.failed)


def test_a_file_that_is_gone_and_one_that_is_cut_short_are_stopped(lake, catalog, inputs):
    made = make(lake, with_files_of(2_000), inputs, "docs_fi")
    (lake.local(made) / f"{shard_prefix(1)}.idx").write_bytes(b"MMIDIDX")
    receipt = judged(STAGE, lake, made, with_files_of(2_000))
    assert not receipt.passed and "part-00001.idx, offset 0" in str(receipt.error)
    (lake.local(made) / f"{shard_prefix(2)}.bin").unlink()
    lost = replace_files(lake, made, shard_prefix(1))
    receipt = judged(STAGE, lake, lost, with_files_of(2_000))
    assert not receipt.passed


def replace_files(lake, made, without):
    """A version like ``made`` that lacks a file's .bin and .idx."""
    who = Identity(made.asset, made.partition, {"without": without}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        for entry in made.files:
            if not entry.path.startswith(without) and (lake.local(made) / entry.path).exists():
                out.stage(entry.path).write_bytes((lake.local(made) / entry.path).read_bytes())
        out.counts.update(made.counts)
    return lake.find(made.asset, made.partition, who.version)
