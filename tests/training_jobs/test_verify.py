"""The verification of exported checkpoints."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from assets.recipe.jobs import VerifyJob
from training_jobs.verify import verify

from .conftest import MODEL, VOCABULARY, run_module


def job(folder: Path, output: Path) -> VerifyJob:
    return VerifyJob(checkpoint=str(folder), probe=str(folder / "probe.safetensors"), output=str(output))


def changed(source: Path, target: Path, name: str, change: Any) -> Path:
    """A copy of the checkpoint whose weights ``change`` went over."""
    shutil.copytree(source, target)
    weights = load_file(target / "model.safetensors")
    change(weights, name)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_a_good_checkpoint(exported: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(job(exported, tmp_path).model_dump_json())
    done = run_module("training_jobs.verify", spec)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    found = json.loads((tmp_path / "verification.json").read_text())
    assert found["loaded"] and found["logits_finite"] and found["error"] is None
    assert found["max_abs_difference"] < 1e-4 * found["max_abs_logit"]
    assert found["parameters"] == MODEL.parameters(VOCABULARY)
    assert found["tokenizer_vocab_size"] == found["model_vocab_size"] == VOCABULARY


def test_flipped_weights_show(exported: Path, tmp_path: Path) -> None:
    name = "transformer.h.1.self_attention.query_key_value.weight"
    folder = changed(exported, tmp_path / "flipped", name, lambda w, n: w.update({n: w[n].flip(0).contiguous()}))
    found = verify(job(folder, tmp_path))
    assert found["loaded"] and found["max_abs_difference"] > 1e-3 * found["max_abs_logit"]


def test_weights_that_are_not_numbers_show(exported: Path, tmp_path: Path) -> None:
    name = "transformer.ln_f.weight"
    folder = changed(exported, tmp_path / "nan", name, lambda w, n: w[n].fill_(torch.nan))
    found = verify(job(folder, tmp_path))
    assert found["loaded"] and found["logits_finite"] is False and found["max_abs_difference"] is None


def test_a_missing_weight_or_a_broken_file_does_not_load(exported: Path, tmp_path: Path) -> None:
    name = "transformer.ln_f.weight"
    found = verify(job(changed(exported, tmp_path / "missing", name, lambda w, n: w.pop(n)), tmp_path))
    assert not found["loaded"] and name in found["error"]

    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    content = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(content[: len(content) // 2])
    found = verify(job(broken, tmp_path))
    assert not found["loaded"] and found["error"]
