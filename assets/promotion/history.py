"""The history of a promoted name: who made which version current, when and why. Nothing of it is ever changed.

An entry is the file ``{lake}/.promoted/{name}/{number}.json``; the highest number is what is current. Two people who promote at
once get two numbers, since a file is made only where there is none.
"""

import json
import os
import uuid
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from assets.lake import InputRef, Lake, LakeError
from assets.lake.files import patiently
from assets.lake.names import check_name
from assets.lake.seal import as_bytes, checksum_of, sealed

FOLDER = ".promoted"
ASSET = "promoted_model"


class Entry(BaseModel):
    """One promotion or rollback. ``risks`` are those of the model that were confirmed, by version with their reasons."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    name: str
    action: Literal["promote", "rollback"]
    version: InputRef
    recipe: str
    step: int
    who: str
    why: str
    time: str
    risks: dict[str, str]
    token: str = ""
    checksum: str = ""


def history(lake: Lake, name: str) -> list[Entry]:
    """The entries of a name, the oldest first. Raises LakeError where one was changed after it was written."""
    check_name(name)
    lake.fs.invalidate_cache()
    entries = []
    for path in sorted(patiently(lambda: lake.fs.glob(f"{lake.root}/{FOLDER}/{name}/*.json"))):
        try:
            entry = Entry.model_validate_json(patiently(partial(lake.fs.cat_file, path)))
        except ValidationError as error:
            raise LakeError(
                f"{path} is not an entry of a promoted model's history: {error.errors()[0]['msg']}."
            ) from error
        if entry.checksum != checksum_of(entry) or entry.name != name:
            raise LakeError(f"{path} was changed after it was written: its checksum is not that of its content.")
        entries.append(entry)
    return entries


def names(lake: Lake) -> list[str]:
    """The promoted names."""
    lake.fs.invalidate_cache()
    found = patiently(lambda: lake.fs.glob(f"{lake.root}/{FOLDER}/*/*.json"))
    return sorted({path.rsplit("/", 2)[1] for path in found})


def append(lake: Lake, entry: Entry) -> Entry:
    """Write an entry under the next free number, and return it as written."""
    while True:
        entries = history(lake, entry.name)
        number = entries[-1].number + 1 if entries else 1
        written = sealed(entry.model_copy(update={"number": number, "token": uuid.uuid4().hex}))
        path = f"{lake.root}/{FOLDER}/{entry.name}/{number:06d}.json"
        if _create(lake, path, as_bytes(written), written.token):
            return written


def _create(lake: Lake, path: str, content: bytes, token: str) -> bool:
    """Write a file, whole, where there is none; False where somebody else was first."""
    if lake.is_local:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{token}.tmp")
        try:
            temporary.write_bytes(content)
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True
    try:
        patiently(lambda: lake.fs.pipe_file(path, content, mode="create"))
    except OSError:
        lake.fs.invalidate_cache()
        if not lake.fs.exists(path):
            raise
        # An attempt that was taken for failed may have been done.
        found: bool = json.loads(patiently(lambda: lake.fs.cat_file(path)))["token"] == token
        return found
    return True


def before(entries: list[Entry]) -> Entry | None:
    """The entry to go back to: of the promotion before the one that is current, with rollbacks undone; None without one."""
    stack: list[Entry] = []
    for entry in entries:
        known = [place for place, earlier in enumerate(stack) if earlier.version == entry.version]
        if entry.action == "rollback" and known:
            del stack[known[-1] + 1 :]
        elif not known or known[-1] + 1 < len(stack):
            stack.append(entry)
    return stack[-2] if len(stack) > 1 else None
