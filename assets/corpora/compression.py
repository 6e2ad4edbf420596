"""Opening files with or without compression, so that a file that breaks off is noticed.

gzip's reader raises at a truncated stream. The usual zstd readers end in silence there, and after the first of several
frames, so frames are followed here.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import IO, Any

import fsspec

CHUNK = 1 << 20


class _ZstdStream(io.RawIOBase):
    """Decompresses all frames of a zstd file; raises EOFError where the last one is incomplete."""

    def __init__(self, raw: IO[bytes]) -> None:
        import zstandard

        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._pending = b""
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._pending or self._raw.read(CHUNK)
            self._pending = b""
            if not chunk:
                if self._frame is not None:
                    raise EOFError("the last zstd frame is incomplete")
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = self._frame.decompress(chunk)
            if self._frame.eof:
                self._pending, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


@contextlib.contextmanager
def open_decompressed(uri: str) -> Iterator[IO[bytes]]:
    """Open ``uri`` for reading bytes; ``.zst`` is decompressed here, ``.gz``, ``.bz2`` and ``.xz`` by fsspec."""
    if uri.endswith((".zst", ".zstd")):
        with fsspec.open(uri, "rb") as raw:
            yield io.BufferedReader(_ZstdStream(raw), CHUNK)
    else:
        with fsspec.open(uri, "rb", compression="infer") as stream:
            yield stream
