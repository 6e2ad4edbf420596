"""The recipe poro-34b says what the paper says: section 3 of Luukkonen et al. 2024, table 5 and figure 1."""

import pytest

from assets.mixture.blend import blend
from assets.recipe.load import load_catalog

FINNISH = {"parsebank", "mc4_fi", "cc_fi", "fiwiki", "lonnrot", "suomi24", "reddit_fi", "stt", "yle"}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def test_the_model_and_its_schedule(catalog):
    recipe = catalog.recipe("poro-34b")
    model, training = recipe.model, recipe.training
    assert (model.architecture, model.layers, model.hidden, model.heads) == ("bloom", 54, 7168, 56)
    assert recipe.tokenizer.vocab_size == 128_000
    assert model.parameters(128_000) == 34_216_949_760
    assert (training.steps, training.global_batch, training.sequence_length) == (238_418, 2048, 2048)
    assert training.tokens == pytest.approx(1e12, rel=1e-5)
    assert (training.lr, training.min_lr, training.weight_decay, training.clip) == (1.5e-4, 2e-5, 0.1, 1.0)
    assert training.betas == (0.9, 0.95) and training.precision == "bf16"
    assert training.warmup_steps * 2048 * 2048 == pytest.approx(10e9, rel=1e-3)
    assert all(step % 144 == 0 for step in training.checkpoints[:-1])


def test_the_mixture_of_figure_1(catalog):
    """With the paper's tokens per part, the shares that it samples: 54.5, 13.0, 31.7 and 0.8 %."""
    mixture = catalog.recipe("poro-34b").mixture
    tokens = {"slimpajama": 537.1e9, "gutenberg": 4.5e9, "starcoder": 207.5e9, "tatoeba_challenge": 8e9}
    tokens |= dict.fromkeys(FINNISH, 32.3e9 / len(FINNISH))
    found = {each.source: each for each in blend(mixture, {n: int(t) for n, t in tokens.items()}, 10**12, 2048)}
    finnish = sum(found[name].weight for name in FINNISH)
    shares = (found["slimpajama"].weight + found["gutenberg"].weight, finnish)
    shares += (found["starcoder"].weight, found["tatoeba_challenge"].weight)
    assert shares == pytest.approx((0.545, 0.130, 0.317, 0.008), abs=0.001)
    assert max(each.epochs for each in found.values()) < mixture.warn_epochs


def test_the_data_sets_of_table_4(catalog):
    recipe = catalog.recipe("poro-34b")
    assert set(recipe.sources) == FINNISH | {"slimpajama", "gutenberg", "starcoder", "tatoeba_challenge"}
    assert recipe.sources["slimpajama"].leave_out == {"meta.redpajama_set_name": ("RedPajamaBook",)}
    assert recipe.pair_template.instructions["fi"] == "Translate into Finnish: "


def test_the_small_one_shares_everything_before_its_mixture(catalog):
    large, small = catalog.recipe("poro-34b"), catalog.recipe("poro-186m")
    assert small.mixture == large.mixture and small.tokenizer == large.tokenizer and small.sources == large.sources
    assert (small.model.layers, small.model.hidden, small.model.heads) == (12, 768, 12)
    assert small.training.global_batch * small.training.sequence_length == 524_288
    assert small.training.tokens == pytest.approx(300e9, rel=1e-5)


def test_continued_pretraining_replays_the_other_sources(catalog):
    recipe = catalog.recipe("mini-continued")
    assert recipe.model.start_from.recipe == "mini"
    assert sum(w.weight for n, w in recipe.mixture.sources.items() if not n.endswith("_fi")) == pytest.approx(0.1)
