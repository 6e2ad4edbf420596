"""Shards in a real S3 lake are read by ranges: the same samples as from a folder, and no file copied whole."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.lake import Identity, Lake, LakeError, Manifest, ranges
from assets.recipe.jobs import IndexedFile, IndexJob
from tests.servers import S3Server, s3_server
from training_jobs.build_index import build
from training_jobs.data import Blend, StepLoader, Steps, blended_dataset, open_mixture, open_validation
from training_jobs.job import JobError
from training_jobs.pretrain import check_inputs

from .conftest import END, VOCABULARY, World
from .test_build_index import digests

pytestmark = pytest.mark.s3

SEQUENCE, SAMPLES, FILE_BYTES = 64, 4_000, 6_000_000


@dataclass
class Place:
    """The same two sources, one of two files, in a folder and in S3; ``cache`` is where the remote lake is mirrored."""

    server: S3Server
    folder: Lake
    remote: Lake
    shards: list[Manifest]
    blend: Blend
    cache: Path

    @property
    def mirrored(self) -> Path:
        return self.remote.mirror(self.shards, stream=True)


def write_large(prefix: Path, seed: int) -> None:
    """A shard of some megabytes, of documents of about 300 random ids, written as its format says."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 600, FILE_BYTES // 600).astype("<i4")
    tokens = rng.integers(24, VOCABULARY, int(lengths.sum())).astype("<u2")
    tokens[np.cumsum(lengths) - 1] = END
    offsets = np.concatenate([[0], np.cumsum(lengths[:-1], dtype="<i8") * 2]).astype("<i8")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_suffix(".bin").write_bytes(tokens.tobytes())
    header = b"MMIDIDX\x00\x00" + np.uint64(1).tobytes() + np.uint8(8).tobytes()
    header += np.uint64(len(lengths)).tobytes() + np.uint64(len(lengths) + 1).tobytes()
    boundaries = np.arange(len(lengths) + 1, dtype="<i8")
    prefix.with_suffix(".idx").write_bytes(header + lengths.tobytes() + offsets.tobytes() + boundaries.tobytes())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    patch = pytest.MonkeyPatch()
    base = tmp_path_factory.mktemp("stream")
    with s3_server(base / "server") as server:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv("TOKKA_CACHE", str(base / "cache"))
        folder, remote = Lake.open(str(base / "lake")), Lake.open("s3://lake/stream")
        shards, files = [], []
        for source, count, weight in (("fi", 2, 0.3), ("en", 1, 0.4)):
            identity = Identity("tokenized_shards", f"{source}--tiny", {}, "test")
            for lake in (folder, remote):
                with lake.write(identity) as out:
                    for number in range(count):
                        write_large(out.folder / f"shards/part-{number:05d}", seed=10 * count + number)
                        out.stage(f"documents/part-{number:05d}.parquet").write_bytes(b"not read here" * 1_000)
            manifest = folder.find(identity.asset, identity.partition, identity.version)
            assert manifest is not None
            shards.append(manifest)
            for number in range(count):
                prefix = f"{manifest.name}/shards/part-{number:05d}"
                files.append(
                    IndexedFile(source=source, prefix=prefix, weight=weight, training_documents=FILE_BYTES // 600)
                )
        facts = {"sequence_length": SEQUENCE, "samples": SAMPLES, "seed": 5, "vocab_size": VOCABULARY}
        blend = Blend(files=tuple(files), end_of_document=END, **facts)
        yield Place(server, folder, remote, shards, blend, base / "cache")
    patch.undo()


@pytest.fixture(scope="module")
def index(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index, built over the folder."""
    output = tmp_path_factory.mktemp("index")
    build(index_job(place, Path(place.folder.root), output))
    return output


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the ranges that are fetched, with nothing kept from before."""
    sizes: list[int] = []
    fetch = ranges.fetch

    def counted(uri: str, start: int, stop: int) -> bytes:
        sizes.append(stop - start)
        return fetch(uri, start, stop)

    ranges._blocks.reset()
    monkeypatch.setattr(ranges, "fetch", counted)
    return sizes


def index_job(place: Place, root: Path, output: Path) -> IndexJob:
    facts = {name: value for name, value in place.blend.as_json().items() if name != "files"}
    return IndexJob(root=str(root), files=list(place.blend.files), output=str(output), **facts)


def tokens(dataset: Any, numbers: Iterable[int]) -> torch.Tensor:
    return torch.stack([dataset[number]["tokens"] for number in numbers])


def test_samples_are_those_of_the_folder_and_few_bytes_are_fetched(
    place: Place, index: Path, fetched: list[int]
) -> None:
    here = blended_dataset(place.blend, Path(place.folder.root), index, build=False)
    there = blended_dataset(place.blend, place.mirrored, index, build=False)
    assert not fetched
    assert torch.equal(tokens(here, range(12)), tokens(there, range(12)))
    sizes = [entry.size for manifest in place.shards for entry in manifest.files if entry.path.endswith(".bin")]
    assert len(sizes) == 3 and min(sizes) > 5_000_000
    assert 0 < sum(fetched) < min(sizes) / 5
    before = len(fetched)
    tokens(there, range(12))
    assert len(fetched) == before, "what is in the cache is not fetched again"


def test_only_indexes_are_copied(place: Place) -> None:
    copied = {path.suffix for path in place.mirrored.rglob("*") if path.is_file()}
    assert copied == {".idx", ".json"}
    assert not list(place.cache.rglob("*.bin"))


def test_the_index_built_over_s3_has_the_same_bytes_and_reads_no_token(
    place: Place, index: Path, fetched: list[int], tmp_path: Path
) -> None:
    build(index_job(place, place.mirrored, tmp_path))
    assert digests(tmp_path) == digests(index)
    assert not fetched


def test_data_loader_workers_read_with_clients_of_their_own(place: Place, index: Path) -> None:
    there = blended_dataset(place.blend, place.mirrored, index, build=False)
    there[0]  # this process has a client when the workers are forked
    here = blended_dataset(place.blend, Path(place.folder.root), index, build=False)
    batches = list(StepLoader(Steps(there, 8, 4, 0, 1), 40, lambda: 30, workers=2))
    assert [batch.step for batch in batches] == list(range(30, 40))
    assert torch.equal(torch.cat([batch.tokens.flatten(0, 1) for batch in batches]), tokens(here, range(240, 320)))


def test_a_reader_outlives_a_server_that_is_killed_and_started_again(
    place: Place, index: Path, fetched: list[int]
) -> None:
    there = blended_dataset(place.blend, place.mirrored, index, build=False)
    here = blended_dataset(place.blend, Path(place.folder.root), index, build=False)
    first = tokens(there, range(2))
    place.server.kill()
    thread = threading.Thread(target=lambda: (time.sleep(2), place.server.start()))
    thread.start()
    last = tokens(there, range(SAMPLES - 2, SAMPLES))
    thread.join()
    assert torch.equal(torch.cat([first, last]), tokens(here, [0, 1, SAMPLES - 2, SAMPLES - 1]))


def test_the_cache_is_bounded(place: Place, fetched: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CACHE_BYTES", 8 * ranges.BLOCK_BYTES)
    file = ranges.RangedFile(place.mirrored / f"{place.blend.files[0].prefix}.bin")
    whole = (Path(place.folder.root) / f"{place.blend.files[0].prefix}.bin").read_bytes()
    for start in range(0, 3_000_000, 100_000):
        assert file.read(start, start + 50_000) == whole[start : start + 50_000]
        assert sum(map(len, ranges._blocks.kept.values())) == ranges._blocks.size <= 8 * ranges.BLOCK_BYTES
    assert file.read(0, len(whole)) == whole, "more than the cache holds is read past it"


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (16_383, 16_385), (16_384, 32_768), (1, 400_000), (-3, 0), (-1, 0)]
)
def test_a_range_is_the_files_bytes(place: Place, start: int, stop: int) -> None:
    file = ranges.RangedFile(place.mirrored / f"{place.blend.files[1].prefix}.bin")
    whole = (Path(place.folder.root) / f"{place.blend.files[1].prefix}.bin").read_bytes()
    if start < 0:
        start, stop = len(whole) + start, len(whole)
    assert file.read(start, stop) == whole[start:stop]
    assert b"".join(file.chunks(stop)) == whole[:stop]
    with pytest.raises(ranges.RangeError, match="is not in it"):
        file.read(start, len(whole) + 1)


def test_a_pretraining_job_reads_a_lake_in_s3_without_its_shards(
    place: Place, world: World, fetched: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKKA_CACHE", str(tmp_path / "cache"))
    place.remote.fs.put(world.lake.root, "lake/world", recursive=True)
    root, mixture = check_inputs(world.job(tmp_path, lake="s3://lake/world"), ranks=2)
    assert not list(tmp_path.rglob("*.bin"))
    there, blend = open_mixture(mixture, root)
    here, _ = open_mixture(world.lake.local(world.mixture), Path(world.lake.root))
    assert torch.equal(tokens(there, range(blend.samples)), tokens(here, range(blend.samples)))
    sets = open_validation(mixture, root)
    for source, held in open_validation(world.lake.local(world.mixture), Path(world.lake.root)).items():
        assert torch.equal(tokens(sets[source], range(len(held))), tokens(held, range(len(held))))
    assert fetched and not list(tmp_path.rglob("*.bin"))


def test_a_changed_file_is_refused(place: Place, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity("tokenized_shards", "changed--tiny", {}, "test")
    with place.remote.write(identity) as out:
        write_large(out.folder / "shards/part-00000", seed=1)
    manifest = place.remote.find(identity.asset, identity.partition, identity.version)
    prefix = f"{manifest.name}/shards/part-00000"
    file = IndexedFile(source="changed", prefix=prefix, weight=1, training_documents=100)
    blend = Blend(files=(file,), sequence_length=8, samples=50, seed=1, vocab_size=VOCABULARY, end_of_document=END)
    root = place.remote.mirror([manifest], stream=True)
    build(index_job(Place(place.server, place.folder, place.remote, [], blend, place.cache), root, tmp_path))
    dataset = blended_dataset(blend, root, tmp_path, build=False)
    size = manifest.file("shards/part-00000.bin").size
    place.remote.fs.pipe_file(f"{place.remote.root}/{prefix}.bin", b"\0" * (size - 10))
    with pytest.raises(JobError, match=rf"part-00000\.bin has {size - 10:,} bytes; its manifest names {size:,}"):
        dataset[0]
    place.remote.fs.pipe_file(f"{place.remote.root}/{prefix}.idx", b"\0" * 90)
    monkeypatch.setenv("TOKKA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(LakeError, match=r"part-00000\.idx does not have the bytes that its manifest names"):
        place.remote.mirror([manifest], stream=True)
