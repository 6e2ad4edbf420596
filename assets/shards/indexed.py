"""Megatron's indexed dataset: a ``.bin`` of token ids and an ``.idx`` that says where each document lies.

Layout of the ``.idx``, little-endian (Megatron-LM, ``megatron/core/datasets/indexed_dataset.py``)::

    9 bytes   b"MMIDIDX\\x00\\x00"
    uint64    version, 1
    uint8     code of the ids' dtype: 4 is int32, 8 is uint16
    uint64    number of sequences, n
    uint64    number of document boundaries, n + 1 (one sequence per document here)
    int32[n]  tokens per sequence
    int64[n]  byte offset of each sequence in the .bin
    int64[n+1] first sequence of each document, and n at the end

Two documents of 3 and 2 tokens in uint16: the .bin has 10 bytes; lengths [3, 2]; offsets [0, 6]; boundaries [0, 1, 2];
34 + 8 + 16 + 24 = 82 bytes of .idx.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

MAGIC = b"MMIDIDX\x00\x00"
DTYPES: dict[int, type[np.integer[Any]]] = {4: np.int32, 8: np.uint16}
UINT16_LIMIT = 65_500
"""Below so many ids two bytes hold one (Megatron's own bound)."""
MAX_LENGTH = np.iinfo(np.int32).max
HEADER_BYTES = 34


class ShardError(ValueError):
    """A shard is not what its format says. The message names file, offset and reason."""


def token_dtype(vocab_size: int) -> np.dtype[np.integer[Any]]:
    """uint16 below 65,500 ids, otherwise int32."""
    return np.dtype(np.uint16 if vocab_size < UINT16_LIMIT else np.int32)


class ShardWriter:
    """Appends documents to a ``.bin`` and writes the ``.idx`` at the end."""

    def __init__(self, prefix: Path, vocab_size: int) -> None:
        self.prefix = prefix
        self.dtype = token_dtype(vocab_size)
        self.vocab_size = vocab_size
        self.documents = 0
        self.tokens = 0
        self._lengths: list[npt.NDArray[np.int32]] = []
        self._stream: IO[bytes] = prefix.with_suffix(".bin").open("wb")

    def append(self, ids: npt.NDArray[np.integer[Any]], lengths: npt.NDArray[np.integer[Any]]) -> None:
        """Append documents: their ids [tokens], one document after the other, ends included, and ``lengths`` [documents].

        Raises ShardError for a document without tokens or of more than 2^31 - 1, and for ids out of range.
        """
        wrong = np.flatnonzero((lengths < 1) | (lengths > MAX_LENGTH))
        if wrong.size:
            raise ShardError(
                f"{self.prefix.name}.bin, offset {self.tokens * self.dtype.itemsize}: document "
                f"{self.documents + wrong[0]} has {lengths[wrong[0]]} tokens; 1 to 2^31 - 1 are allowed, since the .idx "
                "holds a document's length in 32 bits. Leave the document out of the source, or cut it up."
            )
        if ids.size != lengths.sum(dtype=np.int64):
            raise ShardError(f"{self.prefix.name}.bin: {ids.size} ids for documents of {lengths.sum()} tokens in all.")
        if ids.size and (ids.max() >= self.vocab_size or ids.min() < 0):
            at = int(np.argmax((ids >= self.vocab_size) | (ids < 0)))
            document = int(np.searchsorted(np.cumsum(lengths, dtype=np.int64), at, side="right"))
            raise ShardError(
                f"{self.prefix.name}.bin, offset {(self.tokens + at) * self.dtype.itemsize}: document "
                f"{self.documents + document} holds the id {ids[at]}; allowed are 0 to {self.vocab_size - 1}, the ids of "
                "the tokenizer. Was it changed? Make the shards again."
            )
        self._stream.write(np.ascontiguousarray(ids, self.dtype).data)
        self._lengths.append(lengths.astype(np.int32))
        self.documents += len(lengths)
        self.tokens += int(ids.size)

    @property
    def size(self) -> int:
        """Bytes of the ``.bin`` so far."""
        return self.tokens * self.dtype.itemsize

    def abandon(self) -> None:
        """Leave the files as they are, incomplete."""
        self._stream.close()

    def close(self) -> None:
        """Write the ``.idx``."""
        self._stream.close()
        lengths = np.concatenate([np.zeros(0, np.int32), *self._lengths])
        offsets = np.cumsum(lengths, dtype=np.int64) - lengths
        code = next(code for code, dtype in DTYPES.items() if self.dtype == dtype)
        with self.prefix.with_suffix(".idx").open("wb") as stream:
            stream.write(MAGIC + struct.pack("<QBQQ", 1, code, len(lengths), len(lengths) + 1))
            for numbers in (lengths, offsets * self.dtype.itemsize, np.arange(len(lengths) + 1, dtype=np.int64)):
                stream.write(numbers.data)


@dataclass(frozen=True)
class Shard:
    """A shard that is read: ``tokens`` of shape [total tokens], ``lengths`` and ``offsets`` (in tokens) of shape [documents]."""

    tokens: npt.NDArray[np.integer[Any]]
    lengths: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def document(self, number: int) -> npt.NDArray[np.integer[Any]]:
        """The token ids of one document."""
        start = self.offsets[number]
        return self.tokens[start : start + self.lengths[number]]


def read_shard(prefix: Path) -> Shard:
    """Open a shard and check that its ``.idx`` fits its ``.bin``; of neither more is read than is asked for later, beside the
    lengths and offsets. Raises ShardError.
    """
    index, data = prefix.with_suffix(".idx"), prefix.with_suffix(".bin")
    dtype, count = read_header(index)
    raw = np.memmap(index, np.uint8, "r")
    lengths = raw[HEADER_BYTES : HEADER_BYTES + 4 * count].view("<i4")
    offsets = np.frombuffer(raw, "<i8", count, HEADER_BYTES + 4 * count)
    boundaries = np.frombuffer(raw, "<i8", count + 1, HEADER_BYTES + 12 * count)
    size = data.stat().st_size
    asked = int(lengths.sum(dtype=np.int64)) * dtype.itemsize
    if count and int(lengths.min()) < 1:
        wrong = int(np.argmax(lengths < 1))
        raise ShardError(
            f"{index.name}, offset {HEADER_BYTES + 4 * wrong}: sequence {wrong} has {lengths[wrong]} tokens; at least 1 is "
            "allowed. The file is damaged: make the shards again."
        )
    if asked != size:
        raise ShardError(
            f"{data.name}, offset {min(size, asked)}: has {size} bytes; {index.name} asks for {asked}. "
            "One of the two is cut short or belongs to another shard: make the shards again."
        )
    begins = (np.cumsum(lengths, dtype=np.int64) - lengths) * dtype.itemsize
    if not np.array_equal(offsets, begins):
        wrong = int(np.argmax(offsets != begins))
        raise ShardError(
            f"{index.name}, offset {HEADER_BYTES + 4 * count + 8 * wrong}: sequence {wrong} starts at byte {offsets[wrong]}, "
            "not where the one before it ends. The file is damaged: make the shards again."
        )
    if not np.array_equal(boundaries, np.arange(count + 1)):
        wrong = int(np.argmax(boundaries != np.arange(count + 1)))
        raise ShardError(
            f"{index.name}, offset {HEADER_BYTES + 12 * count + 8 * wrong}: document {wrong} begins at sequence "
            f"{boundaries[wrong]}; each document is one sequence here. The file is damaged: make the shards again."
        )
    tokens = np.memmap(data, dtype=dtype, mode="r") if size else np.zeros(0, dtype)
    return Shard(tokens, lengths, offsets // dtype.itemsize)


def read_header(index: Path) -> tuple[np.dtype[np.integer[Any]], int]:
    """The dtype of the ids and the number of sequences of an ``.idx``. Raises ShardError where the file is no whole index."""
    size = index.stat().st_size
    with index.open("rb") as stream:
        raw = stream.read(HEADER_BYTES)
    if raw[:9] != MAGIC:
        raise ShardError(
            f"{index.name}, offset 0: found {raw[:9]!r} where {MAGIC!r} belongs; this is no Megatron index."
        )
    if len(raw) < HEADER_BYTES:
        raise ShardError(
            f"{index.name}, offset {len(raw)}: breaks off within its header of {HEADER_BYTES} bytes. Make the shards again."
        )
    version, code, count, boundaries = struct.unpack_from("<QBQQ", raw, 9)
    if version != 1 or code not in DTYPES:
        raise ShardError(
            f"{index.name}, offset 9: version {version} and dtype code {code}; version 1 and codes 4, 8 are read."
        )
    if boundaries != count + 1:
        raise ShardError(
            f"{index.name}, offset 26: {boundaries} document boundaries for {count} sequences; {count + 1} are allowed."
        )
    expected = HEADER_BYTES + 12 * count + 8 * boundaries
    if size != expected:
        raise ShardError(
            f"{index.name}, offset {min(size, expected)}: has {size} bytes; its header, {count} sequences, asks for {expected}. "
            "Make the shards again."
        )
    return np.dtype(DTYPES[code]), count
