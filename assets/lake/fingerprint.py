"""Stable identities: the same inputs, configuration and code give the same digest on every machine.

A digest is the SHA-256 of canonical JSON (sorted keys, no spaces, UTF-8). What has no stable identity (an object, a set,
NaN, a path of this machine) is refused rather than turned into something that differs from run to run.
"""

import ast
import hashlib
import importlib.util
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class UnstableIdentityError(TypeError):
    """A value took part in a fingerprint that has no stable identity."""


def canonical(value: Any, where: str = "value") -> Any:
    """Return ``value`` as plain JSON types, or raise UnstableIdentityError that names the place.

    Allowed: None, bool, int, str, finite float, lists and tuples, mappings with string keys, pydantic models.
    """
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(mode="json"), where)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstableIdentityError(f"{where} is {value}, which has no canonical JSON form; use a finite number.")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise UnstableIdentityError(
                    f"{where} has the key {key!r} of type {type(key).__name__}; keys must be str."
                )
        return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise UnstableIdentityError(
        f"{where} is a {type(value).__name__}, which has no stable identity. Pass what decides the result instead: "
        "a name, a number, a digest, or a list of those."
    )


def canonical_json(value: Any) -> str:
    """Canonical JSON text of ``value``; see ``canonical`` for what is allowed."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 (64 hex characters) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def digest_once(path: str, size: int, modified: int, inode: int) -> str:
    """SHA-256 of a local file, taken once per process while its size, time and inode stay the same."""
    return file_digest(Path(path))


def file_digest(path: Path) -> str:
    """SHA-256 (64 hex characters) of a local file's bytes, read in a stream."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _source_files(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise UnstableIdentityError(f"The code of {module!r} cannot be found, so its digest cannot be taken.")
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]


@lru_cache(maxsize=1024)
def _source_digest(path: Path, changed: int) -> str:
    """SHA-256 of a file's code as it was when it was last changed (``st_mtime_ns``); several stages have modules in common."""
    return hashlib.sha256(_normalised_source(path).encode()).hexdigest()


def _with_body(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and every statement in it. Functions and classes are statements: expressions need no visit."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                waiting += inner


def _normalised_source(path: Path) -> str:
    """The file's code without comments, layout and docstrings: none of them changes what the code does."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in _with_body(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def code_digest(modules: Iterable[str], libraries: Iterable[str] = ()) -> str:
    """Digest of the code that decides a result: source of ``modules`` and versions of ``libraries``.

    ``modules`` are dotted names, read but not imported; a package stands for all files below it. ``libraries`` are names
    of distributions, see ``_version``. Comments, layout and docstrings do not count. Raises UnstableIdentityError when a module
    or distribution is not there.
    """
    parts: dict[str, str] = {}
    for module in modules:
        for path in _source_files(module):
            name = (
                f"{module}/{path.name}"
                if path.parent.name == module.split(".")[-1]
                else f"{module}/{path.parent.name}/{path.name}"
            )
            parts[name] = _source_digest(path, path.stat().st_mtime_ns)
    for library in libraries:
        parts[f"library:{library}"] = _version(library)
    return digest_of(parts)


def _version(library: str) -> str:
    """The version of an installed distribution; else, where ``TOKKA_LOCK`` names a lock file, the one that it pins.

    The orchestrator's image has no torch. Jobs run in images of the same lock, so the version is known all the same.
    """
    import os
    from importlib.metadata import PackageNotFoundError, version

    try:
        # A local suffix such as +cpu names the build, not the code.
        return version(library).split("+")[0]
    except PackageNotFoundError:
        lock = os.environ.get("TOKKA_LOCK")
        for line in Path(lock).read_text("utf-8").splitlines() if lock else ():
            name, _, pinned = line.partition("==")
            if pinned and name.lower().replace("_", "-") == library.lower().replace("_", "-"):
                return pinned.split("+")[0]
        where = f" and is not in {lock} (TOKKA_LOCK)" if lock else ""
        raise UnstableIdentityError(
            f"The library {library!r} is not installed{where}, so its version is unknown."
        ) from None
