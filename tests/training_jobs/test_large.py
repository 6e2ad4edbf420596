"""Blends of many files, of few samples, and of more tokens than 32 bits can count."""

from pathlib import Path

import numpy as np
import pytest

from assets.recipe.jobs import IndexedFile, IndexJob
from training_jobs.build_index import build
from training_jobs.data import MAX_FILES, Blend, blended_dataset
from training_jobs.job import JobError

from .conftest import END, VOCABULARY, write_shard


def blend_of(files: list[IndexedFile], sequence_length: int, samples: int) -> Blend:
    return Blend(
        files=tuple(files),
        sequence_length=sequence_length,
        samples=samples,
        seed=1,
        vocab_size=VOCABULARY,
        end_of_document=END,
    )


def build_and_open(blend: Blend, root: Path) -> object:
    """Build the index of ``blend`` beside its shards, and open it as training does."""
    cache = root / "index"
    build(
        IndexJob(
            root=str(root),
            output=str(cache),
            files=list(blend.files),
            **{name: value for name, value in blend.as_json().items() if name != "files"},
        )
    )
    return blended_dataset(blend, root, cache, build=False)


def test_three_hundred_sources_are_told_apart(tmp_path: Path) -> None:
    """Megatron-LM's older blends kept a source's number in 8 bits."""
    files, weights = [], np.random.default_rng(0).dirichlet(np.ones(300))
    for number, weight in enumerate(weights):
        write_shard(tmp_path / f"source-{number:03}", 3, number)
        name = f"source-{number:03}"
        files.append(IndexedFile(source=name, prefix=name, weight=weight, training_documents=3))
    samples = 6_000
    dataset = build_and_open(blend_of(files, 32, samples), tmp_path)
    assert dataset.dataset_index.dtype == np.int16 and dataset.dataset_sample_index.dtype == np.int64
    counts = np.bincount(dataset.dataset_index[:samples], minlength=300)
    assert np.abs(counts - weights * samples).max() < 2
    for wanted in (0, 254, 255, 256, 299):
        number = int(np.argmax(dataset.dataset_index == wanted))
        shard = np.fromfile(tmp_path / f"source-{wanted:03}.bin", np.uint16)
        tokens = dataset[number]["tokens"].numpy()
        # A sample may run from one document into the next in shuffled order; its first tokens stand in the shard as they are.
        stop = np.argmax(tokens == END) + 1 if END in tokens else len(tokens)
        windows = np.lib.stride_tricks.sliding_window_view(shard, stop)
        assert (windows == tokens[:stop]).all(axis=1).any()


def test_more_sources_than_samples_per_source_are_blended(tmp_path: Path) -> None:
    """With few samples Megatron-Core's own surplus of 0.5 % is less than one sample per source, and it would stop."""
    files = []
    for number, weight in enumerate([0.5, *[0.5 / 60] * 60]):
        write_shard(tmp_path / str(number), 40 if number == 0 else 3, number)
        prefix = str(number)
        files.append(
            IndexedFile(source=f"s{number}", prefix=prefix, weight=weight, training_documents=3 if number else 40)
        )
    blend = blend_of(files, 32, 130)
    assert blend.surplus > 0.4
    dataset = build_and_open(blend, tmp_path)
    assert int((dataset.dataset_index[:130] == 0).sum()) in (64, 65, 66)


def test_more_files_than_megatron_numbers_are_refused() -> None:
    files = [IndexedFile(source="s", prefix=f"p{n}", weight=1, training_documents=1) for n in range(MAX_FILES + 1)]
    with pytest.raises(JobError, match=r"32,767 files; Megatron-Core blends 32,766 at most.*shard_bytes"):
        blend_of(files, 8, 8)


DOCUMENT, DOCUMENTS, SEQUENCE = 2**30, 5, 2**20


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of 5 documents of 2^30 tokens: 10 GiB of which the disk holds a few pages, since the file has holes.

    Every millionth token says which document and which million of it this is.
    """
    root = tmp_path_factory.mktemp("huge")
    with (root / "huge.bin").open("wb") as stream:
        for document in range(DOCUMENTS):
            for mark in range(DOCUMENT // SEQUENCE):
                if mark % 64 == 0:
                    stream.seek(2 * (document * DOCUMENT + mark * SEQUENCE))
                    stream.write(np.uint16(document * 16 + mark // 64 + 24).tobytes())
        stream.truncate(2 * DOCUMENTS * DOCUMENT)
    lengths = np.full(DOCUMENTS, DOCUMENT, "<i4")
    offsets = np.arange(DOCUMENTS, dtype="<i8") * DOCUMENT * 2
    header = b"MMIDIDX\x00\x00" + np.uint64(1).tobytes() + np.uint8(8).tobytes()
    header += np.uint64(DOCUMENTS).tobytes() + np.uint64(DOCUMENTS + 1).tobytes()
    boundaries = np.arange(DOCUMENTS + 1, dtype="<i8")
    (root / "huge.idx").write_bytes(header + lengths.tobytes() + offsets.tobytes() + boundaries.tobytes())
    return root


def test_positions_beyond_32_bits_do_not_wrap(huge: Path) -> None:
    samples = DOCUMENTS * DOCUMENT // SEQUENCE - 1
    file = IndexedFile(source="huge", prefix="huge", weight=1, training_documents=DOCUMENTS)
    dataset = build_and_open(blend_of([file], SEQUENCE, samples), huge)
    (part,) = dataset.datasets
    assert dataset.dataset_sample_index.dtype == np.int64
    # Sample n of the unshuffled order starts at token n x SEQUENCE of the documents laid end to end, beyond 2^32 too.
    documents, offsets = np.asarray(part.sample_index, np.int64).T
    positions = documents * DOCUMENT + offsets
    assert len(positions) > samples and samples * SEQUENCE > 2**32
    assert np.array_equal(positions, np.arange(len(positions)) * SEQUENCE)
    seen = {}
    for number in range(samples):
        row = int(part.shuffle_index[int(dataset.dataset_sample_index[number])])
        position = row * SEQUENCE
        document, mark = int(part.document_index[position // DOCUMENT]), position % DOCUMENT // SEQUENCE
        if mark % 64 == 0:
            seen[document, mark] = int(dataset[number]["tokens"][0])
    assert len(seen) == DOCUMENTS * 16
    assert all(token == document * 16 + mark // 64 + 24 for (document, mark), token in seen.items())


def test_the_wide_sample_index_is_the_narrow_one_with_wider_numbers() -> None:
    """Megatron-Core takes it for more than 2^31 - 1 documents times epochs, which is too much to build here."""
    from megatron.core.datasets import helpers_cpp

    lengths = np.random.default_rng(0).integers(1, 90, 500).astype(np.int32)
    order = np.random.default_rng(1).permutation(500).astype(np.int32)
    arguments = (lengths, order, 64, 1, int(lengths.sum()), True, 1)
    narrow = helpers_cpp.build_sample_idx_int32(*arguments)
    wide = helpers_cpp.build_sample_idx_int64(*arguments)
    assert narrow.dtype == np.int32 and wide.dtype == np.int64
    assert np.array_equal(narrow, wide)
