"""What decides a version, and the name that follows from it."""

from dataclasses import dataclass
from typing import Any

from assets.lake.fingerprint import digest_of
from assets.lake.manifest import InputRef


@dataclass(frozen=True)
class Identity:
    """What decides a version: its place in the graph, configuration, code and inputs.

    ``version`` is the first 16 hex characters of their digest, so the same inputs, recipe and code always name the same
    folder, before any work is done.
    """

    asset: str
    partition: str
    config: dict[str, Any]
    code: str
    inputs: tuple[InputRef, ...] = ()

    @property
    def version(self) -> str:
        inputs = sorted(f"{i.asset}/{i.partition}@{i.digest}" for i in self.inputs)
        return digest_of(
            {
                "asset": self.asset,
                "partition": self.partition,
                "config": self.config,
                "code": self.code,
                "inputs": inputs,
            }
        )[:16]
