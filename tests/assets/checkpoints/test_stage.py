"""checkpoint, from the weights of a tiny real BLOOM, and its gate: what it loads computes what the trainer computed."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from assets.checkpoints.stage import STAGE, TOKENIZER_FILES
from assets.lake import Identity, Lake
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import FINNISH, PAIRS, RECIPE, changed, failed_columns, judged, make_version, put_documents
from training_jobs import export
from training_jobs.export import checkpoint_folder, export_checkpoint
from training_jobs.language_model import build, initial_value

CATALOG = Catalog.of([Recipe.model_validate(RECIPE)])
KEY = "tiny--step-0000004"
MODEL_FILES = {"config.json", "generation_config.json", "model.safetensors", "probe.safetensors"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return Lake.open(str(tmp_path_factory.mktemp("checkpoints") / "lake"))


@pytest.fixture(scope="module")
def tokenizer(lake):
    english, finnish = zip(*PAIRS, strict=True)
    corpora = {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", FINNISH),
        "docs_pairs": put_documents(lake, "decontaminated_corpus", "docs_pairs", list(english), list(finnish)),
    }
    return make_version(TOKENIZER, lake, CATALOG, "tiny-bpe", {"decontaminated_corpus": corpora})


def nothing(folder):
    pass


def put_run(lake, damage=nothing, vocab_size=400, **model):
    """A pretraining run whose last checkpoint the trainer's own code exported, and ``damage`` went over."""
    config = Recipe.model_validate(
        changed(RECIPE, **{f"model__{name}": value for name, value in ({"init_std": 0.2} | model).items()})
    ).model
    network = build(config, vocab_size)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(initial_value(name, parameter, config, seed=7))
    probe = torch.arange(32).view(2, 16) * 11 % vocab_size
    who = Identity("pretraining_run", "tiny", {"damage": damage.__name__, "vocab_size": vocab_size, **model}, "test")
    with lake.write(who) as out:
        folder = checkpoint_folder(out.folder, 4)
        export_checkpoint(network, probe, folder, writes=True, dtype=torch.float32)
        damage(folder)
        out.counts["parameters"] = config.parameters(vocab_size)
    return lake.find("pretraining_run", "tiny", who.version)


def make(lake, run, tokenizer):
    inputs = {"pretraining_run": {"tiny": run}, "tokenizer": {"tiny-bpe": tokenizer}}
    return make_version(STAGE, lake, CATALOG, KEY, inputs)


@pytest.fixture(scope="module")
def good(lake, tokenizer):
    return make(lake, put_run(lake), tokenizer)


def test_the_stage_makes_a_folder_that_hugging_face_loads(lake, good):
    assert {f.path for f in good.files} == {*MODEL_FILES, *TOKENIZER_FILES}
    assert good.counts == {"parameters": CATALOG.recipe("tiny").model.parameters(400), "step": 4, "tokens": 256}
    folder = str(lake.local(good))
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert model.num_parameters() == good.counts["parameters"]
    loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert loaded.decode(loaded(FINNISH[0])["input_ids"]) == FINNISH[0]
    assert {row["file"] for row in STAGE.show(lake, good)["files"].rows} == {f.path for f in good.files}


def test_a_good_checkpoint_passes(lake, good):
    receipt = judged(STAGE, lake, good, CATALOG)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert receipt.numbers["logit_difference"] < 1e-4


def a_flipped_byte(folder):
    """The sign of one number: the last byte of the weights belongs to the last tensor."""
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80
    path.write_bytes(content)


def rewrite(folder, name, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[name] = change(weights[name]).contiguous()
    save_file(weights, path, metadata={"format": "pt"})


def other_weights(folder):
    rewrite(folder, "transformer.h.1.self_attention.query_key_value.weight", lambda w: w.flip(0))


def weights_that_are_not_numbers(folder):
    rewrite(folder, "transformer.ln_f.weight", lambda w: torch.full_like(w, torch.nan))


def other_logits(folder):
    probe = load_file(folder / "probe.safetensors")
    probe["logits"][0, 3, 7] += 0.01
    save_file(probe, folder / "probe.safetensors")


@pytest.mark.parametrize(
    ("damage", "columns"),
    [
        (a_flipped_byte, {"logit_difference"}),
        (other_weights, {"logit_difference"}),
        (other_logits, {"logit_difference"}),
        (weights_that_are_not_numbers, {"logits_finite", "logit_difference"}),
    ],
)
def test_other_weights_than_the_trainers_are_stopped(lake, tokenizer, damage, columns):
    receipt = judged(STAGE, lake, make(lake, put_run(lake, damage), tokenizer), CATALOG)
    assert not receipt.passed
    assert failed_columns(receipt) == columns, (receipt.error, receipt.failed)


def a_truncated_file(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def a_missing_weight(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["transformer.ln_f.bias"]
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [a_truncated_file, a_missing_weight])
def test_a_folder_that_does_not_load_is_stopped_with_the_reason(lake, tokenizer, damage):
    receipt = judged(STAGE, lake, make(lake, put_run(lake, damage), tokenizer), CATALOG)
    assert not receipt.passed
    assert "does not load" in receipt.error


def test_another_architecture_than_the_recipes_is_stopped(lake, tokenizer):
    receipt = judged(STAGE, lake, make(lake, put_run(lake, layers=3), tokenizer), CATALOG)
    assert failed_columns(receipt) == {"parameters_missing"}, (receipt.error, receipt.failed)


def test_another_vocabulary_than_the_tokenizers_is_stopped(lake, tokenizer):
    receipt = judged(STAGE, lake, make(lake, put_run(lake, vocab_size=512), tokenizer), CATALOG)
    assert failed_columns(receipt) == {"parameters_missing", "vocabulary_differs"}, (receipt.error, receipt.failed)


LLAMA = {"architecture": "llama", "feed_forward": 88, "kv_heads": 2}


@pytest.fixture
def in_small_files(monkeypatch):
    monkeypatch.setattr(export, "FILE_BYTES", 20_000)


def llama_outcome(lake, tokenizer, damage=nothing):
    changes = {f"model__{name}": value for name, value in LLAMA.items()}
    catalog = Catalog.of([Recipe.model_validate(changed(RECIPE, **changes))])
    inputs = {"pretraining_run": {"tiny": put_run(lake, damage, **LLAMA)}, "tokenizer": {"tiny-bpe": tokenizer}}
    version = make_version(STAGE, lake, catalog, KEY, inputs)
    return version, judged(STAGE, lake, version, catalog)


@pytest.mark.usefixtures("in_small_files")
def test_a_llama_in_several_files_passes(lake, tokenizer):
    version, receipt = llama_outcome(lake, tokenizer)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    assert sum(f.path.startswith("model-0000") for f in version.files) > 2


def a_missing_file(folder):
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


@pytest.mark.usefixtures("in_small_files")
def test_a_missing_file_of_several_is_stopped(lake, tokenizer):
    _, receipt = llama_outcome(lake, tokenizer, a_missing_file)
    assert not receipt.passed and "does not load" in receipt.error
