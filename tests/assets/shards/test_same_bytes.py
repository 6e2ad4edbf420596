"""Cores, the data engine, the size of slices, the parts of the corpus and the hash seed decide nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets import engine
from assets.lake import Identity, Lake
from infra.bench.tokens_stage import SOURCE
from tests.conftest import FINNISH, put_documents

TEXTS = [f"{text}\n{text[::-1]} {'…' * (n % 5)}" for n, text in enumerate(FINNISH * 6)]
SCRIPT = """
import sys
from pathlib import Path
from assets import engine
from assets.shards import encode
from infra.bench.measure import keep_to_cores
from infra.bench.tokens_stage import SOURCE, main
keep_to_cores(int(sys.argv[2]))
engine.choose(sys.argv[3])
engine.SLICE_BYTES = encode.SLICE_BYTES = int(sys.argv[4])
engine.PROCESS_BYTES = 0
main(Path(sys.argv[1]), "shards", {"name": "bloom", "vocab_size": 500, "sources": {"fi": [SOURCE]}, "sample_bytes": 1000})
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from assets.recipe.tokens import Tokenizer
    from assets.tokenizer import bpe

    config = Tokenizer(name="t", vocab_size=500, sources={"fi": ("x",)}, sample_bytes=1_000)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    bpe.train(config, FINNISH).save(str(path))
    return path.read_bytes()


def made(folder: Path, trained: bytes, cores: int, data_engine: str, slice_bytes: int, rows: int, seed: str) -> dict:
    """The files of shards that a process of its own made."""
    lake = Lake.open(str(folder / "lake"))
    put_documents(lake, "decontaminated_corpus", SOURCE, TEXTS, rows=rows)
    with lake.write(Identity("tokenizer", "bloom", {}, "test")) as out:
        out.stage("tokenizer.json").write_bytes(trained)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(cores), data_engine, str(slice_bytes)],
        env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (manifest,) = lake.manifests("tokenized_shards")
    return {entry.path: entry.sha256 for entry in manifest.files}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, trained: bytes) -> dict:
    return made(tmp_path_factory.mktemp("plain"), trained, 1, "native", engine.SLICE_BYTES, 1_000, "0")


def test_more_cores_smaller_slices_and_another_hash_seed_make_the_same_files(tmp_path, trained, plain):
    assert made(tmp_path, trained, 2, "native", 3_000, 1_000, "7") == plain


def test_a_corpus_in_other_parts_makes_the_same_files(tmp_path, trained, plain):
    assert made(tmp_path, trained, 2, "native", 3_000, 77, "7") == plain


@pytest.mark.ray
def test_ray_makes_the_same_files(tmp_path, trained, plain):
    assert made(tmp_path, trained, 2, "ray", 20_000, 1_000, "7") == plain
