"""The files of a source as a mixture uses them: which documents are trained on, and which are kept for validation.

Of every file the last documents are kept, as Megatron-Core's ``split`` does. A document's renderings (of a pair both
directions) are never divided: where the cut would fall between them, they are all kept for validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parquet
from assets.mixture.blend import MixtureError
from assets.shards.indexed import HEADER_BYTES, ShardError, read_header
from assets.shards.parts import shard_prefixes

if TYPE_CHECKING:
    import pyarrow as pa

COUNT_OFFSET = 18
"""Where an ``.idx`` says how many documents it has."""
MAX_DOCUMENTS = np.iinfo(np.int32).max
"""Megatron-Core numbers the documents of a file in int32."""


@dataclass(frozen=True)
class MixedFile:
    """One file of a source. Documents [0, ``training_documents``) are trained on, the next ``validation_documents`` are
    validated on. ``prefix`` is relative to the lake's root; ``tokens`` are those of the former, ``validation_tokens`` all
    others.
    """

    prefix: str
    tokens: int
    training_documents: int
    validation_tokens: int
    validation_documents: int


@dataclass(frozen=True)
class ShardIndex:
    """A shard's ``.idx``: the type of its token ids; of each document its tokens, int32 [documents], and its first byte in
    the ``.bin``, int64 [documents]. Both are mapped, not read.
    """

    dtype: np.dtype[np.integer[Any]]
    lengths: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


def read_index(path: Path) -> ShardIndex:
    """Open an ``.idx`` (layout: ``assets.shards.indexed``). Raises MixtureError for what is no whole index, and for what
    Megatron-Core cannot number.
    """
    try:
        dtype, count = read_header(path)
    except ShardError as error:
        raise MixtureError(f"{error} `tokka lake verify tokenized_shards` tells what is damaged.") from error
    if count > MAX_DOCUMENTS:
        raise MixtureError(
            f"{path.name}, offset {COUNT_OFFSET}: {count:,} documents; Megatron-Core numbers {MAX_DOCUMENTS:,} per file. Make "
            "the files smaller: tokenizer.shard_bytes."
        )
    if not count:
        return ShardIndex(dtype, np.zeros(0, np.int32), np.zeros(0, np.int64))
    lengths = np.memmap(path, "<i4", "r", HEADER_BYTES, (count,))
    return ShardIndex(dtype, lengths, np.memmap(path, "<i8", "r", HEADER_BYTES + 4 * count, (count,)))


def document_index(prefix: str) -> str:
    """Path of the document index that belongs to the shard ``prefix``, both within a version."""
    return f"documents/{prefix.rsplit('/', 1)[1]}.parquet"


def mixed_files(lake: Lake, shards: Manifest, root: Path, share: float) -> list[MixedFile]:
    """The files of a source's shards, with ``share`` of the documents of each kept for validation.

    ``root`` is where the version's ``.idx`` files lie (``Lake.mirror``).
    """
    prefixes = shard_prefixes(shards)
    lengths = [read_index(root / shards.name / f"{prefix}.idx").lengths for prefix in prefixes]
    cuts = [(len(n), len(n)) for n in lengths] if share == 0 else _cuts(_document_ids(lake, shards, prefixes), share)
    return [
        MixedFile(
            prefix=f"{shards.name}/{prefix}",
            tokens=int(n[:cut].sum(dtype=np.int64)),
            training_documents=cut,
            validation_tokens=int(n[cut:].sum(dtype=np.int64)),
            validation_documents=end - cut,
        )
        for prefix, n, (cut, end) in zip(prefixes, lengths, cuts, strict=True)
    ]


def _document_ids(lake: Lake, shards: Manifest, prefixes: Sequence[str]) -> "list[pa.ChunkedArray]":
    return [read_parquet(lake, shards, document_index(prefix))["document"] for prefix in prefixes]


def _cuts(ids: Sequence[Any], share: float) -> list[tuple[int, int]]:
    """Of each file, whose documents' ids are given, where validation begins and ends.

    A document at the end of a file whose other rendering begins the next file, where it is trained on, is in neither.
    """
    cuts = []
    for number, names in enumerate(ids):
        end = len(names)
        cut = end - round(share * end)
        while 0 < cut < end and names[cut - 1] == names[cut]:
            cut -= 1
        following = ids[number + 1] if number + 1 < len(ids) else []
        while end > cut and len(following) and names[end - 1] == following[0]:
            end -= 1
        cuts.append((cut, end))
    return cuts
