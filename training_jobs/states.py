"""Saved training states: written sharded and in the background, checked when they are read, kept by policy.

A state is the folder ``step-0000120`` under any fsspec URI. It holds torch's distributed checkpoint (a file per rank and
``.metadata``), ``meta.pt`` with everything that is no tensor, rank 0's logs up to that step, and, written last,
``state.json`` with the size and the BLAKE2b digest of every file. A state without ``state.json``, or with a file that does not
agree with it, is torn: it is named, passed over and removed. A state can be read by any number of ranks.
"""

import hashlib
import io
import json
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import EnumMeta
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import DefaultLoadPlanner
from torch.distributed.checkpoint._fsspec_filesystem import FileSystem, FsspecReader, FsspecWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.staging import BlockingAsyncStager

from assets.lake.files import MULTIPART_BYTES, patiently
from training_jobs.anomalies import Plan

MANIFEST, META, PLAN = "state.json", "meta.pt", "plan.json"
CHUNK = 8 << 20


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


@dataclass(frozen=True)
class Found:
    """The newest whole state, or none (step 0 and no path)."""

    step: int = 0
    path: str | None = None


def state_name(step: int) -> str:
    """The folder of a step's state."""
    return f"step-{step:07d}"


class States:
    """The states of one run under ``uri``. All ranks make one and call its methods together.

    It has a process group of its own, so that what is written in the background never meets the training's messages.
    Where ``is_remote``, the next start may find nothing but these states: exported checkpoints are kept with them.
    """

    def __init__(self, uri: str, keep: int, say: Callable[[str], None], is_remote: bool = False) -> None:
        self.fs, self.root = fsspec.core.url_to_fs(uri)
        self.uri, self.keep, self.say = uri.rstrip("/"), keep, say
        self.local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))
        self.group = dist.new_group(backend="gloo")
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.background = ThreadPoolExecutor(1, "states")
        self.pending: Future[bool] | None = None
        self.last: int | None = None
        self.is_remote = is_remote
        self.checkpoints: list[Path] = []
        # Pinned memory is kept from one state to the next; on CPU there is none.
        self.stager = BlockingAsyncStager(cache_staged_state_dict=torch.cuda.is_available())

    def save(self, step: int, tensors: dict[str, Any], meta: Mapping[str, Any], logs: Mapping[str, bytes]) -> None:
        """Begin to write the state of ``step``: this waits for the copy in memory, and for the save before it, only."""
        if step == self.last:
            return
        self.wait()
        self.last = step
        content = io.BytesIO()
        torch.save(dict(meta), content)
        writer = Writer(f"{self.uri}/{state_name(step)}", self.local)
        started = time.monotonic()
        written = dcp.async_save(tensors, storage_writer=writer, process_group=self.group, async_stager=self.stager)
        extra = {META: content.getvalue(), **logs}
        self.pending = self.background.submit(self._finish, step, written, writer.files, extra, started)

    def _finish(self, step: int, written: Any, files: HashedFiles, extra: dict[str, bytes], started: float) -> bool:
        """In the background: wait for the shards of all ranks, then write the manifest. Returns whether all is well."""
        failed = ""
        try:
            written.result()
        except Exception as error:
            failed = f"{type(error).__name__}: {error}".splitlines()[0]
        parts: list[Any] = [None] * self.ranks
        dist.all_gather_object(parts, (failed, files.written), group=self.group)
        failed = next((part[0] for part in parts if part[0]), "")
        if self.rank == 0 and not failed:
            try:
                self._complete(step, {name: entry for part in parts for name, entry in part[1].items()}, extra)
                self.say(f"saved the state of step {step} in {time.monotonic() - started:.1f} s, in the background")
            except OSError as error:
                failed = f"{type(error).__name__}: {error}"
        outcome = [failed]
        dist.broadcast_object_list(outcome, 0, group=self.group)
        if self.rank == 0 and outcome[0]:
            self.say(f"the state of step {step} could not be saved in {self.uri}: {outcome[0]}")
        return not outcome[0]

    def _complete(self, step: int, written: dict[str, tuple[int, str]], extra: dict[str, bytes]) -> None:
        folder = f"{self.root}/{state_name(step)}"
        for checkpoint in self.checkpoints:
            for file in sorted(checkpoint.iterdir()):
                self._upload(file, f"{self.root}/checkpoints/{checkpoint.name}/{file.name}")
        self.checkpoints.clear()
        for name, content in extra.items():
            self._put(f"{folder}/{name}", content)
            written[name] = (len(content), hashlib.blake2b(content, digest_size=16).hexdigest())
        manifest = {"step": step, "ranks": self.ranks, "files": {name: list(written[name]) for name in sorted(written)}}
        self._put(f"{folder}/{MANIFEST}", json.dumps(manifest, indent=1).encode())
        steps = self._steps()
        whole = [number for number in steps if self.fs.exists(f"{self.root}/{state_name(number)}/{MANIFEST}")]
        # What is older goes, whole or not: a removal may have been interrupted.
        for old in (number for number in steps if number < whole[-self.keep :][0]):
            self._remove(old)

    def _put(self, path: str, content: bytes) -> None:
        """Write a file so that its name appears when it is whole: by rename in a folder, by one PUT in S3."""
        if self.local:
            self.fs.pipe_file(f"{path}.tmp", content)
            self.fs.mv(f"{path}.tmp", path)
        else:
            patiently(lambda: self.fs.pipe_file(path, content))

    def _upload(self, file: Path, target: str) -> None:
        self.fs.makedirs(PurePosixPath(target).parent.as_posix(), exist_ok=True)
        patiently(lambda: self.fs.put_file(str(file), target, chunksize=MULTIPART_BYTES))

    def keep_checkpoint(self, folder: Path) -> None:
        """Keep an exported checkpoint with the next state, which is whole only once the checkpoint is there."""
        if self.is_remote:
            self.checkpoints.append(folder)

    def fetch_checkpoints(self, target: Path) -> None:
        """Bring the checkpoints that are kept here into ``target``, where they are missing."""
        folder = f"{self.root}/checkpoints"
        if not self.is_remote or not self.fs.exists(folder):
            return
        for path in self.fs.ls(folder, detail=False):
            name = PurePosixPath(path.rstrip("/")).name
            if not (target / name).exists():
                partial = target / f".{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                target.mkdir(parents=True, exist_ok=True)
                self.fs.get(path, str(partial), recursive=True)
                partial.replace(target / name)

    def read_plan(self) -> Plan:
        """The rewinds of this run so far; all ranks read the same."""
        path = f"{self.root}/{PLAN}"
        found = [self.fs.cat_file(path) if self.rank == 0 and self.fs.exists(path) else None]
        dist.broadcast_object_list(found, 0, group=self.group)
        return Plan() if found[0] is None else Plan.read(found[0])

    def write_plan(self, plan: Plan) -> None:
        """Keep the rewinds of this run, before it goes back."""
        if self.rank == 0:
            self.fs.makedirs(self.root, exist_ok=True)
            self._put(f"{self.root}/{PLAN}", plan.as_json())
        dist.barrier(group=self.group)

    def wait(self) -> bool:
        """Wait for the state that is being written, on all ranks; False where the last one failed."""
        return self.pending.result() if self.pending is not None else True

    def close(self) -> None:
        """Wait for the state that is being written, and end the background."""
        self.wait()
        self.background.shutdown()

    def _steps(self) -> list[int]:
        """The steps with a folder, whole or not, in ascending order."""
        self.fs.invalidate_cache()
        try:
            names = [PurePosixPath(path).name for path in self.fs.ls(self.root, detail=False)]
        except FileNotFoundError:
            return []
        return sorted(int(name[5:]) for name in names if name.startswith("step-") and name[5:].isdigit())

    def _remove(self, step: int) -> None:
        """Remove a state, its manifest first: what is left of an interrupted removal is torn and says so."""
        folder = f"{self.root}/{state_name(step)}"
        for path in (f"{folder}/{MANIFEST}", folder):
            if self.fs.exists(path):
                self.fs.rm(path, recursive=True)

    def find(self) -> Found:
        """The newest whole state; every rank checks its share of the files.

        Torn states are named and removed, so that what is saved next meets an empty folder.
        """
        self.wait()
        listed = [self._steps() if self.rank == 0 else []]
        dist.broadcast_object_list(listed, 0, group=self.group)
        found, torn = Found(), []
        for step in reversed(listed[0]):
            faults: list[Any] = [None] * self.ranks
            dist.all_gather_object(faults, self._fault(step), group=self.group)
            fault = next((fault for fault in faults if fault), None)
            if fault is None:
                found = Found(step, f"{self.uri}/{state_name(step)}")
                break
            torn.append(step)
            self.say(f"the saved state of step {step} is torn and is passed over: {fault}")
        if self.rank == 0:
            for step in torn:
                self._remove(step)
        dist.barrier(group=self.group)
        self.last = found.step or None
        return found

    def _fault(self, step: int) -> str | None:
        """What is wrong with this rank's share of a state's files, or None."""
        folder = f"{self.root}/{state_name(step)}"
        try:
            manifest = json.loads(self.fs.cat_file(f"{folder}/{MANIFEST}"))
            files = sorted(manifest["files"].items())
        except FileNotFoundError:
            return f"it lacks {MANIFEST}, so writing it was not finished"
        except (ValueError, KeyError, AttributeError):
            return f"its {MANIFEST} is damaged"
        for name, (size, digest) in files[self.rank :: self.ranks]:
            try:
                found = hashlib.blake2b(digest_size=16)
                length = 0
                with self.fs.open(f"{folder}/{name}", "rb") as stream:
                    while chunk := stream.read(CHUNK):
                        found.update(chunk)
                        length += len(chunk)
            except FileNotFoundError:
                return f"{name} is missing"
            if length != size:
                return f"{name} has {length:,} bytes instead of {size:,}"
            if found.hexdigest() != digest:
                return f"the bytes of {name} are not those that were written"
        return None

    def load(self, path: str, tensors: dict[str, Any]) -> None:
        """Fill ``tensors`` from the state at ``path``, whatever number of ranks wrote it."""
        dcp.load(tensors, storage_reader=Reader(path), planner=PlainPlanner(), process_group=self.group)

    def has(self, path: str, name: str) -> bool:
        """Whether the state at ``path`` holds a file of that name."""
        found: bool = self.fs.exists(f"{fsspec.core.url_to_fs(path)[1]}/{name}")
        return found

    def read(self, path: str, name: str) -> bytes:
        """A small file of the state at ``path``."""
        content: bytes = patiently(lambda: self.fs.cat_file(f"{fsspec.core.url_to_fs(path)[1]}/{name}"))
        return content

    def meta(self, path: str) -> dict[str, Any]:
        """Everything of the state at ``path`` that is no tensor."""
        found: dict[str, Any] = torch.load(io.BytesIO(self.read(path, META)), weights_only=True)
        return found
