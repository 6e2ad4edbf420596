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
        self.lengths: list[int] = []
        self._stream: IO[bytes] = prefix.with_suffix(".bin").open("wb")

    def append(self, tokens: npt.ArrayLike) -> None:
        """Append one document's token ids, its end-of-document id included. Raises ShardError for ids out of range."""
        ids = np.asarray(tokens, dtype=np.int64)
        if ids.size == 0 or ids.size > np.iinfo(np.int32).max:
            raise ShardError(
                f"{self.prefix.name}: document {len(self.lengths)} has {ids.size} tokens; 1 to 2^31 - 1 are allowed."
            )
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            raise ShardError(
                f"{self.prefix.name}: document {len(self.lengths)} holds the ids {ids.min()} to {ids.max()}; "
                f"allowed are 0 to {self.vocab_size - 1}."
            )
        self._stream.write(ids.astype(self.dtype).tobytes())
        self.lengths.append(ids.size)

    def close(self) -> None:
        """Write the ``.idx``."""
        self._stream.close()
        lengths = np.asarray(self.lengths, dtype=np.int32)
        offsets = np.zeros(len(lengths), dtype=np.int64)
        np.cumsum(lengths[:-1], dtype=np.int64, out=offsets[1:])
        code = next(code for code, dtype in DTYPES.items() if self.dtype == dtype)
        with self.prefix.with_suffix(".idx").open("wb") as stream:
            stream.write(MAGIC + struct.pack("<QBQQ", 1, code, len(lengths), len(lengths) + 1))
            stream.write(lengths.tobytes())
            stream.write((offsets * self.dtype.itemsize).tobytes())
            stream.write(np.arange(len(lengths) + 1, dtype=np.int64).tobytes())


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
    """Open a shard and check that its ``.idx`` fits its ``.bin``. Raises ShardError."""
    index, data = prefix.with_suffix(".idx"), prefix.with_suffix(".bin")
    raw = index.read_bytes()
    if raw[:9] != MAGIC:
        raise ShardError(
            f"{index.name}, offset 0: found {raw[:9]!r} where {MAGIC!r} belongs; this is no Megatron index."
        )
    if len(raw) < 34:
        raise ShardError(f"{index.name}: breaks off after {len(raw)} bytes, within its header of 34.")
    version, code, n, boundaries = struct.unpack_from("<QBQQ", raw, 9)
    if version != 1 or code not in DTYPES:
        raise ShardError(
            f"{index.name}, offset 9: version {version} and dtype code {code}; version 1 and codes 4, 8 are read."
        )
    expected = 34 + 12 * n + 8 * boundaries
    if len(raw) != expected:
        raise ShardError(f"{index.name}: has {len(raw)} bytes; its header, {n} sequences, asks for {expected}.")
    dtype = np.dtype(DTYPES[code])
    lengths = np.frombuffer(raw, np.int32, n, 34)
    offsets = np.frombuffer(raw, np.int64, n, 34 + 4 * n)
    size = data.stat().st_size
    if int(lengths.sum(dtype=np.int64)) * dtype.itemsize != size:
        raise ShardError(
            f"{data.name}: has {size} bytes; {index.name} asks for {int(lengths.sum(dtype=np.int64)) * dtype.itemsize}. "
            "One of the two is cut short or belongs to another shard."
        )
    ends = np.cumsum(lengths, dtype=np.int64) * dtype.itemsize
    if n and not np.array_equal(offsets, np.concatenate([[0], ends[:-1]])):
        wrong = int(np.argmax(offsets != np.concatenate([[0], ends[:-1]])))
        raise ShardError(
            f"{index.name}: sequence {wrong} starts at byte {offsets[wrong]}, not where the one before it ends."
        )
    tokens = np.memmap(data, dtype=dtype, mode="r") if size else np.zeros(0, dtype)
    return Shard(tokens, lengths, offsets // dtype.itemsize)
