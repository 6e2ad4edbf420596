"""Results of single tasks, kept in the lake by everything that decides them, so that no task is scored twice.

A kept result is the folder ``{lake}/.results/{key}/`` with ``items.jsonl`` and, written last, ``result.json``, which names the
digest of the former and its own. One that does not agree with its digests is named and scored again. An evaluation that was
killed, or one task of which broke, goes on with what is missing; a recipe with one more task has that one scored.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from assets.lake.files import patiently
from assets.lake.fingerprint import code_digest, digest_of
from assets.lake.store import Lake
from assets.recipe.jobs import KEPT_RESULTS
from assets.recipe.pieces import pieces_digest
from eval_jobs.settings import Settings, TaskInput

LIBRARIES = ("lm_eval", "transformers", "tokenizers", "torch", "sacrebleu")


@cache
def libraries() -> dict[str, str]:
    """The versions that stand with every score."""
    return {library: version(library) for library in LIBRARIES}


@dataclass(frozen=True)
class Kept:
    """The kept results of one checkpoint. ``checkpoint`` and ``mixture`` are digests of versions of the lake."""

    lake: Lake
    checkpoint: str
    mixture: str
    say: Callable[[str], None]

    def key(self, task: TaskInput, settings: Settings) -> str:
        """SHA-256 of what decides a task's result and the records of its items."""
        return digest_of(
            {
                "checkpoint": self.checkpoint,
                "mixture": self.mixture,
                "config": task.config.model_dump(mode="json", exclude={"files"}),
                "data": task.data,
                "contaminated": sorted(task.contaminated),
                "seed": settings.seed,
                "max_length": settings.max_length,
                "template": settings.template,
                "code": _code(),
                "libraries": libraries(),
                "pieces": pieces_digest() if task.config.kind == "few_shot_translation" else None,
            }
        )

    def find(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """A kept result and the lines of its items; None where there is none that is whole."""
        folder = f"{self.lake.root}/{KEPT_RESULTS}/{key}"
        try:
            written = self._read(f"{folder}/result.json")
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = json.loads(written)
            items = self._read(f"{folder}/items.jsonl")
            if found["key"] == key and found["checksum"] == _checksum(found) and found["items"] == _digest(items):
                result: dict[str, Any] = found["result"]
                return result, items
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass
        self.say(f"The kept result {folder} was changed after it was written, and is made again.")
        return None

    def keep(self, key: str, result: dict[str, Any], items: bytes) -> None:
        """Keep a result. Where the lake cannot be written to, that is said, and nothing is kept."""
        folder = f"{self.lake.root}/{KEPT_RESULTS}/{key}"
        value = {"key": key, "result": result, "items": _digest(items)}
        text = json.dumps(value | {"checksum": _checksum(value)}, indent=2, sort_keys=True, ensure_ascii=False)
        try:
            self.lake.write_whole(f"{folder}/items.jsonl", items)
            self.lake.write_whole(f"{folder}/result.json", text.encode() + b"\n")
        except OSError as error:
            self.say(f"The result of a task cannot be kept in {folder}: {error}. The next run scores it again.")

    def _read(self, path: str) -> bytes:
        content: bytes = patiently(lambda: self.lake.fs.cat_file(path))
        return content


@cache
def _code() -> str:
    return code_digest(["eval_jobs"])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum(value: dict[str, Any]) -> str:
    return digest_of({name: part for name, part in value.items() if name != "checksum"})
