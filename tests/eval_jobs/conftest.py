"""A small lake with everything that the evaluation reads: a random BLOOM, unigram counts and benchmarks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.lake.manifest import InputRef
from assets.lake.receipt import Receipt
from assets.lake.store import Identity, Lake

SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", *[f"<extra_{i}>" for i in range(18)]]
TEXTS = (
    "Sataa vettä, ja tokka kulkee tunturin yli. Poro on tunturin eläin.",
    "The herd walks over the fell while it rains. A reindeer lives on the fell.\nIt rains often.",
    "def tokka(poro):\n    return [p for p in poro if p.kind == 'vaadin']  # </s> is text here",
)


def make_tokenizer(texts: list[str], vocab_size: int) -> Any:
    """Byte-level BPE with the 24 special tokens first, as the platform's tokenizer has it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_checkpoint(folder: Path, tokenizer: Any, hidden: int = 32, layers: int = 2, heads: int = 4) -> None:
    """A random BLOOM in the Hugging Face layout. Weights are spread enough that predictions differ clearly."""
    import torch
    from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(7)
    config = BloomConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        n_layer=layers,
        n_head=heads,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
        initializer_range=0.2,
    )
    BloomForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)


@dataclass
class World:
    """A lake in a folder, and the parts of a job's specification over it."""

    lake: Lake
    output: Path
    refs: dict[str, InputRef] = field(default_factory=dict)
    texts: tuple[str, ...] = TEXTS

    def add(self, asset: str, partition: str, write: Callable[[Any], None], receipt: bool = True) -> InputRef:
        """Make a version with the files that ``write(writer)`` stages, with a passing receipt."""
        identity = Identity(asset, partition, config={}, code="test")
        with self.lake.write(identity) as writer:
            write(writer)
        manifest = self.lake.find(asset, partition, identity.version)
        assert manifest is not None
        if receipt:
            self.lake.write_receipt(
                Receipt(
                    asset=asset,
                    partition=partition,
                    version=manifest.version,
                    manifest_digest=manifest.digest,
                    suite_digest="0" * 64,
                    passed=True,
                    expectations=[],
                    profile=[],
                    numbers={},
                    time="2025-01-01T00:00:00+00:00",
                )
            )
        self.refs[partition] = manifest.ref
        return manifest.ref

    def add_benchmark(self, name: str, items: list[dict[str, Any] | str], reason: str | None = None) -> InputRef:
        """A benchmark version: ``items`` without their ids, or a string for an item that is not JSON."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def write(writer: Any) -> None:
            texts = [item if isinstance(item, str) else json.dumps(item) for item in items]
            ids = [f"{name}/{i}" for i in range(len(items))]
            columns = {"id": ids, "text": texts, "item": texts}
            if reason is None:
                pq.write_table(pa.table(columns), writer.stage("items.parquet"))
            info = {"available": reason is None, "reason": reason or "", "items": len(items), "files": {}}
            writer.write_json("benchmark.json", info)

        return self.add("benchmark", name, write)

    def job(
        self, tasks: dict[str, dict[str, Any]], contaminated: dict[str, list[str]] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A specification that scores ``tasks`` (configurations by the name of their benchmark)."""
        return {
            "lake": self.lake.uri,
            "checkpoint": self.refs["tiny"].model_dump(),
            "mixture": self.refs["mini"].model_dump(),
            "template": {"instructions": {"fi": "Käännä suomeksi: ", "en": "Käännä englanniksi: "}},
            "tasks": {
                name: {
                    "config": {"files": "", **config},
                    "benchmark": self.refs[name].model_dump(),
                    "contaminated": (contaminated or {}).get(name, []),
                }
                for name, config in tasks.items()
            },
            "max_length": 64,
            "seed": 11,
            "accepted_risks": {},
            "output": str(self.output),
            **changes,
        }


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer(list(TEXTS), vocab_size=320)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> World:
    """The lake, shared by the tests; they only add benchmarks to it."""
    root = tmp_path_factory.mktemp("evaluation")
    world = World(Lake.open(str(root / "lake")), root / "output")
    world.add("checkpoint", "tiny", lambda writer: write_checkpoint(writer.folder, tokenizer))
    counts = np.arange(tokenizer.get_vocab_size(), dtype=np.float64) / 2
    world.add("mixture", "mini", lambda writer: np.save(writer.stage("unigram.npy"), counts))
    return world
