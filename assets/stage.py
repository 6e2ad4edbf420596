"""The one contract of the graph: what a stage is.

A stage names its partitions, what it reads, what decides its result, the function that makes a version, the gate that judges
it, and what people see of it. From this alone follow the Dagster asset, its partition mapping, its blocking check, its
version in the lake, and the plan of ``tokka run`` (``orchestration/``).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.gates.gate import Gate
from assets.lake import Identity, InputRef, Lake, Manifest, VersionWriter, code_digest
from assets.recipe.catalog import Catalog
from assets.recipe.cost import CostAssumptions
from assets.recipe.jobs import JobCost, JobRequest

Input = tuple[str, str]
"""An upstream (asset, partition key)."""


@dataclass(frozen=True)
class Work:
    """What the function of a stage is given: where to read, where to write, how to tell how far it is.

    ``scratch`` is a local folder of this version that outlives a killed process, for work that is resumed; it goes when the
    version is whole.
    """

    key: str
    catalog: Catalog
    lake: Lake
    inputs: Mapping[str, Mapping[str, Manifest]]
    out: VersionWriter
    scratch: Path
    log: logging.Logger
    run_job: Callable[[JobRequest], JobCost]
    accepted_risks: Mapping[str, str] = field(default_factory=dict)
    assumptions: CostAssumptions = field(default_factory=CostAssumptions)

    def input(self, asset: str) -> Manifest:
        """The one version of ``asset`` that is read."""
        (manifest,) = self.inputs[asset].values()
        return manifest


@dataclass(frozen=True)
class Table:
    """Rows to show in the UI; all rows have the same keys."""

    rows: Sequence[Mapping[str, str | int | float | bool]]


@dataclass(frozen=True)
class Plot:
    """A picture to show in the UI, as PNG bytes."""

    png: bytes
    title: str


Shown = int | float | str | Table | Plot


@dataclass(frozen=True)
class Stage:
    """A stage of the graph; see the module."""

    asset: str
    space: str
    description: str
    keys: Callable[[Catalog], list[str]]
    inputs: Callable[[Catalog, str], list[Input]]
    config: Callable[[Catalog, str], Any]
    code: tuple[str, ...]
    make: Callable[[Work], None]
    gate: Gate | None = None
    libraries: tuple[str, ...] = ()
    group: str = "data"
    kinds: tuple[str, ...] = ("parquet",)
    show: Callable[[Lake, Manifest], dict[str, Shown]] = lambda lake, manifest: {}
    unfinished: Callable[[Lake, Manifest], str] = lambda lake, manifest: ""
    """Why a version that is there is made again by the next run: a part of it broke. Empty where nothing did."""

    def code_digest(self) -> str:
        """Digest of the code that decides the result."""
        return code_digest(self.code, self.libraries)

    def identity(self, catalog: Catalog, key: str, inputs: Sequence[InputRef]) -> Identity:
        """What decides the version of partition ``key``, given the versions it reads."""
        config = self.config(catalog, key)
        plain = config if isinstance(config, dict) else config.model_dump(mode="json")
        return Identity(self.asset, key, plain, self.code_digest(), tuple(inputs))
