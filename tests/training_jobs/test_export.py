"""Exported folders are standard Hugging Face ones, in one file or several, and hold what the network computes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BloomForCausalLM, LlamaForCausalLM

from assets.recipe.architecture import Model
from training_jobs import export
from training_jobs.export import export_checkpoint, weight_files
from training_jobs.language_model import build

from .networks import started

BLOOM = Model(layers=2, hidden=32, heads=4, init_std=0.2)
LLAMA = Model(architecture="llama", layers=2, hidden=32, heads=4, kv_heads=2, feed_forward=88, init_std=0.2)
TIED = LLAMA.model_copy(update={"tied_embeddings": True})


@pytest.mark.parametrize(
    ("model", "kind"), [(BLOOM, BloomForCausalLM), (LLAMA, LlamaForCausalLM), (TIED, LlamaForCausalLM)]
)
@pytest.mark.parametrize("limit", [10**9, 20_000])
def test_hugging_face_computes_the_same(
    model: Model, kind: type, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FILE_BYTES", limit)
    network = started(model, 301)
    probe = torch.arange(64).view(2, 32) * 7 % 301
    folder = tmp_path / "step-0000004"
    export_checkpoint(network, probe, folder, writes=True, dtype=torch.float32)
    theirs, loading = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert type(theirs) is kind and not any(loading.values()), loading
    assert theirs.num_parameters() == model.parameters(301)
    with torch.no_grad():
        logits = theirs(probe).logits
    trainers = load_file(folder / "probe.safetensors")["logits"]
    assert (logits - trainers).abs().max() < 1e-5 * trainers.abs().max()

    files = sorted(folder.glob("model*.safetensors"))
    assert (len(files) == 1) == (limit == 10**9)
    assert all(path.stat().st_size < limit + 4_000 or len(load_file(path)) == 1 for path in files)
    if len(files) > 1:
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        assert {path.name for path in files} == set(index["weight_map"].values())
        assert index["metadata"]["total_size"] == 4 * model.parameters(301)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == [kind.__name__] and config["dtype"] == "float32"


def test_files_are_cut_before_the_limit_and_a_large_tensor_stands_alone() -> None:
    assert weight_files({"a": 3, "b": 2}, 5) == {"model.safetensors": ["a", "b"]}
    assert weight_files({"a": 3, "b": 3, "c": 9, "d": 1}, 6) == {
        "model-00001-of-00003.safetensors": ["a", "b"],
        "model-00002-of-00003.safetensors": ["c"],
        "model-00003-of-00003.safetensors": ["d"],
    }


def test_poro_has_the_fourteen_files_of_its_release() -> None:
    with torch.device("meta"):
        network = build(Model(preset="poro-34b"), 128_000)
    sizes = {name: 2 * parameter.numel() for name, parameter in network.named_parameters()}
    files = weight_files(sizes, export.FILE_BYTES)
    assert len(files) == 14 and sum(map(len, files.values())) == len(sizes)
    assert max(sum(sizes[name] for name in names) for names in files.values()) <= export.FILE_BYTES
