"""What all jobs share: reading the specification, and ending with one sentence instead of a traceback."""

import json
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Spec = TypeVar("Spec", bound=BaseModel)

BAD_INPUT = 3
GATE_NOT_PASSED = 4
NOT_FINITE = 5


class JobError(Exception):
    """A job cannot go on. The message is one sentence for a person; ``code`` becomes the exit code of the process."""

    def __init__(self, sentence: str, code: int = BAD_INPUT) -> None:
        super().__init__(sentence)
        self.code = code


def read_spec(kind: type[Spec], arguments: list[str]) -> Spec:
    """The specification named on the command line. Raises JobError where it is missing or not valid."""
    if len(arguments) != 1:
        raise JobError(f"Give exactly one argument, the JSON file of a {kind.__name__}; got {len(arguments)}.", 2)
    path = Path(arguments[0])
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise JobError(f"The specification {path} cannot be read: {error.strerror}.", 2) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise JobError(f"{path} is not a {kind.__name__}: {place}: {first['msg']}.", 2) from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON under a temporary name and rename it when it is whole."""
    write_whole(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def run(main: Callable[[list[str]], None]) -> None:
    """Run a job's ``main`` with the command line's arguments; a JobError becomes its sentence and exit code."""
    try:
        main(sys.argv[1:])
    except JobError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(error.code)
