import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recipe.catalog import Catalog, CatalogError
from assets.recipe.load import MissingVariableError, RecipeError, expand, load_catalog, load_recipe
from assets.recipe.operations import SECRETS
from tests.conftest import RECIPE, changed


@pytest.fixture
def write(tmp_path):
    def write(value, name="tiny"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False), "utf-8")
        return path

    return write


def line_of(path, text):
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_the_recipes_of_the_project_are_valid():
    assert {"mini", "mini-rich"} <= set(load_catalog().recipes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"training__stepz": 3}, r"training.stepz is not a known key; known are: .*steps"),
        ({"mixture__sources": {"docs_fi": {"epochs": -1}}}, r"mixture.sources.docs_fi.epochs is -1: .*greater than 0"),
        (
            {"mixture__sources": {"docs_fi": {"weight": 0.5}, "docs_pairs": {"weight": 0.4}}},
            r"mixture: the weights sum to 0.9; they must sum to 1",
        ),
        ({"mixture__sources": {"docs_fi": {"epochs": 1, "weight": 1}}}, "exactly one of epochs and weight"),
        ({"mixture__sources": {"nobody": {"epochs": 1}}}, r"mixture.sources names 'nobody', .*docs_fi, docs_pairs"),
        ({"training__global_batch": 5}, r"training: global_batch \(5\) must be a multiple"),
        ({"training__checkpoints": [0, 3]}, r"the last checkpoint must be the last step \(4\)"),
        ({"model__heads": 5}, r"hidden \(32\) must be a multiple of heads \(5\)"),
        ({"sources__docs_fi__cleaning": "dishes"}, r"sources.docs_fi.cleaning is 'dishes': .*'documentation'"),
        ({"sources__docs_fi__pair_language": "en"}, "pair_language belongs to the formats"),
        ({"tokenizer__vocab_size": 10}, r"tokenizer.vocab_size is 10: .*300"),
        ({"tokenizer__vocab_size": 262_145}, r"tokenizer.vocab_size is 262145: .*262144"),
        ({"tokenizer__pretokenizer": "regex"}, "regex belongs to the pretokenizer regex, and only to it"),
        ({"tokenizer__regex": "a+"}, "regex belongs to the pretokenizer regex, and only to it"),
        (
            {"tokenizer__sample_bytes": 2**30},
            r"sample_bytes is 1,073,741,824 for each of 2 languages, 2,147,483,648 in all; at most 2,147,483,647 .*32 bits",
        ),
        ({"tokenizer__sources": {"fi": []}}, r"tokenizer.sources.fi: .*at least 1 item"),
        (
            {"tokenizer__sources": {"sv": ["docs_pairs"]}},
            r"tokenizer.sources.sv names 'docs_pairs', which has pairs of en and fi; it has no text in sv",
        ),
        (
            {"tokenizer__fertility_tasks": {"fi": "flores"}},
            r"fertility_tasks.fi names 'flores', which is not among the tasks: heldout_fi",
        ),
        (
            {"tokenizer__fertility_tasks": {"en": "heldout_fi"}},
            r"fertility_tasks.en names 'heldout_fi', which is in fi",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_file_line_key_value_and_what_is_allowed(write, change, expected):
    path = write(changed(RECIPE, **change))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert re.search(expected, message), message
    assert message.startswith(f"{path}, line ")
    assert "\n" not in message


def test_the_line_is_the_one_of_the_key(write):
    path = write(changed(RECIPE, training__stepz=3))
    with pytest.raises(RecipeError, match=f"line {line_of(path, 'stepz')}: training.stepz"):
        load_recipe(path)


def test_a_key_that_stands_twice_is_refused(write):
    with pytest.raises(RecipeError, match=r"line 2: .*'name' stands twice"):
        load_recipe(write("name: tiny\nname: tiny\n"))


@pytest.mark.parametrize("text", ["- a list", "just text", "a: [", "", "\x00", "!!python/object:os.system {}"])
def test_what_is_no_recipe_is_refused_in_one_sentence(write, text):
    with pytest.raises(RecipeError):
        load_recipe(write(text))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_recipe_error_and_never_a_traceback(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "tiny.yaml"
    path.write_text(text.encode("utf-8", "replace").decode(), "utf-8")
    with pytest.raises(RecipeError):
        load_recipe(path)


def test_half_of_a_surrogate_pair_is_no_text(write):
    with pytest.raises(
        RecipeError, match=r"tiny\.yaml, line 2: not readable as YAML: this text holds half of a surrogate"
    ):
        load_recipe(write('name: tiny\ndescription: "\\uD800"\n'))


def test_an_ablation_is_three_lines_and_shares_the_rest(write):
    base = load_recipe(write(RECIPE))
    child = load_recipe(write("extends: tiny\nmixture: {sources: {docs_pairs: null}}\n", "no-pairs"))
    assert child.mixed_sources == ["docs_fi"]
    assert child.sources == base.sources
    assert child.tokenizer == base.tokenizer


def test_a_recipe_that_extends_itself_is_named(write):
    write("extends: b\n", "a")
    with pytest.raises(RecipeError, match="b -> a -> b"):
        load_recipe(write("extends: a\n", "b"))


def test_a_missing_parent_is_named(write):
    with pytest.raises(RecipeError, match=r"extends 'nobody', but there is no nobody\.yaml"):
        load_recipe(write("extends: nobody\n", "a"))


def test_two_recipes_that_mean_different_things_by_one_name_are_refused(write):
    one = load_recipe(write(RECIPE))
    other = load_recipe(write(changed(RECIPE, name="other", sources__docs_fi__language="en"), "other"))
    with pytest.raises(CatalogError, match="'tiny' and 'other' both have the source 'docs_fi'"):
        Catalog.of([one, other])


def test_only_tokka_variables_are_filled_in(monkeypatch):
    monkeypatch.setenv("TOKKA_SHARED", "/data")
    assert expand("${TOKKA_SHARED}/fi/*.gz") == "/data/fi/*.gz"
    monkeypatch.delenv("TOKKA_SHARED")
    with pytest.raises(MissingVariableError, match="TOKKA_SHARED, which is not set"):
        expand("${TOKKA_SHARED}/fi")
    with pytest.raises(RecipeError, match="names that start with TOKKA_"):
        expand("s3://b/${AWS_SECRET_ACCESS_KEY}")


@pytest.mark.parametrize("name", [*SECRETS, "TOKKA_POSTGRES_PASSWORD", "TOKKA_POSTGRES_PASSWORD_FILE"])
def test_no_secret_of_tokkas_own_is_filled_in(monkeypatch, name):
    monkeypatch.setenv(name, "kuusitoista")
    with pytest.raises(RecipeError, match="which may hold a secret") as error:
        expand(f"s3://b/${{{name}}}")
    assert "kuusitoista" not in str(error.value)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"kind": "finbench", "files": "f.json"}, "of the kind finbench"),
        ({"kind": "protected", "files": "f.jsonl", "fields": ["fi", "en"]}, "fields fi, en; allowed is .* one field"),
        (
            {"kind": "translation", "files": "f.jsonl", "source_language": "en", "language": "fi"},
            "which translates from en into fi",
        ),
    ],
)
def test_fertility_is_not_measured_on_a_task_that_has_no_text_in_the_language(write, task, expected):
    value = changed(RECIPE, tokenizer__fertility_tasks={"sv": "other"})
    value["tasks"]["other"] = task
    with pytest.raises(RecipeError, match=rf"fertility_tasks.sv names 'other', .*{expected}"):
        load_recipe(write(value))


def test_the_largest_sample_is_as_large_as_a_count_of_pairs_can_hold(write):
    value = changed(RECIPE, tokenizer__sample_bytes=2**30 - 1)
    assert load_recipe(write(value)).tokenizer.sample_bytes == 2**30 - 1
