"""Training from the weights of a folder or of the lake: what fits is loaded exactly, what does not is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from assets.lake import Identity, InputRef
from assets.lake.hugging_face import HuggingFaceFolder
from assets.recipe.architecture import Model, StartFrom
from training_jobs.export import export_checkpoint
from training_jobs.job import JobError
from training_jobs.language_model import LanguageModel, initial_value
from training_jobs.start import starting_values

from .conftest import TRAINING, VOCABULARY, World, receipt_for, submit, wait
from .networks import started

BLOOM = Model(layers=2, hidden=32, heads=4, init_std=0.2)
LLAMA = Model(architecture="llama", layers=2, hidden=32, heads=4, kv_heads=2, feed_forward=88, init_std=0.2)


def exported(model: Model, folder: Path, dtype: torch.dtype = torch.float32) -> LanguageModel:
    network = started(model, VOCABULARY)
    export_checkpoint(network, torch.arange(32).view(2, 16), folder, writes=True, dtype=dtype)
    return network


def pinned(model: Model, folder: Path) -> Model:
    """``model``, starting from ``folder``."""
    start = StartFrom(folder=str(folder), digest=HuggingFaceFolder(str(folder)).digest())
    return model.model_copy(update={"start_from": start})


def test_without_a_start_values_are_drawn(world: World, tmp_path: Path) -> None:
    start = starting_values(world.job(tmp_path, model=BLOOM))
    parameter = torch.empty(3, 4)
    assert torch.equal(start("x", parameter), initial_value("x", parameter, BLOOM, TRAINING.seed))


@pytest.mark.parametrize("model", [BLOOM, LLAMA])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_folder_gives_every_parameter(world: World, tmp_path: Path, model: Model, dtype: torch.dtype) -> None:
    network = exported(model, tmp_path / "base", dtype)
    start = starting_values(world.job(tmp_path, model=pinned(model, tmp_path / "base")))
    for name, parameter in network.named_parameters():
        assert torch.equal(start(name, parameter), parameter.detach().to(dtype).float())


def test_names_without_the_body_are_known(world: World, tmp_path: Path) -> None:
    """As in bigscience/bloom's own folders."""
    network = exported(BLOOM, tmp_path / "base")
    path = tmp_path / "base" / "model.safetensors"
    save_file({name.removeprefix("transformer."): value for name, value in load_file(path).items()}, path)
    start = starting_values(world.job(tmp_path, model=pinned(BLOOM, tmp_path / "base")))
    for name, parameter in network.named_parameters():
        assert torch.equal(start(name, parameter), parameter)


def changed_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("base", "wanted", "config", "sentence"),
    [
        (BLOOM, LLAMA, {}, "is of the architecture 'bloom', the recipe's is 'llama'"),
        (BLOOM, BLOOM.model_copy(update={"layers": 3}), {}, "has layers = 2, the recipe says 3"),
        (BLOOM, BLOOM.model_copy(update={"heads": 2}), {}, "has heads = 4, the recipe says 2"),
        (BLOOM, BLOOM.model_copy(update={"hidden": 64}), {}, "has hidden = 32, the recipe says 64"),
        (BLOOM, BLOOM, {"vocab_size": 500}, "has the vocabulary's size = 500, the recipe says 512"),
        (BLOOM, BLOOM, {"apply_residual_connection_post_layernorm": True}, "layernorm = True, the recipe says False"),
        (LLAMA, LLAMA.model_copy(update={"kv_heads": 4}), {}, "has kv_heads = 2, the recipe says 4"),
        (LLAMA, LLAMA.model_copy(update={"rope_theta": 5e5}), {}, "has rope_theta = 10000.0, the recipe says 500000.0"),
        (
            LLAMA,
            LLAMA.model_copy(update={"tied_embeddings": True}),
            {},
            "has tied_embeddings = False, the recipe says True",
        ),
        (LLAMA, LLAMA, {"attention_bias": True}, "has biases in attention = True, the recipe says False"),
    ],
)
def test_another_architecture_is_refused_with_both_values(
    world: World, tmp_path: Path, base: Model, wanted: Model, config: dict[str, Any], sentence: str
) -> None:
    exported(base, tmp_path / "base")
    changed_config(tmp_path / "base", **config)
    with pytest.raises(JobError, match=f"^model.start_from: .*{sentence}"):
        starting_values(world.job(tmp_path, model=pinned(wanted, tmp_path / "base")))


def test_another_digest_is_refused(world: World, tmp_path: Path) -> None:
    exported(BLOOM, tmp_path / "base")
    model = pinned(BLOOM, tmp_path / "base")
    weights = load_file(tmp_path / "base" / "model.safetensors")
    weights["transformer.ln_f.bias"][3] += 1e-7
    save_file(weights, tmp_path / "base" / "model.safetensors")
    with pytest.raises(JobError, match=r"has the digest [0-9a-f]{64}, the recipe says [0-9a-f]{64}"):
        starting_values(world.job(tmp_path, model=model))


def test_another_tokenizer_is_refused(world: World, tmp_path: Path) -> None:
    exported(BLOOM, tmp_path / "base")
    vocabulary = {"<unk>": 0, "kissa": 7}
    (tmp_path / "base" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    with pytest.raises(JobError, match='"<unk>" has the id 0 there and no id here'):
        starting_values(world.job(tmp_path, model=pinned(BLOOM, tmp_path / "base")))


def lake_checkpoint(world: World, folder: Path) -> InputRef:
    """``folder`` as a checkpoint in the lake, which no gate has judged yet."""
    identity = Identity("checkpoint", "base--step-0000004", {"folder": folder.as_posix()}, "test")
    with world.lake.write(identity) as writer:
        shutil.copytree(folder, writer.folder, dirs_exist_ok=True)
    manifest = world.lake.find(identity.asset, identity.partition, identity.version)
    assert manifest is not None
    return manifest.ref


def test_a_checkpoint_of_the_lake_needs_its_receipt(world: World, tmp_path: Path) -> None:
    network = exported(BLOOM, tmp_path / "base")
    model = BLOOM.model_copy(update={"start_from": StartFrom(recipe="base", step=4)})
    checkpoint = lake_checkpoint(world, tmp_path / "base")
    job = world.job(tmp_path, model=model, checkpoint=checkpoint)
    with pytest.raises(JobError, match="its gate has not run") as refused:
        starting_values(job)
    assert refused.value.code == 4
    world.lake.write_receipt(receipt_for(checkpoint))
    start = starting_values(job)
    for name, parameter in network.named_parameters():
        assert torch.equal(start(name, parameter), parameter)


def test_a_llama_is_trained_on_two_ranks_from_a_folder(world: World, tmp_path: Path) -> None:
    """Its checkpoint of step 0 is the folder's weights, its last one loads and computes what the trainer computed."""
    network = exported(LLAMA, tmp_path / "base")
    training = TRAINING.model_copy(update={"steps": 4, "checkpoints": (0, 4), "warmup_steps": 1})
    job = world.job(tmp_path, model=pinned(LLAMA, tmp_path / "base"), training=training)
    launcher, name = submit(job, tmp_path)
    assert wait(launcher, name) == 0, launcher.logs(name)
    folder = tmp_path / "output" / "checkpoints"
    first = load_file(folder / "step-0000000" / "model.safetensors")
    assert first.keys() == dict(network.named_parameters()).keys()
    for parameter_name, parameter in network.named_parameters():
        assert torch.equal(first[parameter_name], parameter)
    last = folder / "step-0000004"
    assert not torch.equal(load_file(last / "model.safetensors")["model.norm.weight"], first["model.norm.weight"])
    theirs = LlamaForCausalLM.from_pretrained(last, local_files_only=True)
    probe = load_file(last / "probe.safetensors")
    with torch.no_grad():
        logits = theirs(probe["input_ids"]).logits
    assert (logits - probe["logits"]).abs().max() < 1e-4 * logits.abs().max()
