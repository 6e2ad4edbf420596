"""What decides the version of a stage: configuration, code and inputs; never the bounds of its gate."""

import dataclasses
import importlib

import pytest

from assets.graph import BY_ASSET, STAGES
from assets.lake import InputRef
from assets.lake.fingerprint import UnstableIdentityError
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed


def catalog_with(**changes):
    return Catalog.of([Recipe.model_validate(changed(RECIPE, **changes))])


@pytest.fixture
def source_file(tmp_path):
    """The recipe's source and task, as files that are there."""
    for name in ("docs_fi.jsonl", "heldout_fi.jsonl"):
        (tmp_path / name).write_text('{"id": "a", "text": "Teksti."}\n', "utf-8")
    return tmp_path


def version(stage, catalog, key, inputs=()):
    return stage.identity(catalog, key, inputs).version


def ref(partition="a", digest="1"):
    return InputRef(asset="tokenized_shards", partition=partition, version="v", digest=digest * 64)


@pytest.mark.parametrize(
    ("asset", "key", "change"),
    [
        ("tokenizer", "tiny-bpe", {"tokenizer__vocab_size": 500}),
        ("tokenizer", "tiny-bpe", {"tokenizer__seed": 1}),
        ("tokenized_shards", "docs_pairs--tiny-bpe", {"pair_template__separator": "\n"}),
        ("mixture", "tiny", {"mixture__sources__docs_fi__epochs": 3}),
        ("mixture", "tiny", {"training__sequence_length": 32}),
        ("mixture", "tiny", {"training__seed": 1}),
        ("pretraining_run", "tiny", {"training__lr": 0.002}),
        ("pretraining_run", "tiny", {"training__seed": 1}),
        ("pretraining_run", "tiny", {"model__hidden": 64}),
        ("evaluation", "tiny--step-0000004", {"tasks__heldout_fi__limit": 3}),
        ("evaluation", "tiny--step-0000004", {"pair_template__separator": "\n"}),
        ("model_card", "tiny", {"description": "Another one."}),
    ],
)
def test_configuration_changes_the_version(asset, key, change):
    stage = BY_ASSET[asset]
    assert version(stage, catalog_with(**change), key) != version(stage, catalog_with(), key)


@pytest.mark.parametrize(
    ("asset", "key", "change"),
    [
        ("raw_corpus", "docs_fi", {"sources__docs_fi__bounds": {"min_documents": 7}}),
        ("clean_corpus", "docs_fi", {"sources__docs_fi__bounds": {"removed": 0.9}}),
        ("deduplicated_corpus", "docs_fi", {"sources__docs_fi__bounds": {"duplicates": 0.9}}),
        ("duplicates", "tiny", {"pools": {"tiny": {"max_cluster_share": 0.9}}}),
        ("decontaminated_corpus", "docs_fi", {"sources__docs_fi__bounds": {"contaminated": 0.9}}),
        ("tokenizer", "tiny-bpe", {"tokenizer__max_fertility": {"fi": 2.0}}),
        ("mixture", "tiny", {"mixture__max_epochs": 9, "mixture__warn_epochs": 3}),
        (
            "evaluation",
            "tiny--step-0000004",
            {"reference": {"heldout_fi": {"bits_per_character": {"scores": {4: 2.0}}}}},
        ),
    ],
)
def test_bounds_change_the_suite_and_not_the_version(source_file, asset, key, change):
    stage = BY_ASSET[asset]
    places = {
        "sources__docs_fi__files": str(source_file / "docs_fi.jsonl"),
        "tasks__heldout_fi__files": str(source_file / "heldout_fi.jsonl"),
    }
    before, after = catalog_with(**places), catalog_with(**places, **change)
    assert version(stage, after, key) == version(stage, before, key)
    assert stage.gate.suite_digest(after, key) != stage.gate.suite_digest(before, key)


def test_inputs_change_the_version_and_their_order_does_not(catalog):
    stage = BY_ASSET["mixture"]
    versions = [
        version(stage, catalog, "tiny", inputs)
        for inputs in ([], [ref()], [ref(digest="2")], [ref("b")], [ref(), ref("b")])
    ]
    assert len(set(versions)) == len(versions)
    assert version(stage, catalog, "tiny", [ref("b"), ref()]) == versions[-1]


def test_asset_and_partition_are_part_of_the_version():
    stage = BY_ASSET["tokenizer"]
    renamed = catalog_with(tokenizer__name="other-bpe")
    assert version(stage, renamed, "other-bpe") != version(stage, catalog_with(), "tiny-bpe")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes the code of a module, and gives the version of a stage that depends on it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(code):
        (tmp_path / "code_of_a_stage.py").write_text(code, "utf-8")
        importlib.invalidate_caches()
        stage = dataclasses.replace(BY_ASSET["mixture"], code=("code_of_a_stage",), libraries=())
        return version(stage, catalog_with(), "tiny")

    return write


def test_code_changes_the_version_and_words_about_it_do_not(module):
    first = module('def f(x):\n    """Add one."""\n    return x + 1\n')
    assert module("# Another comment.\ndef f(x):\n\n    return (x + 1)\n") == first
    assert module("def f(x):\n    return x + 2\n") != first


def test_libraries_change_the_version(catalog):
    stage = BY_ASSET["mixture"]
    fewer = dataclasses.replace(stage, libraries=())
    assert version(fewer, catalog, "tiny") != version(stage, catalog, "tiny")


def test_code_that_is_not_there_is_refused(catalog):
    stage = dataclasses.replace(BY_ASSET["mixture"], code=("assets.mixture.nothing",))
    with pytest.raises(UnstableIdentityError, match=r"assets\.mixture\.nothing"):
        version(stage, catalog, "tiny")


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.asset)
def test_the_code_of_every_stage_and_gate_is_there(stage, catalog):
    assert len(stage.code_digest()) == 64
    if stage.gate is not None:
        assert stage.gate.code
        for key in stage.keys(catalog):
            assert len(stage.gate.suite_digest(catalog, key)) == 64
