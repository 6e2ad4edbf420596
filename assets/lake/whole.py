"""Whether the files of a version on this machine are those that were written."""

from pathlib import Path

from assets.lake.fingerprint import digest_once
from assets.lake.manifest import Manifest


def damage(manifest: Manifest, folder: Path, left_out: tuple[str, ...] = ()) -> str | None:
    """A sentence on the first file of ``manifest`` below ``folder`` that is not what was written, or None.

    Each file is read once per process while its size, time and inode stay the same. Files with a suffix of ``left_out`` need
    not be there.
    """
    for entry in manifest.files:
        if left_out and entry.path.endswith(left_out):
            continue
        path = folder / entry.path
        try:
            about = path.stat()
            found = digest_once(str(path), about.st_size, about.st_mtime_ns, about.st_ino)
        except FileNotFoundError:
            found = "no file"
        if found != entry.sha256:
            return (
                f"{manifest.name}/{entry.path} is not what was written: its manifest names sha256 {entry.sha256[:12]}, "
                f"found {found[:12]}. Remove the folder {folder} and run again; `tokka lake verify` looks at everything."
            )
    return None
