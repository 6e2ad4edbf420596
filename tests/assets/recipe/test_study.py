"""Studies: the recipes that follow from them, what is held equal, and what is refused."""

import pytest
import yaml

from assets.recipe.load import RecipeError, load_catalog, recipe_folders
from assets.recipe.studies import load_studies
from assets.recipe.study import Arm, StudyError, arm_epochs, mixed

TOKENS = {"fi": 30.0, "en": 500.0, "code": 200.0, "pairs": 8.0}
EPOCHS = {"fi": 4.0, "en": 1.0, "code": 1.5, "pairs": 1.0}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def ablations():
    return load_studies(recipe_folders())["ablations"][1]


def shares(arm):
    found = mixed(TOKENS, arm_epochs(arm, "fi", TOKENS, EPOCHS, 1_000), 1_000)
    assert sum(found.sampled.values()) == pytest.approx(1_000)
    return {group: tokens / 1_000 for group, tokens in found.sampled.items()}


def test_a_share_is_times_the_bases_share():
    base = shares(Arm())
    ten = shares(Arm(share={"pairs": 10}))
    assert ten["pairs"] == pytest.approx(10 * base["pairs"])
    assert ten["fi"] / ten["en"] == pytest.approx(base["fi"] / base["en"])


def test_epochs_are_those_of_the_run_and_the_others_keep_their_proportions():
    for times in (1, 8):
        epochs = arm_epochs(Arm(epochs={"fi": times}), "fi", TOKENS, EPOCHS, 1_000)
        assert epochs["fi"] == pytest.approx(times)
        assert epochs["code"] / epochs["en"] == pytest.approx(1.5) and epochs["pairs"] == pytest.approx(epochs["en"])
        assert sum(each * TOKENS[group] for group, each in epochs.items()) == pytest.approx(1_000)


def test_what_is_left_out_is_made_up_for_by_the_rest():
    found = shares(Arm(without=("en",)))
    assert set(found) == {"fi", "code", "pairs"}
    assert found["fi"] / found["code"] == pytest.approx(4 * 30 / (1.5 * 200))


def test_replay_is_its_share():
    found = shares(Arm.model_validate({"continues": {"replay": 0.1}}))
    assert found["fi"] == pytest.approx(0.9)
    assert set(shares(Arm.model_validate({"continues": {}}))) == {"fi"}


@pytest.mark.parametrize(
    ("arm", "sentence"),
    [
        ({"share": {"pairs": 200}}, "below 100 %"),
        ({"epochs": {"fi": 34}}, "the shares of fi are 102% of all tokens"),
        ({"without": list(TOKENS)}, "nothing is left"),
    ],
)
def test_an_arm_that_cannot_be_is_refused(arm, sentence):
    with pytest.raises(StudyError, match=sentence):
        arm_epochs(Arm.model_validate(arm), "fi", TOKENS, EPOCHS, 1_000)


def test_each_ablation_is_there_at_three_sizes(catalog, ablations):
    names = {(each.base, each.arm): each.recipe.name for each in ablations if each.seed is None}
    for arm in (
        "finnish-only",
        "no-pairs",
        "no-code",
        "no-english",
        "pairs-4x",
        "pairs-10x",
        "vocab-half",
        "vocab-double",
        "digits",
        "continue-fi",
        "continue-replay",
    ):
        for base in ("mini", "poro-186m", "poro-34b"):
            assert names[base, arm] == f"{base}-{arm}" and f"{base}-{arm}" in catalog.recipes
    epochs = {name.removeprefix("fi-epochs-") for _, name in names if name.startswith("fi-epochs-")}
    assert epochs == {"1", "2", "4", "8"}
    # Poro has four epochs of Finnish, so that arm is Poro itself and is not trained twice; its name is known all the same.
    assert names["poro-34b", "fi-epochs-4"] == names["poro-34b", "full"] == "poro-34b"
    for (base, arm), name in names.items():
        assert catalog.recipe(f"{base}-{arm}").name == name


def test_epochs_of_finnish_are_as_many_as_the_arm_says(ablations):
    for each in ablations:
        if each.arm.startswith("fi-epochs-"):
            asked = float(each.arm.removeprefix("fi-epochs-"))
            assert each.mixed.epochs["fi"] == pytest.approx(asked, rel=0.01), each.alias
            assert each.mixed.tokens == pytest.approx(each.recipe.training.tokens)


def test_a_recipe_says_of_which_arm_it_is(catalog):
    said = {name: recipe.description for name, recipe in catalog.recipes.items()}
    assert "without code" in said["poro-34b-no-code"]
    assert "Finnish and code" in said["blessing-with-code-s1"] and "1 million" in said["blessing-with-code-s1"]


def test_what_is_held_equal(catalog):
    base = catalog.recipe("poro-34b")
    assert catalog.recipe("poro-34b-no-english").training.tokens == base.training.tokens
    once = catalog.recipe("poro-34b-finnish-only-once")
    # 13 % of 1,000 B tokens: four epochs of 32.3 B.
    assert once.training.tokens == pytest.approx(129.1e9 * 1000 / 992.7, rel=0.01)
    assert once.training.checkpoints[-1] == once.training.steps


def test_everything_before_the_mixture_is_shared(catalog):
    base = catalog.recipe("poro-34b")
    for arm in ("no-english", "pairs-4x", "finnish-only", "continue-replay"):
        recipe = catalog.recipe(f"poro-34b-{arm}")
        assert recipe.sources == base.sources and recipe.tokenizer == base.tokenizer and recipe.tasks == base.tasks
        assert not recipe.reference
    digits = catalog.recipe("poro-34b-digits").tokenizer
    assert digits.split_digits and digits.name == "poro-128k-digits"
    assert catalog.recipe("poro-186m-digits").tokenizer == digits


def test_every_34b_recipe_has_its_parameters_on_the_meta_device(ablations):
    import torch

    from training_jobs.language_model import build

    seen = set()
    for each in ablations:
        vocabulary = each.recipe.tokenizer.vocab_size
        if each.base != "poro-34b" or vocabulary in seen:
            continue
        seen.add(vocabulary)
        with torch.device("meta"):
            model = build(each.recipe.model, vocabulary)
        assert sum(p.numel() for p in model.parameters()) == each.recipe.model.parameters(vocabulary)
    assert seen == {64_000, 128_000, 256_000}


def test_seeds_are_recipes_of_their_own(catalog):
    study, derived = load_studies(recipe_folders())["blessing-of-multilinguality-mini"]
    assert len({each.recipe.name for each in derived}) == len(study.arms) * len(study.seeds) == 18
    assert {catalog.recipe(f"blessing-with-all-s{seed}").training.seed for seed in (1, 2, 3)} == {1, 2, 3}
    assert study.seconds_per_recipe * len(derived) <= 60 * 60


def test_a_base_may_have_seeds_of_its_own_and_among_them_the_recipes(tmp_path, recipe_value):
    for name in ("tiny", "other"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(recipe_value | {"name": name}))
    (tmp_path / "studies").mkdir()
    tokens = {"fi": 10, "pairs": 5}
    value = {
        "description": "?", "target": "fi", "baseline": "full", "seeds": [7],
        "bases": {"tiny": {"tokens": tokens, "seeds": [None, 2]}, "other": {"tokens": tokens}},
        "arms": {"full": {}, "no-pairs": {"without": ["pairs"]}, "going-on": {"continues": {}}},
    }  # fmt: skip
    (tmp_path / "studies" / "small.yaml").write_text(yaml.safe_dump(value))
    catalog = load_catalog([tmp_path])
    own = catalog.recipe("tiny").training.seed
    found = {
        name: catalog.recipe(name).training.seed for name in catalog.recipes if name.endswith(("no-pairs", "s2", "s7"))
    }
    assert found == {
        **{"tiny-no-pairs": own, "tiny-full-s2": 2, "tiny-no-pairs-s2": 2, "tiny-going-on-s2": 2},
        **{"other-full-s7": 7, "other-no-pairs-s7": 7, "other-going-on-s7": 7},
    }
    starts = {name: catalog.recipe(name).model.start_from.recipe for name in ("tiny-going-on", "tiny-going-on-s2")}
    assert starts == {"tiny-going-on": "tiny", "tiny-going-on-s2": "tiny-full-s2"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"bases": {"tiny": {"tokens": {"fi": 1, "pairs": 1}, "seeds": [None, None]}}}, "a seed stands twice"),
        ({"baseline": "nobody"}, "baseline names 'nobody'"),
        ({"arms": {"full": {}, "none": {"without": ["sv"]}}}, "names the group 'sv'"),
        ({"arms": {"full": {}, "odd": {"change": {"training": {"steps": -1}}}}}, "the arm odd of tiny: .*steps"),
        ({"bases": {"nothing": {"tokens": {"fi": 1, "pairs": 1}}}}, "there is no recipe 'nothing'"),
        ({"colour": "red"}, "colour is not a known key"),
    ],
)
def test_a_wrong_study_is_named_with_its_place(tmp_path, recipe_value, change, sentence):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe_value))
    value = {
        "description": "?", "target": "fi", "baseline": "full", "bases": {"tiny": {"tokens": {"fi": 10, "pairs": 5}}},
        "arms": {"full": {}, "no-pairs": {"without": ["pairs"]}},
    }  # fmt: skip
    (tmp_path / "studies").mkdir()
    file = tmp_path / "studies" / "small.yaml"
    file.write_text(yaml.safe_dump(value))
    assert "tiny-no-pairs" in load_catalog([tmp_path]).recipes
    file.write_text(yaml.safe_dump(value | change))
    with pytest.raises(RecipeError, match=sentence) as caught:
        load_catalog([tmp_path])
    assert "small.yaml, line" in str(caught.value)
