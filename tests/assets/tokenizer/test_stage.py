import json

import pytest

from assets.lake import Identity
from assets.tokenizer.sample import held_out_texts, training_texts
from assets.tokenizer.stage import STAGE
from tests.conftest import failed_columns, judged, make_version


@pytest.fixture
def made(lake, catalog, corpora):
    return make_version(STAGE, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})


def test_a_good_tokenizer_passes_and_shows_its_fertility(lake, catalog, made):
    receipt = judged(STAGE, lake, made, catalog)
    assert receipt.passed, (receipt.error, receipt.failed)
    shown = STAGE.show(lake, made)
    assert shown["fertility"].png.startswith(b"\x89PNG")
    assert {row["language"] for row in shown["measures"].rows} == {"fi", "en"}


def test_hugging_face_reads_the_folder(lake, made):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(lake.local(made))
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 3)
    assert tokenizer.decode(tokenizer("Tallenna tiedosto!")["input_ids"]) == "Tallenna tiedosto!"


def damaged(lake, made, change):
    """A version like ``made`` whose tokenizer.json was changed by ``change``."""
    value = json.loads(lake.fs.cat_file(lake.path(made, "tokenizer.json")))
    change(value)
    who = Identity(made.asset, made.partition, {"damaged": repr(change)}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        out.stage("tokenizer.json").write_text(json.dumps(value))
    return lake.find(made.asset, made.partition, who.version)


def lose_a_byte(value):
    del value["model"]["vocab"]["Ã"]
    value["model"]["merges"] = [m for m in value["model"]["merges"] if "Ã" not in "".join(m)]
    value["model"]["vocab"] = {t: i for t, i in value["model"]["vocab"].items() if "Ã" not in t}


def swap_special_ids(value):
    vocabulary = value["model"]["vocab"]
    vocabulary["<s>"], vocabulary["</s>"] = vocabulary["</s>"], vocabulary["<s>"]
    for token in value["added_tokens"]:
        token["id"] = vocabulary[token["content"]]


def normalise(value):
    value["normalizer"] = {"type": "Lowercase"}


def forget_merges(value):
    value["model"]["merges"] = []


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lose_a_byte, "missing_bytes"),
        (swap_special_ids, "wrong_special_ids"),
        (normalise, "round_trip_failures"),
        (forget_merges, "fertility_fi"),
    ],
)
def test_a_damaged_tokenizer_is_stopped(lake, catalog, made, change, column):
    receipt = judged(STAGE, lake, damaged(lake, made, change), catalog)
    assert not receipt.passed
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_the_sample_keeps_to_its_budget_and_leaves_the_held_out_documents_out(lake, catalog, corpora):
    config = catalog.tokenizers["tiny-bpe"].model_copy(update={"sample_bytes": 2_000})
    sampled = [text for language, text in training_texts(lake, corpora, catalog.sources, config) if language == "fi"]
    assert 1_000 < sum(len(t.encode()) for t in sampled) <= 2_000
    held_out = held_out_texts(lake, corpora, catalog.sources, config)
    assert held_out["fi"]
    assert not set(sampled) & set(held_out["fi"])


def test_the_gates_bounds_do_not_decide_the_version(lake, catalog, corpora):
    refs = [c.ref for c in corpora.values()]
    loose = catalog.tokenizers["tiny-bpe"].model_copy(update={"max_fertility": {"fi": 9.0}})
    other = type(catalog)({n: r.model_copy(update={"tokenizer": loose}) for n, r in catalog.recipes.items()})
    assert STAGE.identity(catalog, "tiny-bpe", refs).version == STAGE.identity(other, "tiny-bpe", refs).version
