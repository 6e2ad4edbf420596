"""Seals: a manifest and a receipt carry the checksum of all else in them, so that no byte of them changes unseen."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
SEAL = "checksum"


def sealed(value: M) -> M:
    """``value`` with its checksum."""
    return value.model_copy(update={SEAL: checksum_of(value)})


def checksum_of(value: BaseModel) -> str:
    """SHA-256 (64 hex characters) of the JSON of all fields but the checksum itself."""
    return hashlib.sha256(value.model_dump_json(exclude={SEAL}).encode()).hexdigest()


def change(value: BaseModel, path: str) -> str | None:
    """A sentence where ``value``, read from ``path``, has another checksum than its content; else None. One that was written
    before there were checksums has none.
    """
    written, found = getattr(value, SEAL), checksum_of(value)
    if not written or written == found:
        return None
    return f"{path} was changed after it was written: its checksum is {written[:12]}, its content {found[:12]}."


def as_bytes(value: BaseModel) -> bytes:
    """The bytes of the file that holds ``value``."""
    return value.model_dump_json(indent=2).encode()


def seal_fault(read: Callable[[], bytes], kind: type[BaseModel], path: str, required: bool) -> str | None:
    """A sentence where the file ``path``, whose bytes ``read`` gives, is not a ``kind`` as it was written; else None."""
    try:
        raw = read()
        value = kind.model_validate_json(raw)
    except FileNotFoundError:
        return f"{path} is missing." if required else None
    except ValidationError as error:
        return f"{path} cannot be read: {error.errors()[0]['msg']}."
    if not getattr(value, SEAL):
        return f"{path} has no checksum, so nobody can tell whether it was changed. It is older than checksums."
    if changed := change(value, path):
        return changed
    expected = as_bytes(value)
    if raw != expected:
        length = min(len(raw), len(expected))
        place = next((n for n in range(length) if raw[n] != expected[n]), length)
        return (
            f"{path} was changed after it was written, at offset {place}: its layout is not the one it is written in."
        )
    return None
