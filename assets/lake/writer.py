"""What a stage writes a version with."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.lake.fingerprint import file_digest
from assets.lake.identity import Identity
from assets.lake.manifest import FileEntry
from assets.lake.names import check_relative_path

if TYPE_CHECKING:
    from assets.lake.store import Lake


@dataclass
class VersionWriter:
    """Collects the files of a version that is being made.

    ``stage(path)`` gives a local path to write to; ``add(path)`` hashes the finished file and moves it into the version's
    folder, where no reader sees it before the manifest is there. Files that were staged and not added are added at the end.
    ``timed`` names the files whose bytes differ from run to run (see ``FileEntry``).
    """

    lake: "Lake"
    identity: Identity
    folder: Path
    counts: dict[str, int | float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)

    def stage(self, path: str) -> Path:
        """A local path for the file that shall be ``path`` in the version."""
        check_relative_path(path)
        local = self.folder / path
        local.parent.mkdir(parents=True, exist_ok=True)
        return local

    def add(self, path: str, rows: int | None = None) -> FileEntry:
        """Hash the staged file ``path`` and move it into the version's folder."""
        local = self.stage(path)
        size, digest, timed = local.stat().st_size, file_digest(local), path in self.timed
        entry = FileEntry(path=path, size=size, sha256=digest, rows=rows, timed=timed)
        self.lake.move_in(local, f"{self.lake.folder(self.identity)}/{path}")
        self.files[path] = entry
        return entry

    def stage_folder(self, source: Path, into: str = "") -> None:
        """Stage all files below ``source``, which stays as it is: a writer that is killed leaves it to the next one."""
        for file in sorted(p for p in source.rglob("*") if p.is_file()):
            target = self.stage(f"{into}{file.relative_to(source).as_posix()}")
            try:
                target.hardlink_to(file)
            except OSError:  # the two lie on different disks
                shutil.copyfile(file, target)

    def write_json(self, path: str, value: Any) -> None:
        """Write ``value`` as JSON with sorted keys, two spaces deep."""
        self.stage(path).write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
        self.add(path)

    def add_staged(self) -> None:
        """Add every staged file that was not added yet, in order of the paths."""
        for local in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            self.add(local.relative_to(self.folder).as_posix())
