"""The lake: versions of assets under one fsspec URI.

Layout, for people: ``{lake}/{asset}/{partition}/{version}/`` with the data, ``manifest.json`` and ``receipt.json``.
A version becomes visible in one step, when its manifest is written last; until then no reader sees it, and what a killed
writer left is removed by the next writer of that version.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import fsspec
from pydantic import ValidationError

from assets.lake.files import is_alive, patiently, upload, write_whole
from assets.lake.fingerprint import canonical, digest_of, file_digest
from assets.lake.identity import Identity
from assets.lake.manifest import InputRef, Manifest, manifest_digest
from assets.lake.names import check_name, check_relative_path
from assets.lake.ranges import STREAMED, Pointer, write_pointer
from assets.lake.receipt import GateNotPassedError, Receipt
from assets.lake.seal import as_bytes, change, seal_fault, sealed
from assets.lake.whole import damage
from assets.lake.writer import VersionWriter

MANIFEST = "manifest.json"
RECEIPT = "receipt.json"
WRITING = "writing.json"
OTHER_BYTES = "does not have the bytes that its manifest names. `tokka lake verify` looks at everything."


class LakeError(Exception):
    """The lake holds something that it should not, or lacks something that it should have."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Lake:
    """Versions under ``uri``, any fsspec URI: a folder, or ``s3://bucket/prefix``."""

    uri: str

    @classmethod
    def open(cls, uri: str) -> "Lake":
        """The lake at ``uri``; a plain path is a folder and is made absolute."""
        if "://" not in uri:
            uri = str(Path(uri).expanduser().resolve())
        return cls(uri.rstrip("/"))

    @property
    def fs(self) -> fsspec.AbstractFileSystem:
        fs: fsspec.AbstractFileSystem = fsspec.core.url_to_fs(self.uri)[0]
        return fs

    @property
    def root(self) -> str:
        root: str = fsspec.core.url_to_fs(self.uri)[1]
        return root.rstrip("/")

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri or self.uri.startswith("file://")

    def folder(self, version: Identity | Manifest | InputRef) -> str:
        """Path, within the file system, of a version's folder."""
        for name in (version.asset, version.partition, version.version):
            check_name(name)
        return f"{self.root}/{version.asset}/{version.partition}/{version.version}"

    def path(self, version: Manifest | InputRef, file: str) -> str:
        """Path, within the file system, of a version's file."""
        check_relative_path(file)
        return f"{self.folder(version)}/{file}"

    # Reading

    def find(self, asset: str, partition: str, version: str) -> Manifest | None:
        """The manifest of a version, or None where no such version is visible."""
        for name in (asset, partition, version):
            check_name(name)
        return self._read_manifest(f"{self.root}/{asset}/{partition}/{version}/{MANIFEST}")

    def manifest(self, ref: InputRef) -> Manifest:
        """The manifest that ``ref`` names. Raises LakeError when it is missing or another one."""
        found = self.find(ref.asset, ref.partition, ref.version)
        if found is None:
            raise LakeError(
                f"{ref.name} is not in the lake {self.uri}. Was it removed? Make it again with `tokka run`."
            )
        if found.digest != ref.digest:
            raise LakeError(
                f"{ref.name} in the lake {self.uri} has the digest {found.digest[:12]}, but {ref.digest[:12]} was asked for: "
                "it was made anew since. Materialize what reads it again."
            )
        return found

    def _read_manifest(self, path: str) -> Manifest | None:
        try:
            raw = self._read(path)
        except FileNotFoundError:
            return None
        try:
            manifest = Manifest.model_validate_json(raw)
        except ValidationError as error:
            raise LakeError(
                f"{path} is not a manifest: {error.errors()[0]['msg']}. Remove that version and run again."
            ) from error
        expected = self._digest(manifest)
        if manifest.digest != expected:
            raise LakeError(
                f"{path} was changed after it was written: its digest is {manifest.digest[:12]}, its content {expected[:12]}."
            )
        if changed := change(manifest, path):
            raise LakeError(changed)
        return manifest

    @staticmethod
    def _digest(m: Manifest) -> str:
        return manifest_digest(
            asset=m.asset, partition=m.partition, config=m.config, code=m.code, inputs=m.inputs, files=m.files
        )

    def manifests(self, asset: str | None = None, partition: str | None = None) -> Iterator[Manifest]:
        """All visible versions, in order of their paths."""
        pattern = f"{self.root}/{asset or '*'}/{partition or '*'}/*/{MANIFEST}"
        for path in sorted(patiently(lambda: self.fs.glob(pattern))):
            manifest = self._read_manifest(path)
            if manifest is not None:
                yield manifest

    def open_file(self, version: Manifest | InputRef, file: str) -> IO[bytes]:
        """A version's file, open for reading bytes; of a remote lake it is read at once, and compared with its manifest."""
        path = self.path(version, file)
        return Path(path).open("rb") if self.is_local else io.BytesIO(self._read_whole(version, file))

    def _read_whole(self, version: Manifest | InputRef, file: str) -> bytes:
        content = self._read(self.path(version, file))
        manifest = version if isinstance(version, Manifest) else self.manifest(version)
        expected = next((entry.sha256 for entry in manifest.files if entry.path == file), None)
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise LakeError(f"{manifest.name}/{file} {OTHER_BYTES}")
        return content

    def _read(self, path: str) -> bytes:
        content: bytes = patiently(lambda: self.fs.cat_file(path))
        return content

    def read_json(self, version: Manifest | InputRef, file: str) -> Any:
        """A version's JSON file."""
        with self.open_file(version, file) as stream:
            return json.load(stream)

    def local(self, version: Manifest | InputRef) -> Path:
        """A local folder with the version's files: the folder itself, or a verified copy of a remote one."""
        return self.mirror([version]) / version.asset / version.partition / version.version

    def mirror(self, versions: Sequence[Manifest | InputRef], stream: bool = False) -> Path:
        """A local root below which ``{asset}/{partition}/{version}/`` of the given versions lie.

        For a folder it is the lake itself. Versions of a remote lake are copied, verified and once, to ``TOKKA_CACHE``
        (default ``~/.cache/tokka``). With ``stream`` their files of token ids (.bin) and of rows (.parquet) are not copied:
        a pointer stands for each, through which ``assets.lake.ranges`` reads what is asked for.
        """
        if self.is_local:
            return Path(self.root)
        cache = Path(os.environ.get("TOKKA_CACHE", "~/.cache/tokka")).expanduser()
        root = cache / ("streamed" if stream else "lakes") / digest_of(self.uri)[:16]
        for version in versions:
            manifest = version if isinstance(version, Manifest) else self.manifest(version)
            target = root / manifest.asset / manifest.partition / manifest.version
            if target.is_dir():
                if fault := damage(manifest, target, STREAMED if stream else ()):
                    raise LakeError(fault)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
            for entry in manifest.files:
                file = copy / entry.path
                file.parent.mkdir(parents=True, exist_ok=True)
                if stream and entry.path.endswith(STREAMED):
                    uri = f"{self.uri}/{manifest.name}/{entry.path}"
                    write_pointer(file, Pointer(uri=uri, size=entry.size, sha256=entry.sha256))
                    continue
                remote = self.path(manifest, entry.path)
                patiently(partial(self.fs.get_file, remote, str(file)))
                if file_digest(file) != entry.sha256:
                    raise LakeError(f"{manifest.name}/{entry.path} {OTHER_BYTES}")
            with contextlib.suppress(OSError):  # another process was first: its copy is the same
                copy.rename(target)
        return root

    def verify(self, manifest: Manifest) -> list[str]:
        """Compare every file of a version with its manifest, and that and the receipt with their checksums; return a sentence
        for each fault found.
        """
        faults = []
        for file, kind in ((MANIFEST, Manifest), (RECEIPT, Receipt)):
            read = partial(self._read, self.path(manifest, file))
            # A receipt is not there before the gate has run.
            fault = seal_fault(read, kind, f"{manifest.name}/{file}", required=file == MANIFEST)
            faults += [fault] if fault else []
        for entry in manifest.files:
            path = self.path(manifest, entry.path)
            try:
                with self.fs.open(path, "rb") as stream:
                    found = hashlib.file_digest(stream, "sha256").hexdigest()
            except FileNotFoundError:
                faults.append(f"{manifest.name}/{entry.path} is missing.")
                continue
            if found != entry.sha256:
                faults.append(
                    f"{manifest.name}/{entry.path} has sha256 {found[:12]}, its manifest says {entry.sha256[:12]}."
                )
        return faults

    def require_whole(self, manifest: Manifest) -> None:
        """Compare the files of a version of a local lake with its manifest before they are used, each once per process while its
        size and time stay the same. Raises LakeError. Files of a remote lake are compared when they are read.
        """
        if self.is_local and (fault := damage(manifest, Path(self.folder(manifest)))):
            raise LakeError(fault)

    # Writing

    @contextlib.contextmanager
    def write(self, identity: Identity, accepted_risks: dict[str, str] | None = None) -> Iterator[VersionWriter]:
        """Make a version: yields its writer, and makes the version visible when the block ends without an error."""
        folder = self.folder(identity)
        self._claim(folder, identity)
        started, clock = _now(), time.monotonic()
        staging = self._staging_folder()
        try:
            writer = VersionWriter(self, identity, staging)
            yield writer
            writer.add_staged()
            config = canonical(identity.config)
            files = [writer.files[path] for path in sorted(writer.files)]
            inputs = list(identity.inputs)
            manifest = Manifest(
                asset=identity.asset,
                partition=identity.partition,
                version=identity.version,
                digest="",
                config=config,
                code=identity.code,
                inputs=inputs,
                files=files,
                counts=writer.counts,
                started=started,
                seconds=round(time.monotonic() - clock, 3),
                host=socket.gethostname(),
                cost=writer.cost,
                accepted_risks=accepted_risks or {},
            )
            whole = sealed(manifest.model_copy(update={"digest": self._digest(manifest)}))
            self.write_whole(f"{folder}/{MANIFEST}", as_bytes(whole))
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm(folder, recursive=True)
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        patiently(lambda: self.fs.rm_file(f"{folder}/{WRITING}"))

    def set_aside(self, manifest: Manifest) -> str:
        """Take a version out of the readers' sight, to be made anew; return where it lies from now on."""
        folder = self.folder(manifest)
        aside = f"{self.root}/.aside/{manifest.asset}/{manifest.partition}/{manifest.version}-{manifest.digest[:12]}"
        if self.fs.exists(aside):
            self.fs.rm(aside, recursive=True)
        self.fs.makedirs(aside.rpartition("/")[0], exist_ok=True)
        if self.is_local:
            Path(folder).rename(aside)
            return aside
        self.fs.copy(f"{folder}/", f"{aside}/", recursive=True)
        # Without its manifest a version is not visible, whatever is left of it.
        patiently(lambda: self.fs.rm_file(f"{folder}/{MANIFEST}"))
        patiently(lambda: self.fs.rm(folder, recursive=True))
        return aside

    def write_receipt(self, receipt: Receipt) -> Receipt:
        """Write a gate's receipt, with its checksum, next to the manifest of the version it speaks of; return it as written."""
        ref = InputRef(
            asset=receipt.asset, partition=receipt.partition, version=receipt.version, digest=receipt.manifest_digest
        )
        written = sealed(receipt)
        self.write_whole(self.path(ref, RECEIPT), as_bytes(written))
        return written

    def receipt(self, version: Manifest | InputRef) -> Receipt | None:
        """The receipt of a version, or None where its gate has not run."""
        path = self.path(version, RECEIPT)
        try:
            receipt = Receipt.model_validate_json(self._read(path))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise LakeError(f"{path} is not a receipt: {error.errors()[0]['msg']}.") from error
        if changed := change(receipt, path):
            raise LakeError(changed)
        return receipt

    def require_receipt(self, ref: InputRef) -> Receipt:
        """The passing receipt of exactly this digest. Raises GateNotPassedError that says what is wrong and what to do."""
        receipt = self.receipt(ref)
        if receipt is None:
            problem = "its gate has not run"
        elif receipt.manifest_digest != ref.digest:
            problem = f"its receipt speaks of the digest {receipt.manifest_digest[:12]}, not of {ref.digest[:12]}"
        elif not receipt.passed:
            failed = ", ".join(f"{e.column} = {e.observed} (allowed: {e.allowed})" for e in receipt.failed[:3])
            problem = f"its gate failed: {receipt.error or failed}"
        else:
            return receipt
        raise GateNotPassedError(
            f"{ref.name} may not be used: {problem}. Run its gate, mend what it found, or take the risk knowingly with "
            "--accept-risk REASON, which stays in the lineage."
        )

    # Machinery

    def move_in(self, local: Path, target: str) -> None:
        """Move a finished local file to ``target`` in the lake's file system."""
        if self.is_local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            local.replace(target)
        else:
            upload(self.fs, local, target)

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a small file so that a reader sees all of it or nothing: S3 does so by itself, a folder by a rename."""
        if self.is_local:
            write_whole(Path(path), content)
        else:
            patiently(lambda: self.fs.pipe_file(path, content))

    def _staging_folder(self) -> Path:
        """A new local folder for files that are being written, on the lake's own disk where it has one."""
        if not self.is_local:
            return Path(tempfile.mkdtemp(prefix="tokka-"))
        base = Path(self.root) / ".staging"
        base.mkdir(parents=True, exist_ok=True)
        for old in base.iterdir():
            host, pid, _ = old.name.rsplit("-", 2)
            if host == socket.gethostname() and not is_alive(int(pid)):
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{socket.gethostname()}-{os.getpid()}-", dir=base))

    def _claim(self, folder: str, identity: Identity) -> None:
        """Claim a version's folder for this process, and clear what a killed writer left in it."""
        if patiently(lambda: self.fs.exists(f"{folder}/{MANIFEST}")):
            raise LakeError(
                f"{identity.asset}/{identity.partition}/{identity.version} is already in the lake {self.uri}."
            )
        marker = {"host": socket.gethostname(), "pid": os.getpid(), "since": _now(), "token": uuid.uuid4().hex}
        reads = {
            "inputs": [ref.name for ref in identity.inputs]
        }  # which nobody removes meanwhile (assets.lake.collect)
        for _ in range(2):
            self.fs.makedirs(folder, exist_ok=True)
            try:
                patiently(
                    lambda: self.fs.pipe_file(f"{folder}/{WRITING}", json.dumps(marker | reads).encode(), mode="create")
                )
                return
            except OSError:
                # A folder says FileExistsError; S3 says that a precondition did not hold.
                self.fs.invalidate_cache()
                if not self.fs.exists(f"{folder}/{WRITING}"):
                    raise
                owner = json.loads(self._read(f"{folder}/{WRITING}") or b"{}")
            if owner.get("token") == marker["token"]:  # an attempt was taken for failed and had been done
                return
            if owner.get("host") != marker["host"] or is_alive(owner.get("pid", 0)):
                raise LakeError(
                    f"{identity.asset}/{identity.partition}/{identity.version} is being written by process "
                    f"{owner.get('pid')} on {owner.get('host')} since {owner.get('since')}. Wait for it, or, if it is gone, "
                    f"remove {folder}/{WRITING}."
                )
            self.fs.rm(folder, recursive=True)
        raise LakeError(f"{folder} could not be claimed: another writer took it twice.")
