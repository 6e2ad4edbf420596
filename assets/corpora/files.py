"""The files of a source: where they lie, and what identifies them."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

import fsspec

from assets.lake.fingerprint import file_digest
from assets.recipe.load import RecipeError, expand


@dataclass(frozen=True)
class SourceFile:
    """One file: its URI, its name, and an identity that changes when its bytes do.

    The identity is the SHA-256 of a local file; of a remote one the file system's own token (of S3, the ETag).
    """

    uri: str
    name: str
    identity: str


@lru_cache(maxsize=10_000)
def _local_digest(path: str, size: int, modified: int) -> str:
    """SHA-256 of a local file, taken once while its size and time stay the same."""
    from pathlib import Path

    return file_digest(Path(path))


def find_files(patterns: tuple[str, ...], where: str) -> list[SourceFile]:
    """The files that URIs and globs name, in order of their names.

    ``where`` names the place in the recipe for the error. Raises RecipeError when a pattern matches nothing, or when two
    files share a name, since names go into document ids.
    """
    found: dict[str, SourceFile] = {}
    for pattern in patterns:
        try:
            fs, path = fsspec.core.url_to_fs(expand(pattern))
        except (RecipeError, ValueError, ImportError) as error:
            raise RecipeError(f"{where}: {error}") from error
        paths = sorted(fs.glob(path)) if any(c in path for c in "*?[") else [path]
        paths = [p for p in paths if fs.isfile(p)]
        if not paths:
            raise RecipeError(f"{where}: no file matches {pattern!r} (looked for {fs.unstrip_protocol(path)}).")
        for p in paths:
            name = PurePosixPath(p).name
            if name in found and found[name].uri != fs.unstrip_protocol(p):
                raise RecipeError(
                    f"{where}: two files have the name {name!r}: {found[name].uri} and {fs.unstrip_protocol(p)}."
                )
            found[name] = SourceFile(fs.unstrip_protocol(p), name, _identity(fs, p))
    return [found[name] for name in sorted(found)]


def _identity(fs: fsspec.AbstractFileSystem, path: str) -> str:
    info = fs.info(path)
    if "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)):
        return f"sha256:{_local_digest(path, info['size'], int(info['mtime'] * 1e6))}"
    token = info.get("ETag") or fs.ukey(path)
    return "token:" + hashlib.sha256(f"{info['size']}:{token}".encode()).hexdigest()
