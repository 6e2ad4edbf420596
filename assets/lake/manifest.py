"""The manifest: what a version holds, from what and by what it was made."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from assets.lake.fingerprint import digest_of

MANIFEST_FORMAT = 1


class FileEntry(BaseModel):
    """One file of a version. ``path`` is relative to the version's folder, ``size`` in bytes, ``rows`` where it has rows.

    ``timed`` files hold clock times or the name of a machine: their bytes differ from run to run, and the digest of the
    manifest names them without their content.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size: int
    sha256: str
    rows: int | None = None
    timed: bool = False


class InputRef(BaseModel):
    """A version that was read, named exactly: ``digest`` is its manifest's digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    partition: str
    version: str
    digest: str

    @property
    def name(self) -> str:
        """``asset/partition/version``, as people read it."""
        return f"{self.asset}/{self.partition}/{self.version}"


class Manifest(BaseModel):
    """Stands beside the data as ``manifest.json``; a version exists exactly when its manifest does.

    ``digest`` covers what was made and from what (asset, partition, config, code, inputs, files), not when, where or at
    what cost; it is the Dagster data version. ``checksum`` covers everything else (``assets.lake.seal``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = MANIFEST_FORMAT
    asset: str
    partition: str
    version: str
    digest: str
    config: dict[str, Any]
    code: str
    inputs: list[InputRef]
    files: list[FileEntry]
    counts: dict[str, int | float]
    started: str
    seconds: float
    host: str
    cost: dict[str, float]
    accepted_risks: dict[str, str]
    checksum: str = ""

    @property
    def name(self) -> str:
        """``asset/partition/version``, as people read it."""
        return f"{self.asset}/{self.partition}/{self.version}"

    @property
    def ref(self) -> InputRef:
        """The reference by which a reader names this version."""
        return InputRef(asset=self.asset, partition=self.partition, version=self.version, digest=self.digest)

    def file(self, path: str) -> FileEntry:
        """The entry of ``path``. Raises KeyError with the files that there are."""
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(f"{self.name} has no file {path!r}; it has {[entry.path for entry in self.files]}.")

    def under(self, folder: str) -> list[FileEntry]:
        """Entries below ``folder``, in order of their paths."""
        return sorted((e for e in self.files if e.path.startswith(f"{folder}/")), key=lambda e: e.path)


def manifest_digest(
    *, asset: str, partition: str, config: dict[str, Any], code: str, inputs: list[InputRef], files: list[FileEntry]
) -> str:
    """The digest of what was made and from what; see ``Manifest``."""
    return digest_of(
        {
            "asset": asset,
            "partition": partition,
            "config": config,
            "code": code,
            "inputs": sorted(f"{i.asset}/{i.partition}@{i.digest}" for i in inputs),
            "files": {f.path: None if f.timed else [f.size, f.sha256] for f in files},
        }
    )
