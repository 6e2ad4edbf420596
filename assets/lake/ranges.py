"""Ranges of a version's files, where a remote lake's large files are not copied.

``Lake.mirror(..., stream=True)`` leaves a pointer in the place of each file of token ids or of rows, as
``part-00000.bin.pointer.json`` with the file's URI, size and sha256. ``RangedFile`` reads from the file where it lies here,
and by ranges from the lake where only the pointer does. Ranges come through a cache of ``CACHE_BYTES`` per process, in
blocks of ``BLOCK_BYTES``.

What is checked of a remote file: its size against the manifest before the first range, and the length of every range. Its
sha256 is that of the whole file and cannot be checked by ranges; ``tokka lake verify`` does that.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
from pydantic import BaseModel, ConfigDict, ValidationError

from assets.lake.files import patiently, write_whole

POINTER = ".pointer.json"
STREAMED = (".bin", ".parquet")
"""Files of these suffixes are left in the lake by a mirror that streams."""
BLOCK_BYTES = 16 * 2**10
"""A few documents: they are read in random order, so a larger block would mostly fetch what is not asked for."""
CACHE_BYTES = 256 * 2**20
CHUNK_BYTES = 8 * 2**20
"""What is read at once where a file is read from one end to the other."""


class RangeError(Exception):
    """A remote file is not the one that its manifest names, or does not hold a range."""


class Pointer(BaseModel):
    """Where a file of the lake lies, with the size in bytes and the sha256 that its manifest names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    size: int
    sha256: str


class _Blocks:
    """Blocks of remote files by URI and number; the least recently used go when there are more than ``CACHE_BYTES``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all. A forked process begins so: another thread may have held the lock."""
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self.size = 0

    def get(self, key: tuple[str, int]) -> bytes | None:
        with self.lock:
            block = self.kept.get(key)
            if block is not None:
                self.kept.move_to_end(key)
            return block

    def put(self, key: tuple[str, int], block: bytes) -> None:
        with self.lock:
            if key not in self.kept:
                self.kept[key] = block
                self.size += len(block)
            while self.size > CACHE_BYTES:
                self.size -= len(self.kept.popitem(last=False)[1])


_blocks = _Blocks()
os.register_at_fork(after_in_child=_blocks.reset)


def fetch(uri: str, start: int, stop: int) -> bytes:
    """The bytes [start, stop) of a remote file, by one request, tried again while its server cannot be reached.

    The file system is asked for anew each time, so a forked data-loader worker gets a client of its own.
    """

    def once() -> bytes:
        fs, path = fsspec.core.url_to_fs(uri)
        content: bytes = fs.cat_file(path, start=start, end=stop)
        return content

    found = patiently(once)
    if len(found) != stop - start:
        raise RangeError(
            f"{uri} gave {len(found):,} bytes where the {stop - start:,} from offset {start:,} were asked for. "
            "Was it changed? `tokka lake verify` tells."
        )
    return found


class RangedFile:
    """The bytes of ``path``, or of the remote file that ``path.pointer.json`` points to. Raises FileNotFoundError.

    It holds no open file and no client, so it may be pickled and used in forked processes and threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pointer: Pointer | None = None
        self._checked = False
        pointer = path.with_name(path.name + POINTER)
        if path.is_file():
            self.size = path.stat().st_size
        elif pointer.is_file():
            try:
                self.pointer = Pointer.model_validate_json(pointer.read_bytes())
            except ValidationError as error:
                raise RangeError(f"{pointer} is not a pointer: {error.errors()[0]['msg']}. Remove it.") from error
            self.size = self.pointer.size
        else:
            raise FileNotFoundError(f"there is neither {path} nor {pointer.name}")

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop); of a remote file through the cache. Raises RangeError where the file has not as many."""
        self._check(start, stop)
        if self.pointer is None:
            return self._read_here(start, stop)
        if stop - start > CACHE_BYTES // 4:
            return fetch(self.pointer.uri, start, stop)
        first, last = start // BLOCK_BYTES, max(start, stop - 1) // BLOCK_BYTES
        found = {number: _blocks.get((self.pointer.uri, number)) for number in range(first, last + 1)}
        for low, high in _runs([number for number, block in found.items() if block is None]):
            offset = low * BLOCK_BYTES
            content = fetch(self.pointer.uri, offset, min((high + 1) * BLOCK_BYTES, self.size))
            for number in range(low, high + 1):
                block = content[number * BLOCK_BYTES - offset : (number + 1) * BLOCK_BYTES - offset]
                found[number] = block
                _blocks.put((self.pointer.uri, number), block)
        joined = b"".join(block for block in found.values() if block is not None)
        return joined[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def chunks(self, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from the start to ``stop`` (default: the end), in pieces of ``CHUNK_BYTES`` that are not kept."""
        end = self.size if stop is None else stop
        self._check(0, end)
        for start in range(0, end, CHUNK_BYTES):
            upto = min(start + CHUNK_BYTES, end)
            yield self._read_here(start, upto) if self.pointer is None else fetch(self.pointer.uri, start, upto)

    def _read_here(self, start: int, stop: int) -> bytes:
        with self.path.open("rb") as stream:
            stream.seek(start)
            return stream.read(stop - start)

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.size:
            raise RangeError(f"{self.path.name} has {self.size:,} bytes; the range {start:,} to {stop:,} is not in it.")
        if self.pointer is None or self._checked:
            return
        found = patiently(partial(_size, self.pointer.uri))
        if found != self.size:
            raise RangeError(f"{self.pointer.uri} has {found:,} bytes; its manifest names {self.size:,}.")
        self._checked = True


def _size(uri: str) -> int:
    fs, path = fsspec.core.url_to_fs(uri)
    info: dict[str, Any] = fs.info(path)
    return int(info["size"])


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs (first, last) without gaps."""
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            yield numbers[start], numbers[i - 1]
            start = i


def write_pointer(path: Path, pointer: Pointer) -> None:
    """Write the pointer that stands for ``path``."""
    write_whole(path.with_name(path.name + POINTER), pointer.model_dump_json(indent=2).encode())
