"""Validation sets per source: documents that no training sample holds a token of."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.recipe.jobs import IndexedFile, IndexJob
from training_jobs.build_index import build
from training_jobs.data import open_mixture, open_validation
from training_jobs.job import JobError
from training_jobs.validation import rounds

from .conftest import END, HELD, SEQUENCE, VOCABULARY, World, index_job, run_module

MARK = 400
"""Ids from here on stand in validation documents only."""


def write_marked(prefix: Path, training: int, held: int, seed: int, held_length: int = 60) -> None:
    """A shard whose last ``held`` documents are of ids from MARK on, and the others of smaller ones."""
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder

    rng = np.random.default_rng(seed)
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=DType.optimal_dtype(VOCABULARY))
    for number in range(training + held):
        low, high, length = (24, MARK, int(rng.integers(5, 90))) if number < training else (MARK, 512, held_length)
        builder.add_document(torch.from_numpy(np.append(rng.integers(low, high, length), END)), [length + 1])
    builder.finalize(f"{prefix}.idx")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture over a source of two files, one of one file, and one whose validation documents are too small."""
    folder = tmp_path_factory.mktemp("marked")
    files = []
    for source, name, weight, held, length in (
        ("two", "a", 0.3, 5, 60), ("two", "b", 0.2, 3, 60), ("one", "c", 0.4, 9, 60), ("tiny", "d", 0.1, 1, 20),
    ):  # fmt: skip
        write_marked(folder / name, 40, held, seed=len(files), held_length=length)
        numbers = {"training_documents": 40, "validation_documents": held}
        files.append(IndexedFile(source=source, prefix=name, weight=weight, **numbers))
    facts = {"sequence_length": SEQUENCE, "samples": 1_000, "seed": 3, "vocab_size": VOCABULARY, "end_of_document": END}
    job = IndexJob(root=str(folder), files=files, validation_samples=6, output=str(folder / "index"), **facts)
    build(job)
    sources: dict[str, list[dict[str, object]]] = {}
    for file in files:
        sources.setdefault(file.source, []).append(file.model_dump())
    described = {
        **facts,
        "validation_samples": 6,
        "sources": [{"source": name, "files": of_source} for name, of_source in sources.items()],
    }
    (folder / "mixture.json").write_text(json.dumps(described))
    return folder


def test_no_training_sample_holds_a_token_of_a_validation_document(marked: Path) -> None:
    dataset, blend = open_mixture(marked, marked)
    tokens = torch.stack([dataset[number]["tokens"] for number in range(blend.samples)])
    assert set(dataset.dataset_index[: blend.samples]) == {0, 1, 2, 3}
    assert int(tokens.max()) < MARK
    # Several epochs of every file were trained on, so nothing that is in the index was left unread.
    assert all(len(part.document_index) > 40 for part in dataset.datasets)


def test_validation_samples_are_of_the_sources_own_validation_documents(marked: Path) -> None:
    sets = open_validation(marked, marked)
    # One pass over 8 documents of 61 tokens gives 15 samples of 32, of which 6 were asked for; so does the other source.
    assert {source: len(held) for source, held in sets.items()} == {"two": 6, "one": 6}
    for source, held in sets.items():
        for number in range(len(held)):
            item = held[number]
            assert item["tokens"].shape == item["labels"].shape == (SEQUENCE,)
            assert item["tokens"].dtype == torch.int64
            tokens = item["tokens"]
            assert bool(((tokens >= MARK) | (tokens == END)).all()), source
    assert {part.dataset_path for part in sets["two"].datasets} == {"a", "b"}


def test_a_pass_over_the_validation_documents_repeats_none(world: World) -> None:
    for held in open_validation(world.lake.local(world.mixture), Path(world.lake.root)).values():
        (part,) = held.datasets
        assert len(np.unique(part.document_index)) == len(part.document_index) == HELD


@pytest.mark.parametrize(("samples", "ranks", "micro"), [(1, 2, 4), (8, 2, 4), (13, 2, 4), (17, 1, 5), (7, 8, 1)])
def test_each_sample_is_dealt_out_once_in_batches_of_two_sizes(samples: int, ranks: int, micro: int) -> None:
    dealt = [
        number
        for first, size in rounds(samples, ranks, micro)
        for rank in range(ranks)
        for number in range(first + rank * size, min(first + (rank + 1) * size, samples))
    ]
    assert dealt == list(range(samples))
    assert {size for _, size in rounds(samples, ranks, micro)} <= {1, micro}


def test_a_source_whose_documents_are_too_few_for_a_sample_has_no_set_and_the_summary_says_so(marked: Path) -> None:
    assert json.loads((marked / "index" / "index.json").read_text())["validation"] == {"two": 6, "one": 6}


def test_without_validation_documents_there_are_no_sets(world: World, tmp_path: Path) -> None:
    job = index_job(Path(world.lake.root), world.prefixes, tmp_path)
    whole = [file.model_copy(update={"validation_documents": 0}) for file in job.files]
    build(job.model_copy(update={"files": whole}))
    assert json.loads((tmp_path / "index.json").read_text())["validation"] == {}
    assert not list(tmp_path.glob("*valid*"))


def test_an_index_for_another_share_of_validation_documents_is_refused(marked: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixture"
    shutil.copytree(marked, folder)
    described = json.loads((folder / "mixture.json").read_text())
    described["sources"][0]["files"][0]["training_documents"] = 41
    (folder / "mixture.json").write_text(json.dumps(described))
    for opens in (open_mixture, open_validation):
        with pytest.raises(JobError, match="was built with files = "):
            opens(folder, marked)


def test_shards_that_have_changed_since_the_index_was_built_are_refused(marked: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(marked, root)
    write_marked(root / "a", 40, 5, seed=99)
    with pytest.raises(JobError, match=r"sample index of a has [\d,]+ samples; its shard and the mixture give"):
        open_mixture(marked, root)
    write_marked(root / "a", 30, 0, seed=0)
    with pytest.raises(JobError, match=r"shard a has 30 documents; the mixture trains on 40"):
        open_mixture(marked, root)


def cut_bin(root: Path) -> str:
    (root / "a.bin").write_bytes((root / "a.bin").read_bytes()[:-2])
    return rf"a\.bin, offset {(root / 'a.bin').stat().st_size}: has [\d,]+ bytes, its \.idx asks for [\d,]+"


def cut_idx(root: Path) -> str:
    (root / "a.idx").write_bytes((root / "a.idx").read_bytes()[:-9])
    return rf"a\.idx, offset {(root / 'a.idx').stat().st_size}: is no index of a shard, it is cut short"


def other_file(root: Path) -> str:
    (root / "a.idx").write_bytes(b"anything but an index, and longer than its header is")
    return r"a\.idx, offset 0: is no index of a shard"


def empty_idx(root: Path) -> str:
    (root / "a.idx").write_bytes(b"")
    return r"a\.idx, offset 0: is no index of a shard"


@pytest.mark.parametrize("damage", [cut_bin, cut_idx, other_file, empty_idx])
def test_a_damaged_shard_is_refused_by_name(marked: Path, tmp_path: Path, damage) -> None:
    root = tmp_path / "root"
    shutil.copytree(marked, root)
    sentence = damage(root)
    with pytest.raises(JobError, match=sentence):
        open_mixture(marked, root)


def test_the_index_has_the_same_bytes_whatever_process_threads_and_hash_seed_build_it(
    marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .test_build_index import digests

    described = json.loads((marked / "mixture.json").read_text())
    files = [file for source in described.pop("sources") for file in source["files"]]
    root = tmp_path / "another" / "place"
    root.mkdir(parents=True)
    for path in marked.glob("?.*"):
        shutil.copyfile(path, root / path.name)
    job = IndexJob(root=str(root), files=files, threads=4, output=str(root / "index"), **described)
    spec = root / "spec.json"
    spec.write_text(job.model_dump_json())
    monkeypatch.setenv("PYTHONHASHSEED", "271")
    done = run_module("training_jobs.build_index", spec)
    assert done.returncode == 0, done.stderr
    assert digests(root / "index") == digests(marked / "index")


def test_another_seed_is_another_order(marked: Path, tmp_path: Path) -> None:
    described = json.loads((marked / "mixture.json").read_text())
    files = [file for source in described.pop("sources") for file in source["files"]]
    job = IndexJob(root=str(marked), files=files, output=str(tmp_path), **(described | {"seed": 4}))
    build(job)
    first = np.load(next(marked.glob("index/*ShardDataset-train-shuffle_index.npy")))
    assert not any(np.array_equal(first, np.load(path)) for path in tmp_path.glob("*-train-shuffle_index.npy"))
