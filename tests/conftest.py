"""What several test modules share: small recipes and a lake to put versions into."""

import logging
import signal
from pathlib import Path
from typing import Any

import pytest

from assets.gates.gate import judge
from assets.lake import Lake, Manifest, Receipt
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.recipe.tokens import Tokenizer
from assets.stage import Stage, Work
from tests.engines import docker_engine, podman_engine, slurm_cluster
from tests.postgres import postgres
from tests.workplace import finished

# What is started in the background has SIGINT ignored, and so had every command that a test starts and tells to end.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["docker_engine", "finished", "podman_engine", "postgres", "slurm_cluster"]

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "description": "A recipe for tests.",
    "sources": {
        "docs_fi": {
            "format": "jsonl", "files": "docs_fi.jsonl", "language": "fi", "license": "MIT",
            "cleaning": "documentation", "pool": "tiny",
        },
        "docs_pairs": {
            "format": "pairs_jsonl", "files": "docs_pairs.jsonl", "language": "fi", "pair_language": "en",
            "license": "MIT", "cleaning": "pairs", "pool": "tiny",
        },
    },
    "tokenizer": {
        "name": "tiny-bpe", "vocab_size": 400, "sample_bytes": 1_000_000,
        "sources": {"fi": ["docs_fi", "docs_pairs"], "en": ["docs_pairs"]},
    },
    "pair_template": {"instructions": {"fi": "Translate into Finnish: ", "en": "Translate into English: "}},
    "mixture": {"sources": {"docs_fi": {"epochs": 2}, "docs_pairs": {"epochs": 1}}},
    "model": {"layers": 2, "hidden": 32, "heads": 4},
    "training": {
        "steps": 4, "sequence_length": 16, "global_batch": 4, "micro_batch": 2, "data_parallel": 2,
        "lr": 0.001, "min_lr": 0.0001, "warmup_steps": 1, "checkpoints": [0, 4],
    },
    "tasks": {"heldout_fi": {"kind": "bits_per_character", "files": "heldout_fi.jsonl", "language": "fi"}},
}  # fmt: skip


def changed(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of a nested dictionary; a key ``a__b`` changes ``value["a"]["b"]``."""
    import copy

    result = copy.deepcopy(value)
    for key, new in changes.items():
        *path, last = key.split("__")
        inner = result
        for part in path:
            inner = inner[part]
        inner[last] = new
    return result


@pytest.fixture
def recipe_value() -> dict[str, Any]:
    """The mapping of a small valid recipe."""
    return changed(RECIPE)


@pytest.fixture
def catalog() -> Catalog:
    """A catalog of the one small recipe."""
    return Catalog.of([Recipe.model_validate(RECIPE)])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"))


def make_version(
    stage: Stage,
    lake: Lake,
    catalog: Catalog,
    key: str,
    inputs: dict[str, dict[str, Manifest]] | None = None,
    scratch: Path | None = None,
    run_job: Any = None,
) -> Manifest:
    """Make a version of a stage, without Dagster."""
    given = inputs or {}
    refs = [manifest.ref for by_key in given.values() for manifest in by_key.values()]
    identity = stage.identity(catalog, key, refs)
    with lake.write(identity) as out:
        stage.make(
            Work(
                key=key, catalog=catalog, lake=lake, inputs=given, out=out, scratch=scratch or Path("unused"),
                log=logging.getLogger("test"), run_job=run_job,
            )
        )  # fmt: skip
    made = lake.find(stage.asset, key, identity.version)
    assert made is not None
    return made


def judged(stage: Stage, lake: Lake, manifest: Manifest, catalog: Catalog) -> Receipt:
    """The receipt of a stage's gate for a version."""
    assert stage.gate is not None
    return judge(stage.gate, lake, manifest, catalog)


def failed_columns(receipt: Receipt) -> set[str]:
    """The columns of the critical expectations that failed."""
    return {e.column for e in receipt.failed if e.severity == "critical"}


def passing_receipt(lake: Lake, manifest: Manifest) -> None:
    """Let a version that a test has put together count as judged."""
    lake.write_receipt(
        Receipt(
            asset=manifest.asset, partition=manifest.partition, version=manifest.version,
            manifest_digest=manifest.digest, suite_digest="test", passed=True, expectations=[], profile=[], numbers={},
            time="2026-01-01T00:00:00+00:00",
        )
    )  # fmt: skip


def put_documents(
    lake: Lake, asset: str, source: str, texts: list[str], translations: list[str] | None = None, rows: int = 1_000
) -> Manifest:
    """A version of a corpus asset with these documents, in parts of ``rows``."""
    import pyarrow as pa

    from assets.lake import Identity
    from assets.lake.documents import document_schema, write_parts

    sides = translations or [None] * len(texts)
    documents = [
        {"id": f"{source}:{n}", "text": text, "source": source, "language": "fi", "license": "MIT",
         "translation": side, "url": None, "meta": None}
        for n, (text, side) in enumerate(zip(texts, sides, strict=True))
    ]  # fmt: skip
    who = Identity(asset, source, {"texts": texts}, "test")
    with lake.write(who) as out:
        parts = [documents[i : i + rows] for i in range(0, len(documents), rows)]
        out.counts["documents"] = write_parts(out, (pa.Table.from_pylist(p, document_schema()) for p in parts))
    made = lake.find(asset, source, who.version)
    assert made is not None
    passing_receipt(lake, made)
    return made


FINNISH = [
    f"Ohje {n}: Valitse valikosta kohta Tallenna, ja odota kunnes tiedosto nro {n * 37} on valmis.\nSulje sitten ikkuna!"
    for n in range(120)
]
TOKENIZER = Tokenizer(name="t", vocab_size=400, sources={"fi": ("docs_fi",)}, sample_bytes=1_000)
PAIRS = [(f"Open the file number {n}.", f"Avaa tiedosto numero {n}.") for n in range(60)]


@pytest.fixture
def corpora(lake: Lake) -> dict[str, Manifest]:
    """Decontaminated corpora of the small recipe's sources."""
    return {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", FINNISH),
        "docs_pairs": put_documents(
            lake, "decontaminated_corpus", "docs_pairs", [en for en, _ in PAIRS], [fi for _, fi in PAIRS]
        ),
    }
