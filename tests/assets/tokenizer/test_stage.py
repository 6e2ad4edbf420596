import json
import shutil

import pyarrow as pa
import pytest

from assets.lake import Identity
from assets.lake.documents import read_parquet, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.tokenizer import bpe
from assets.tokenizer.stage import STAGE
from tests.conftest import FINNISH, PAIRS, RECIPE, changed, failed_columns, judged, make_version, passing_receipt


@pytest.fixture
def made(lake, catalog, corpora):
    return make_version(STAGE, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})


def test_a_good_tokenizer_passes_and_shows_its_report(lake, catalog, made):
    receipt = judged(STAGE, lake, made, catalog)
    assert receipt.passed, (receipt.error, receipt.failed)
    shown = STAGE.show(lake, made)
    for plot in ("fertility", "vocabulary by script"):
        assert shown[plot].png.startswith(b"\x89PNG")
    assert {row["language"] for row in shown["measures"].rows} == {"fi", "en"}
    report = lake.read_json(made, "report.json")
    assert receipt.numbers["fertility_fi"] == report["languages"]["fi"]["fertility"]
    own, *published = shown["fertility beside published tokenizers"].rows
    assert own["tokenizer"] == "tiny-bpe"
    assert own["mean of fi, en, code"] == ""
    assert own["measured on"] == "fi: held-out documents; en: held-out documents"
    poro = next(row for row in published if row["tokenizer"] == "Poro 34B")
    assert (poro["fi"], poro["en"], poro["mean of fi, en, code"]) == (1.38, 1.06, 1.1467)
    assert sum(report["vocabulary"]["scripts"].values()) == 400


def test_hugging_face_reads_the_folder_and_gives_the_same_ids(lake, made):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(lake.local(made))
    ours = bpe.load(str(lake.local(made) / "tokenizer.json"))
    assert (theirs.unk_token_id, theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (0, 1, 2, 3)
    assert (theirs.padding_side, len(theirs)) == ("left", 400)
    texts = [*FINNISH[:20], " f(x)|y [z];\n\n\tå 😁 \u00a0", "Hello, y'all!  "]
    for text in texts:
        encoded = theirs(text)
        assert set(encoded) == {"input_ids", "attention_mask"}
        assert encoded["input_ids"] == ours.encode(text).ids
        assert theirs.decode(encoded["input_ids"]) == text
    assert theirs("<|user|>a</s>")["input_ids"] == [4, ours.token_to_id("a"), 2]  # for templates
    assert theirs("<|user|>a</s>", split_special_tokens=True)["input_ids"] == ours.encode("<|user|>a</s>").ids


def damaged(lake, made, change):
    """A version like ``made`` whose tokenizer.json was changed by ``change``."""
    value = json.loads(lake.fs.cat_file(lake.path(made, "tokenizer.json")))
    change(value)
    who = Identity(made.asset, made.partition, {"damaged": repr(change)}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        out.stage("tokenizer.json").write_text(json.dumps(value))
        shutil.copy(lake.path(made, "held_out.parquet"), out.stage("held_out.parquet"))
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


def forget_the_last(value):
    vocabulary = value["model"]["vocab"]
    del vocabulary[max(vocabulary, key=vocabulary.get)], value["model"]["merges"][-1]


def spell_a_special_token(value):
    forget_the_last(value)
    value["model"]["vocab"]["<s"] = len(value["model"]["vocab"])
    value["model"]["merges"][:0] = [["<", "s"], ["<s", ">"]]


def learn_one_more(value):
    value["model"]["vocab"]["qx"] = len(value["model"]["vocab"])
    value["model"]["merges"].append(["q", "x"])


def skip_an_id(value):
    vocabulary = value["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] += 1


def take_a_prefix_space(value):
    value["pre_tokenizer"]["pretokenizers"][-1]["add_prefix_space"] = True


def drop_what_the_regex_matches(value):
    value["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lose_a_byte, "missing_bytes"),
        (swap_special_ids, "wrong_special_ids"),
        (spell_a_special_token, "special_ids_from_text"),
        (normalise, "round_trip_failures"),
        (take_a_prefix_space, "round_trip_failures"),
        (drop_what_the_regex_matches, "round_trip_failures"),
        (forget_merges, "fertility_fi"),
        (skip_an_id, "ids_beyond_vocabulary"),
        (learn_one_more, "ids_beyond_vocabulary"),
        (learn_one_more, "vocab_size"),
        (forget_the_last, "vocab_size"),
    ],
)
def test_a_damaged_tokenizer_is_stopped(lake, catalog, made, change, column):
    receipt = judged(STAGE, lake, damaged(lake, made, change), catalog)
    assert not receipt.passed
    assert receipt.error is None
    assert column in failed_columns(receipt), (receipt.error, receipt.failed)


def test_only_what_is_damaged_is_named(lake, catalog, made):
    receipt = judged(STAGE, lake, damaged(lake, made, spell_a_special_token), catalog)
    assert failed_columns(receipt) == {"special_ids_from_text"}
    assert failed_columns(judged(STAGE, lake, damaged(lake, made, lambda value: None), catalog)) == set()


def test_fertility_above_the_recipes_bound_is_stopped(lake, made):
    strict = Catalog.of([Recipe.model_validate(changed(RECIPE, tokenizer__max_fertility={"en": 0.9}))])
    assert failed_columns(judged(STAGE, lake, made, strict)) == {"fertility_en"}


def test_a_tokenizer_that_nothing_in_a_language_was_held_out_for_is_stopped(lake, catalog, made):
    held_out = read_parquet(lake, made, "held_out.parquet")
    who = Identity(made.asset, made.partition, {}, made.code, tuple(made.inputs))
    with lake.write(who) as out:
        shutil.copy(lake.path(made, "tokenizer.json"), out.stage("tokenizer.json"))
        write_table(
            out, "held_out.parquet", held_out.filter([each != "en" for each in held_out["language"].to_pylist()])
        )
    receipt = judged(STAGE, lake, lake.find(made.asset, made.partition, who.version), catalog)
    assert failed_columns(receipt) == {"fertility_en"}


def recipe_with(**tokenizer):
    tasks = {
        **RECIPE["tasks"],
        "flores": {"kind": "translation", "files": "f.jsonl", "source_language": "en", "language": "fi"},
        "protected_en": {"kind": "protected", "files": "f.jsonl", "fields": ["en"]},
    }
    return Catalog.of(
        [Recipe.model_validate(changed(RECIPE, tasks=tasks, tokenizer={**RECIPE["tokenizer"], **tokenizer}))]
    )


def put_items(lake, task, texts, items):
    who = Identity("benchmark", task, {}, "test")
    rows = [
        {"id": str(n), "text": text, "item": json.dumps(item)}
        for n, (text, item) in enumerate(zip(texts, items, strict=True))
    ]
    with lake.write(who) as out:
        write_table(
            out,
            "items.parquet",
            pa.Table.from_pylist(rows, pa.schema([(n, pa.string()) for n in ("id", "text", "item")])),
        )
    made = lake.find("benchmark", task, who.version)
    passing_receipt(lake, made)
    return made


def test_fertility_is_also_measured_on_the_sentences_of_the_tasks_that_the_recipe_names(lake, corpora):
    catalog = recipe_with(fertility_tasks={"fi": "flores", "en": "protected_en"})
    names = STAGE.inputs(catalog, "tiny-bpe")
    assert [key for asset, key in names if asset == "benchmark"] == ["flores", "protected_en"]
    benchmarks = {
        "flores": put_items(
            lake, "flores", [f"{en}\f{fi}" for en, fi in PAIRS], [{"source": en, "reference": fi} for en, fi in PAIRS]
        ),
        "protected_en": put_items(lake, "protected_en", [en for en, _ in PAIRS[:30]], [{}] * 30),
    }
    inputs = {"decontaminated_corpus": corpora, "benchmark": benchmarks}
    made = make_version(STAGE, lake, catalog, "tiny-bpe", inputs)
    receipt = judged(STAGE, lake, made, catalog)
    assert receipt.passed, (receipt.error, receipt.failed)
    tokenizer = bpe.load(str(lake.local(made) / "tokenizer.json"))
    found = lake.read_json(made, "report.json")["benchmarks"]
    assert (found["fi"]["task"], found["en"]["task"]) == ("flores", "protected_en")
    for language, sentences in (("fi", [fi for _, fi in PAIRS]), ("en", [en for en, _ in PAIRS[:30]])):
        # "Avaa tiedosto numero 7." has five words by the definition: four, and the full stop.
        assert found[language]["words"] == sum(len(sentence.split()) + 1 for sentence in sentences)
        tokens = sum(len(tokenizer.encode(sentence).ids) for sentence in sentences)
        assert found[language]["fertility"] == tokens / found[language]["words"]
    own = STAGE.show(lake, made)["fertility beside published tokenizers"].rows[0]
    assert own["measured on"] == "fi: flores; en: protected_en"
    assert own["fi"] == round(found["fi"]["fertility"], 4)


def test_a_task_without_data_leaves_its_language_to_the_held_out_documents(lake, corpora):
    catalog = recipe_with(fertility_tasks={"en": "protected_en"})
    inputs = {"decontaminated_corpus": corpora, "benchmark": {"protected_en": put_items(lake, "protected_en", [], [])}}
    made = make_version(STAGE, lake, catalog, "tiny-bpe", inputs)
    assert lake.read_json(made, "report.json")["benchmarks"] == {}
    own = STAGE.show(lake, made)["fertility beside published tokenizers"].rows[0]
    assert own["measured on"] == "fi: held-out documents; en: held-out documents"


def test_a_regex_that_does_not_compile_is_refused_before_the_corpora_are_read(lake, corpora):
    catalog = recipe_with(pretokenizer="regex", regex="[")
    for manifest in corpora.values():
        for file in manifest.files:
            lake.fs.rm(lake.path(manifest, file.path))
    with pytest.raises(bpe.RegexError, match="tokenizer tiny-bpe: regex is '\\['"):
        make_version(STAGE, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"max_fertility": {"fi": 9.0}}, True),
        ({"sources": {"en": ["docs_pairs"], "fi": ["docs_pairs", "docs_fi"]}}, True),
        ({"seed": 1}, False),
        ({"split_digits": True}, False),
        ({"pretokenizer": "regex", "regex": "a"}, False),
        ({"sources": {"en": ["docs_pairs"], "fi": ["docs_fi"]}}, False),
        ({"fertility_tasks": {"fi": "heldout_fi"}}, False),
    ],
)
def test_what_decides_the_file_decides_the_version_and_nothing_else(catalog, corpora, change, same):
    refs = [c.ref for c in corpora.values()]
    other = STAGE.identity(recipe_with(**change), "tiny-bpe", refs).version
    assert (STAGE.identity(catalog, "tiny-bpe", refs).version == other) == same
