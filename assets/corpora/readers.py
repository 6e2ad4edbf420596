"""Reading records from files of every source format, losing none in silence.

What cannot be read becomes a ``Fault`` with file and line; the gate decides whether there are too many.
"""

import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import fsspec

from assets.corpora.compression import open_decompressed
from assets.corpora.files import SourceFile

Record = tuple[int, dict[str, Any]]
"""Line (or row) number, from 1, and the record."""


@dataclass(frozen=True)
class Fault:
    """Something that could not be read. ``whole_file`` marks a file whose rest is lost, so that its size is unknown."""

    file: str
    line: int
    what: str
    whole_file: bool = False


def read_records(file: SourceFile, source_format: str) -> Iterator[Record | Fault]:
    """The records of a file in its order, and a Fault in place of each that cannot be read."""
    if source_format == "parquet":
        yield from _parquet(file)
        return
    line = 0
    try:
        with open_decompressed(file.uri) as stream:
            if source_format == "text":
                yield _text(file, stream)
                return
            parse = _json_record if source_format in ("jsonl", "pairs_jsonl") else _tsv_record
            for line, raw in enumerate(stream, start=1):
                if raw.strip():
                    yield parse(file, line, raw)
    except (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        yield Fault(file.name, line + 1, f"the file breaks off or is damaged here ({_reason(error)})", whole_file=True)
    except Exception as error:
        # zstandard raises an error class of its own, which is imported only where it is installed.
        if type(error).__module__.split(".")[0] not in ("zstandard", "_zstd", "compression"):
            raise
        yield Fault(file.name, line + 1, f"the file breaks off or is damaged here ({_reason(error)})", whole_file=True)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _json_record(file: SourceFile, line: int, raw: bytes) -> Record | Fault:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:  # of a number of more than 4,300 digits a plain ValueError
        return Fault(file.name, line, f"not JSON: {_reason(error)}")
    if not isinstance(value, dict):
        return Fault(file.name, line, f"a JSON {type(value).__name__} where an object belongs")
    return line, value


def _tsv_record(file: SourceFile, line: int, raw: bytes) -> Record | Fault:
    try:
        columns = raw.decode("utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        return Fault(file.name, line, f"not UTF-8: {_reason(error)}")
    if len(columns) < 2:
        return Fault(file.name, line, f"{len(columns)} column where at least two, separated by a tab, belong")
    return line, {str(number): column for number, column in enumerate(columns)}


def _text(file: SourceFile, stream: IO[bytes]) -> Record | Fault:
    raw = stream.read()
    try:
        return 1, {"id": file.name, "text": raw.decode("utf-8")}
    except UnicodeDecodeError as error:
        return Fault(file.name, raw[: error.start].count(b"\n") + 1, f"not UTF-8: {_reason(error)}", whole_file=True)


def _parquet(file: SourceFile) -> Iterator[Record | Fault]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with fsspec.open(file.uri, "rb") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=5_000):
                for row, record in enumerate(batch.to_pylist(), start=row + 1):  # noqa: B020 - counts on
                    yield row, record
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        yield Fault(file.name, row + 1, f"not readable as Parquet: {_reason(error)}", whole_file=True)
