"""A small lake with real shards, a mixture with its index, receipts, and pretraining runs on two ranks."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.lake import Identity, InputRef, Lake, Receipt
from assets.recipe.cost import CostAssumptions
from assets.recipe.jobs import IndexedFile, IndexJob, JobRequest, PretrainingJob
from assets.recipe.training import Model, Training
from training_jobs.launchers.local import LocalLauncher

VOCABULARY, SEQUENCE, END = 512, 32, 2
SHARDS = {"fi": (60, 0.6), "en": (40, 0.4)}
HELD = 6
"""Documents of each source that are kept for validation."""
TRAINING = Training(
    steps=24,
    sequence_length=SEQUENCE,
    global_batch=8,
    micro_batch=2,
    data_parallel=2,
    lr=1e-2,
    min_lr=1e-3,
    warmup_steps=2,
    checkpoints=(0, 12, 24),
    log_every=1,
)
MODEL = Model(layers=2, hidden=32, heads=4)


def write_shard(prefix: Path, documents: int, seed: int) -> None:
    """Documents that count upwards from a random id: a pattern that a tiny model learns in a few steps."""
    import torch
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

    rng = np.random.default_rng(seed)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=DType.optimal_dtype(VOCABULARY))
    for _ in range(documents):
        length = int(rng.integers(20, 200))
        ids = (np.arange(length) + rng.integers(0, 480)) % 480 + 24
        builder.add_document(torch.tensor([*ids.tolist(), END]), [length + 1])
    builder.finalize(f"{prefix}.idx")


def receipt_for(ref: InputRef, passed: bool = True) -> Receipt:
    """A receipt of exactly this version."""
    return Receipt(
        asset=ref.asset,
        partition=ref.partition,
        version=ref.version,
        manifest_digest=ref.digest,
        suite_digest="0" * 64,
        passed=passed,
        expectations=[],
        profile=[],
        numbers={},
        time="2026-01-01T00:00:00+00:00",
    )


@dataclass(frozen=True)
class World:
    """A lake with everything that a pretraining job reads."""

    lake: Lake
    mixture: InputRef
    tokenizer: InputRef
    prefixes: dict[str, str]

    def job(self, folder: Path, **changes: Any) -> PretrainingJob:
        """A pretraining job that works in ``folder``."""
        fields = {
            "lake": self.lake.uri,
            "recipe": "tiny",
            "mixture": self.mixture,
            "tokenizer": self.tokenizer,
            "vocab_size": VOCABULARY,
            "model": MODEL,
            "training": TRAINING,
            "cost": CostAssumptions(power_watts=50, pue=1.5, grid_kg_per_kwh=0.1),
            "accepted_risks": {},
            "work": str(folder / "work"),
            "output": str(folder / "output"),
        }
        return PretrainingJob(**(fields | changes))


def index_job(root: Path, prefixes: dict[str, str], output: Path) -> IndexJob:
    """The index of a mixture with enough samples for TRAINING."""
    return IndexJob(
        root=str(root),
        files=indexed_files(prefixes),
        sequence_length=SEQUENCE,
        samples=TRAINING.steps * TRAINING.global_batch,
        seed=7,
        vocab_size=VOCABULARY,
        end_of_document=END,
        validation_samples=4,
        output=str(output),
    )


def indexed_files(prefixes: dict[str, str]) -> list[IndexedFile]:
    """The files of SHARDS, one per source, with their last HELD documents kept for validation."""
    return [
        IndexedFile(
            source=name,
            prefix=prefixes[name],
            weight=weight,
            training_documents=documents - HELD,
            validation_documents=HELD,
        )
        for name, (documents, weight) in SHARDS.items()
    ]


def run_module(module: str, spec: Path) -> subprocess.CompletedProcess[str]:
    """``python -m module spec`` in the project's root, with its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, "-m", module, str(spec)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    prefixes, shards = {}, []
    for seed, (name, (documents, _)) in enumerate(SHARDS.items()):
        identity = Identity("tokenized_shards", f"{name}--tiny", {"documents": documents}, "test")
        with lake.write(identity) as writer:
            write_shard(writer.folder / "tokens", documents, seed)
        manifest = lake.find(identity.asset, identity.partition, identity.version)
        assert manifest is not None
        shards.append(manifest.ref)
        prefixes[name] = f"{manifest.ref.name}/tokens"
    tokenizer = Identity("tokenizer", "tiny", {}, "test")
    with lake.write(tokenizer) as writer:
        writer.write_json("tokenizer.json", {})
    made = lake.find(tokenizer.asset, tokenizer.partition, tokenizer.version)
    assert made is not None
    refs = {}
    mixture = Identity("mixture", "tiny", {}, "test", (*shards, made.ref))
    with lake.write(mixture) as writer:
        job = index_job(Path(lake.root), prefixes, writer.folder / "index")
        spec = tmp_path_factory.mktemp("spec") / "index.json"
        spec.write_text(job.model_dump_json())
        done = run_module("training_jobs.build_index", spec)
        assert done.returncode == 0, done.stderr
        writer.write_json(
            "mixture.json",
            {
                **{name: getattr(job, name) for name in ("sequence_length", "samples", "seed", "vocab_size")},
                "end_of_document": END,
                "validation_samples": job.validation_samples,
                "sources": [{"source": file.source, "files": [file.model_dump()]} for file in job.files],
            },
        )
    for identity in (mixture, tokenizer):
        manifest = lake.find(identity.asset, identity.partition, identity.version)
        assert manifest is not None
        lake.write_receipt(receipt_for(manifest.ref))
        refs[identity.asset] = manifest.ref
    return World(lake, refs["mixture"], refs["tokenizer"], prefixes)


def submit(job: PretrainingJob, folder: Path) -> tuple[LocalLauncher, str]:
    """Start a pretraining job on two ranks."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "spec.json"
    spec.write_text(job.model_dump_json())
    launcher = LocalLauncher()
    request = JobRequest(
        name="tiny",
        module="training_jobs.pretrain",
        spec=spec,
        ranks=job.training.data_parallel,
        distributed=True,
        log=folder / "job.log",
    )
    return launcher, launcher.submit(request)


def wait(launcher: LocalLauncher, job: str, seconds: float = 120) -> int:
    """Wait for a job's end; returns its exit code."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = launcher.poll(job)
        if status.state != "running":
            assert status.exit_code is not None
            return status.exit_code
        time.sleep(0.05)
    launcher.cancel(job)
    pytest.fail(f"the job did not end within {seconds} s:\n{launcher.logs(job)}")


@pytest.fixture(scope="session")
def finished(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went through without a break."""
    folder = tmp_path_factory.mktemp("finished")
    launcher, job = submit(world.job(folder), folder)
    assert wait(launcher, job) == 0, launcher.logs(job)
    return folder


@pytest.fixture(scope="session")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint as a whole Hugging Face folder, with a tokenizer."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(finished / "output" / "checkpoints" / f"step-{TRAINING.steps:07d}", folder)
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3} | {f"w{i}": i for i in range(4, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)
    return folder
