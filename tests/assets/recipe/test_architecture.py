"""The model's configuration: presets, what belongs to which architecture, parameter counts, and what training starts from."""

import pytest
from pydantic import ValidationError

from assets.recipe.architecture import PRESETS, Model, StartFrom
from assets.recipe.catalog import Catalog, CatalogError
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("preset", "vocabulary", "published"),
    [
        ("fingpt-small", 131_072, 186e6),
        ("fingpt-medium", 131_072, 437e6),
        ("fingpt-large", 131_072, 881e6),
        ("fingpt-xl", 131_072, 1.5e9),
        ("fingpt-13b", 131_072, 13.3e9),
        ("bluumi", 250_880, 176e9),
        ("poro-34b", 128_000, 34.217e9),
        ("viking-33b", 131_072, 33e9),
    ],
)
def test_presets_have_the_published_numbers_of_parameters(preset, vocabulary, published):
    """With FinGPT's 131,072 tokens and BLOOM's. The 7.5 B of FinGPT 8B count the embeddings twice, so it is not here."""
    assert Model(preset=preset).parameters(vocabulary) == pytest.approx(published, rel=0.005)


def test_a_preset_stands_for_its_fields_and_is_not_written_down():
    model = Model(preset="viking-33b")
    assert model.model_dump() == Model(**PRESETS["viking-33b"]).model_dump()
    assert "preset" not in model.model_dump()
    assert Model.model_validate_json(model.model_dump_json()).model_dump() == model.model_dump()
    assert Model(preset="poro-34b", layers=54, init_std=0.01).init_std == 0.01


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"preset": "fingpt-small", "layers": 13}, "the preset fingpt-small has layers = 12, but layers is 13 here"),
        ({"preset": "gpt-5"}, "the presets are: fingpt-small, .*, viking-33b"),
        (
            {"layers": 2, "hidden": 32, "heads": 4, "kv_heads": 2},
            "kv_heads belongs to the architecture llama; bloom has",
        ),
        (
            {"layers": 2, "hidden": 32, "heads": 4, "tied_embeddings": True},
            "tied_embeddings belongs to the architecture",
        ),
        (
            {"architecture": "llama", "layers": 2, "hidden": 4096, "heads": 4},
            "feed_forward is missing; .*multiple of 256: 11008",
        ),
        (
            {"architecture": "llama", "layers": 2, "hidden": 32, "heads": 4, "kv_heads": 3, "feed_forward": 64},
            r"heads \(4\) must be a multiple of kv_heads \(3\)",
        ),
        (
            {"architecture": "llama", "layers": 2, "hidden": 12, "heads": 4, "feed_forward": 64},
            "hidden / heads is 3; RoPE rotates pairs",
        ),
        ({"architecture": "mamba", "layers": 2, "hidden": 32, "heads": 4}, "'bloom' or 'llama'"),
    ],
)
def test_what_does_not_go_together_is_refused(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Model(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"recipe": "tiny"},
        {"step": 3},
        {"folder": "x"},
        {"digest": DIGEST},
        {"recipe": "tiny", "step": 3, "folder": "x", "digest": DIGEST},
    ],
)
def test_a_start_is_one_whole_thing(fields):
    with pytest.raises(ValidationError, match=r"give recipe and step .* or folder and digest"):
        StartFrom(**fields)
    with pytest.raises(ValidationError, match="digest"):
        StartFrom(folder="x", digest="a word")


def recipe(name, **changes):
    return Recipe.model_validate(changed(RECIPE, name=name, **changes))


def test_a_recipe_may_start_from_anothers_checkpoint():
    start = {"recipe": "tiny", "step": 4}
    Catalog.of([recipe("tiny"), recipe("more", model__start_from=start, model__init_std=0.5)])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"model__start_from": {"recipe": "huge", "step": 4}},
            r"starts from 'huge' \(model.start_from\), but the recipes are: more, tiny",
        ),
        ({"model__start_from": {"recipe": "tiny", "step": 3}}, "at step 3, but its checkpoints are at the steps 0, 4"),
        ({"model__hidden": 64}, "whose model has hidden = 32; hidden is 64 here"),
        (
            {"tokenizer__name": "other-bpe"},
            "whose tokenizer is 'tiny-bpe'; the tokenizer is 'other-bpe' here",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused_with_both_values(changes, sentence):
    changes = {"model__start_from": {"recipe": "tiny", "step": 4}} | changes
    with pytest.raises(CatalogError, match=sentence):
        Catalog.of([recipe("tiny"), recipe("more", **changes)])


def test_recipes_do_not_start_from_each_other():
    first = recipe("first", model__start_from={"recipe": "second", "step": 4})
    second = recipe("second", model__start_from={"recipe": "first", "step": 4})
    with pytest.raises(CatalogError, match="first from second from first"):
        Catalog.of([first, second])
