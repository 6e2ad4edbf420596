"""What a training step saw: the samples of its global batch as text, walked back to the documents they were cut from.

Read from the sample index and the shards alone, without torch or Megatron-Core. A sample of the blend names a file and a
sample of that file; the file's shuffled order names a stretch of its documents, laid end to end in their shuffled order;
and the row of the document index with a document's number names its id, its rendering and the version it came from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from assets.lake import InputRef, Lake, Manifest
from assets.lake.ranges import RangedFile
from assets.mixture.files import document_index, read_index
from assets.recipe.model import Recipe

if TYPE_CHECKING:
    import tokenizers


class SampleError(ValueError):
    """A step, or what it was trained on, cannot be shown. The message says why and what to do."""


@dataclass(frozen=True)
class Segment:
    """The part of a sample that comes from one document.

    ``ids`` are the document's tokens [``start``, ``start`` + len(ids)) of ``length``; ``shard`` is the prefix of its file
    in the lake, ``number`` its place there. ``source_version`` is the version that holds the document's text.
    """

    source: str
    document: str
    rendering: str
    source_version: str
    shard: str
    number: int
    start: int
    length: int
    ids: list[int]
    text: str


@dataclass(frozen=True)
class Sample:
    """Sample ``number`` of a run: sequence_length + 1 tokens, of which all but the last are read and all but the first
    predicted.
    """

    number: int
    source: str
    segments: list[Segment]

    @property
    def ids(self) -> list[int]:
        """The token ids of the whole sample."""
        return [token for segment in self.segments for token in segment.ids]


@dataclass(frozen=True)
class Consumed:
    """What a run trains on: a mixture, ``steps`` times ``global_batch`` of its samples; ``run`` where it has been trained."""

    mixture: Manifest
    steps: int
    global_batch: int
    run: Manifest | None


def consumed(lake: Lake, recipe: Recipe, run: InputRef | None, mixture: InputRef | None) -> Consumed:
    """What the recipe's run was trained on, or, before it has run, what its mixture gives it.

    Raises SampleError where there is neither, or the mixture was made for another schedule.
    """
    if run is not None:
        manifest = lake.manifest(run)
        (used,) = [ref for ref in manifest.inputs if ref.asset == "mixture"]
        training = manifest.config["training"]
        return Consumed(lake.manifest(used), training["steps"], training["global_batch"], manifest)
    if mixture is None:
        raise SampleError(
            f"{recipe.name} has no mixture in the lake {lake.uri} yet. `tokka run {recipe.name} --to mixture` makes it "
            "without training."
        )
    found, now = lake.manifest(mixture), recipe.training
    for name, value in (
        ("samples", now.steps * now.global_batch),
        ("sequence_length", now.sequence_length),
        ("seed", now.seed),
    ):
        if found.config[name] != value:
            raise SampleError(
                f"The mixture {found.name} was made with {name} = {found.config[name]}, the recipe says {value} now. "
                f"`tokka run {recipe.name} --to mixture` makes it anew."
            )
    return Consumed(found, now.steps, now.global_batch, None)


def step_samples(lake: Lake, trained: Consumed, step: int, limit: int | None = None) -> list[Sample]:
    """The samples of the global batch of ``step``, counted from 1, in their order; the first ``limit`` where given.

    Raises SampleError for a step that the run does not have, and where index, shards and document index do not fit.
    """
    if not 1 <= step <= trained.steps:
        raise SampleError(f"There is no step {step}: the run has the steps 1 to {trained.steps:,}.")
    first = (step - 1) * trained.global_batch
    count = trained.global_batch if limit is None else min(limit, trained.global_batch)
    return samples(lake, trained.mixture, range(first, first + count))


def samples(lake: Lake, mixture: Manifest, numbers: Sequence[int]) -> list[Sample]:
    """The samples of a mixture with these numbers."""
    order = SampleOrder(lake, mixture)
    places = [order.place(number) for number in numbers]
    documents = {
        file: order.files[file].rows({document for f, spans in places if f == file for document, _, _ in spans})
        for file in {file for file, _ in places}
    }
    return [
        Sample(
            number,
            order.files[file].source,
            [
                order.files[file].segment(documents[file][document], document, start, length, order.decoder)
                for document, start, length in spans
            ],
        )
        for number, (file, spans) in zip(numbers, places, strict=True)
    ]


Span = tuple[int, int, int]
"""A document's number in its file, the first of its tokens, and how many."""


class SampleOrder:
    """The order of a mixture's samples, from its index."""

    def __init__(self, lake: Lake, mixture: Manifest) -> None:
        self.lake, self.mixture = lake, mixture
        described = lake.read_json(mixture, "mixture.json")
        self.length: int = described["sequence_length"]
        self.folder = lake.mirror([mixture], stream=True) / mixture.name / "index"
        names = lake.read_json(mixture, "index/index.json")["names"]
        self.datasets = load_array(self.folder, names["blend"], "dataset_index")
        self.samples = load_array(self.folder, names["blend"], "dataset_sample_index")
        shards = {ref.name: ref for ref in mixture.inputs}
        self.files = [
            ShardFile(
                lake, shards[_version(file["prefix"])], source["source"], file["prefix"], names["files"][file["prefix"]]
            )
            for source in described["sources"]
            for file in source["files"]
            if file["weight"]
        ]

    def place(self, number: int) -> tuple[int, list[Span]]:
        """The file that a sample is cut from, and the spans of documents that it is made of."""
        if not 0 <= number < len(self.datasets):
            raise SampleError(f"There is no sample {number:,}: the mixture's index has {len(self.datasets):,}.")
        file = int(self.datasets[number])
        return file, self.files[file].spans(self.folder, int(self.samples[number]), self.length)

    @cached_property
    def decoder(self) -> "_Decoder":
        (tokenizer,) = [ref for ref in self.mixture.inputs if ref.asset == "tokenizer"]
        return _Decoder(self.lake.local(tokenizer) / "tokenizer.json")


class ShardFile:
    """One shard of a blend."""

    def __init__(self, lake: Lake, version: InputRef, source: str, prefix: str, index: str) -> None:
        self.lake, self.version, self.source, self.prefix, self.index = lake, version, source, prefix, index

    @cached_property
    def path(self) -> Path:
        return self.lake.mirror([self.version], stream=True) / self.prefix

    @cached_property
    def bin(self) -> RangedFile:
        return RangedFile(self.path.with_name(self.path.name + ".bin"))

    @cached_property
    def shard(self) -> Any:
        return read_index(self.path.with_name(self.path.name + ".idx"))

    def spans(self, folder: Path, sample: int, sequence_length: int) -> list[Span]:
        """The spans of a sample: sequence_length + 1 tokens, the last of which the next sample begins with."""
        row = int(load_array(folder, self.index, "shuffle_index")[sample])
        (first, start), (last, stop) = load_array(folder, self.index, "sample_index")[row : row + 2].tolist()
        documents = load_array(folder, self.index, "document_index")[first : last + 1].tolist()
        starts = [start] + [0] * (last - first)
        stops = [int(self.shard.lengths[document]) for document in documents[:-1]] + [stop + 1]
        spans = list(zip(documents, starts, (b - a for a, b in zip(starts, stops, strict=True)), strict=True))
        if sum(length for _, _, length in spans) != sequence_length + 1:
            raise SampleError(
                f"The sample index of {self.prefix} does not fit its shard: sample {sample:,} has "
                f"{sum(length for _, _, length in spans):,} tokens, not {sequence_length + 1:,}. "
                "`tokka lake verify` tells which of the two was changed."
            )
        return spans

    def rows(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Rows of the document index; each must give the place of its document that the ``.idx`` gives."""
        import pyarrow.parquet as pq

        found: dict[int, dict[str, Any]] = {}
        wanted = sorted(numbers)
        path = document_index(self.prefix)
        with self.lake.open_file(self.version, path) as stream:
            file = pq.ParquetFile(stream)
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                here = [number for number in wanted if start <= number < stop]
                if here:
                    rows = file.read_row_group(group).take([number - start for number in here]).to_pylist()
                    found |= dict(zip(here, rows, strict=True))
                start = stop
        for number in wanted:
            row = found.get(number)
            place = (int(self.shard.offsets[number]) // self.shard.dtype.itemsize, int(self.shard.lengths[number]))
            if row is None or (row["token_offset"], row["length"]) != place:
                raise SampleError(
                    f"{self.version.name}/{path} does not fit {self.prefix}.idx: of document {number:,} it says "
                    f"{row and (row['token_offset'], row['length'])}, the .idx says {place}. "
                    "`tokka lake verify tokenized_shards` tells which of the two was changed."
                )
        return found

    def segment(self, row: dict[str, Any], number: int, start: int, length: int, decoder: "_Decoder") -> Segment:
        size = self.shard.dtype.itemsize
        offset = int(self.shard.offsets[number]) + start * size
        ids = np.frombuffer(self.bin.read(offset, offset + length * size), self.shard.dtype).tolist()
        return Segment(
            source=self.source,
            document=row["document"],
            rendering=row["rendering"],
            source_version=row["source_version"],
            shard=self.prefix,
            number=number,
            start=start,
            length=row["length"],
            ids=ids,
            text=decoder.text(ids),
        )


class _Decoder:
    """Token ids as text. Special tokens stand in ⟦⟧, so that they differ from raw text that looks like one."""

    def __init__(self, path: Path) -> None:
        from assets.tokenizer import bpe

        self.tokenizer: tokenizers.Tokenizer = bpe.load(str(path))
        self.special = range(len(bpe.SPECIAL_TOKENS))

    def text(self, ids: Sequence[int]) -> str:
        """The text of ``ids``; a character that is cut off at an end becomes U+FFFD."""
        pieces: list[str] = []
        run: list[int] = []
        for token in ids:
            if token in self.special:
                pieces += [self.tokenizer.decode(run), f"⟦{self.tokenizer.id_to_token(token)}⟧"]
                run = []
            else:
                run.append(token)
        return "".join([*pieces, self.tokenizer.decode(run)])


def _version(prefix: str) -> str:
    """``asset/partition/version`` of a file of the lake."""
    return "/".join(prefix.split("/")[:3])


def load_array(folder: Path, base: str, name: str) -> npt.NDArray[Any]:
    path = folder / f"{base}-{name}.npy"
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError) as error:
        raise SampleError(f"The mixture's index file {path.name} cannot be read: {error}.") from error
    return array
