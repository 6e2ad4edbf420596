"""The files of a saved state: written with their digests, and read without running what stands in them."""

import hashlib
import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from enum import EnumMeta
from pathlib import PurePosixPath
from typing import Any

import torch
from torch.distributed.checkpoint import DefaultLoadPlanner
from torch.distributed.checkpoint._fsspec_filesystem import FileSystem, FsspecReader, FsspecWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta


class HashedStream(io.RawIOBase):
    """A stream that is written from front to back, and the digest of what was written."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.size = stream, 0
        self.digest = hashlib.blake2b(digest_size=16)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += memoryview(data).nbytes
        self.stream.write(data)
        return memoryview(data).nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self.stream.flush()

    def fileno(self) -> int:
        number: int = self.stream.fileno()
        return number


class HashedFiles(FileSystem):
    """torch's fsspec files, with ``written``: size and digest by name of what this process wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, tuple[int, str]] = {}

    @contextmanager
    def create_stream(self, path: Any, mode: str) -> Iterator[Any]:
        with super().create_stream(path, mode) as stream:
            if "w" not in mode:
                yield stream
                return
            hashed = HashedStream(stream)
            yield hashed
        self.written[PurePosixPath(path).name] = (hashed.size, hashed.digest.hexdigest())

    def rename(self, path: Any, new_path: Any) -> None:
        super().rename(path, new_path)
        self.written[PurePosixPath(new_path).name] = self.written.pop(PurePosixPath(path).name)


class Writer(FsspecWriter):
    """torch's writer over HashedFiles. Files on a local disk are synced to it before they count as written."""

    def __init__(self, uri: str, local: bool) -> None:
        super().__init__(uri, sync_files=local)
        self.files = HashedFiles()
        self.fs = self.files  # type: ignore[assignment]
        self.path = self.files.init_path(uri)


_PLAIN = {
    *(("torch", name) for name in ("Size", "float32", "float64", "bfloat16", "float16", "int64", "int32", "bool")),
    ("torch.distributed.checkpoint.metadata", "Metadata"),
    ("torch.distributed.checkpoint.metadata", "StorageMeta"),
    ("torch.distributed.checkpoint.metadata", "MetadataIndex"),
    ("torch.distributed.checkpoint.metadata", "TensorProperties"),
    ("torch.distributed.checkpoint.metadata", "TensorStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "BytesStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "ChunkStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.serialization", "_get_layout"),
}


def _member(kind: Any, name: str) -> Any:
    if not isinstance(kind, EnumMeta):
        raise pickle.UnpicklingError(f"a state's .metadata asks for {name!r} of {kind!r}, which is no enumeration")
    return kind[name]


class PlainUnpickler(pickle.Unpickler):
    """Reads torch's ``.metadata``, which is a pickle, and refuses everything that does not belong there."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):  # how Python before 3.11.4 writes a member of an enumeration
            return _member
        raise pickle.UnpicklingError(f"a state's .metadata names {module}.{name}, which does not belong there")


class Reader(FsspecReader):
    """torch's reader, with a ``.metadata`` that is read without running what stands in it."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        with self.fs.create_stream(self.fs.concat_path(self.path, ".metadata"), "rb") as stream:
            metadata: Metadata = PlainUnpickler(stream).load()
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class PlainPlanner(DefaultLoadPlanner):
    """torch's planner, which reads what is no tensor with ``weights_only``."""

    def load_bytes(self, read_item: Any, value: io.BytesIO) -> None:
        plain = io.BytesIO()
        torch.save(torch.load(value, weights_only=True), plain)
        plain.seek(0)
        super().load_bytes(read_item, plain)
