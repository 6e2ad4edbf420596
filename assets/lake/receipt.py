"""Receipts: what a gate found for exactly one version."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Expectation(BaseModel):
    """One expectation's outcome. ``severity`` is critical (blocks), warning or info."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expectation: str
    column: str
    allowed: str
    observed: str
    passed: bool
    severity: str
    meaning: str


class Receipt(BaseModel):
    """Stands beside the manifest as ``receipt.json``.

    ``manifest_digest`` names the version it speaks of; ``suite_digest`` the suite and bounds that judged it; ``profile``
    the rows that were judged; ``numbers`` the few values that are worth plotting; ``checksum`` covers all of it
    (``assets.lake.seal``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    partition: str
    version: str
    manifest_digest: str
    suite_digest: str
    passed: bool
    expectations: list[Expectation]
    profile: list[dict[str, Any]]
    numbers: dict[str, float]
    time: str
    error: str | None = None
    checksum: str = ""

    @property
    def failed(self) -> list[Expectation]:
        """The expectations that failed, critical ones first."""
        order = {"critical": 0, "warning": 1, "info": 2}
        return sorted((e for e in self.expectations if not e.passed), key=lambda e: order.get(e.severity, 3))


class GateNotPassedError(Exception):
    """An input has no passing receipt for exactly its digest."""
