"""Which names may become part of a path. Text from data never does."""

import re

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
ALLOWED = "lower-case letters, digits, '_', '-' and '.', starting with a letter or digit, at most 100 characters"


def check_name(name: str) -> str:
    """Return ``name`` if it may be an asset, partition or version; raise ValueError that says what is allowed."""
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"The name {name!r} is not allowed; allowed are {ALLOWED}.")
    return name


def check_relative_path(path: str) -> str:
    """Return ``path`` if it stays below the folder it is relative to; raise ValueError otherwise."""
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f"The path {path!r} is not allowed; allowed are relative paths without '.', '..' or empty parts."
        )
    return path
