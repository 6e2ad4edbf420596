import numpy as np
import pytest

from assets.lake import Identity, Lake
from assets.shards.indexed import ShardWriter, read_shard
from assets.shards.stage import SHARD, STAGE
from assets.tokenizer import bpe
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import FINNISH, PAIRS, failed_columns, judged, make_version, passing_receipt, put_documents


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


def damaged(lake, made, change):
    """A version like ``made`` whose documents, as lists of ids, were changed."""
    shard = read_shard(lake.local(made) / SHARD)
    documents = change([shard.document(n).tolist() for n in range(len(shard.lengths))])
    who = Identity(made.asset, made.partition, {"damaged": repr(change)}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        out.stage(f"{SHARD}.bin")
        writer = ShardWriter(out.folder / SHARD, 60_000)
        for document in documents:
            writer.append(document)
        writer.close()
        index = "documents/part-00000.parquet"
        out.stage(index).write_bytes(lake.fs.cat_file(lake.path(made, index)))
        out.counts.update(made.counts)
    return lake.find(made.asset, made.partition, who.version)


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
