"""Saved training states: written sharded and in the background, checked when they are read, kept by policy.

A state is the folder ``step-0000120`` under any fsspec URI. It holds torch's distributed checkpoint (a file per rank and
``.metadata``), ``meta.pt`` with everything that is no tensor, rank 0's logs up to that step, and, written last,
``state.json`` with the size and the BLAKE2b digest of every file, and one of its own. A state without ``state.json``, or with a
file that does not agree with it, is torn: it is named, passed over and removed. A state can be read by any number of ranks.
"""

import functools
import hashlib
import io
import json
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.staging import BlockingAsyncStager

from assets.lake.files import MULTIPART_BYTES, patiently
from training_jobs.anomalies import Plan
from training_jobs.state_files import HashedFiles, PlainPlanner, Reader, Writer

MANIFEST, META, PLAN = "state.json", "meta.pt", "plan.json"
CHUNK = 8 << 20


@dataclass(frozen=True)
class Found:
    """The newest whole state, or none (step 0 and no path)."""

    step: int = 0
    path: str | None = None


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _cause(error: CheckpointException) -> str:
    return next(_sentence(cause) for cause, _ in error.failures.values())


def _listing(manifest: Mapping[str, Any]) -> str:
    """The digest of all that a ``state.json`` says besides it."""
    said = json.dumps({name: value for name, value in manifest.items() if name != "digest"}, sort_keys=True)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _difference(name: str, found: tuple[int, str], expected: list[Any]) -> str:
    if found[0] != expected[0]:
        return f"{name} has {found[0]:,} bytes instead of {expected[0]:,}"
    return f"the bytes of {name} are not those that were written"


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
        except CheckpointException as error:  # not an Exception to torch; it holds that of each rank that failed
            failed = _cause(error)
        except Exception as error:
            failed = _sentence(error)
        parts: list[Any] = [None] * self.ranks
        dist.all_gather_object(parts, (failed, files.written), group=self.group)
        failed = next((part[0] for part in parts if part[0]), "")
        if self.rank == 0 and not failed:
            try:
                self._complete(step, {name: entry for part in parts for name, entry in part[1].items()}, extra)
                self.say(f"saved the state of step {step} in {time.monotonic() - started:.1f} s, in the background")
            except OSError as error:
                failed = _sentence(error)
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
        said = json.dumps({**manifest, "digest": _listing(manifest)}, indent=1)
        self._put(f"{folder}/{MANIFEST}", said.encode())
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
        self.checkpoints.clear()  # those that no state was saved with are made again
        return found

    def _fault(self, step: int) -> str | None:
        """What is wrong with this rank's share of a state's files, or None."""
        folder = f"{self.root}/{state_name(step)}"
        name = MANIFEST
        try:
            manifest = json.loads(patiently(lambda: self.fs.cat_file(f"{folder}/{MANIFEST}")))
            if manifest["digest"] != _listing(manifest):
                raise ValueError("a damaged list")
            for name, expected in sorted(manifest["files"].items())[self.rank :: self.ranks]:
                found = patiently(functools.partial(self._digest, f"{folder}/{name}"))
                if found != tuple(expected):
                    return _difference(name, found, expected)
        except FileNotFoundError:
            return f"it lacks {MANIFEST}, so writing it was not finished" if name == MANIFEST else f"{name} is missing"
        except OSError as error:
            if not self.local:  # a server that does not answer says nothing of its files
                raise
            return f"{name} cannot be read ({error.strerror})"
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"its {MANIFEST} is damaged"
        return None

    def _digest(self, path: str) -> tuple[int, str]:
        """Size and digest of a file."""
        found, length = hashlib.blake2b(digest_size=16), 0
        with self.fs.open(path, "rb") as stream:
            while chunk := stream.read(CHUNK):
                found.update(chunk)
                length += len(chunk)
        return length, found.hexdigest()

    def load(self, path: str, tensors: dict[str, Any]) -> None:
        """Fill ``tensors`` from the state at ``path``, whatever number of ranks wrote it. Raises OSError."""
        try:
            dcp.load(tensors, storage_reader=Reader(path), planner=PlainPlanner(), process_group=self.group)
        except CheckpointException as error:
            raise OSError(f"the state {path} cannot be read: {_cause(error)}") from error

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
