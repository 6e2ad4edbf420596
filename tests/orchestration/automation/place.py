"""A lake, Dagster's instance and the small catalog, in which versions are put together without the work of the stages."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import DagsterEvent

from assets.graph import BY_ASSET
from assets.lake import Identity, InputRef, Lake, Manifest, Receipt
from assets.lake.receipt import Expectation
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.recipe.operations import Operations
from orchestration.build import build_definitions
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile
from tests.conftest import RECIPE, changed


@dataclass
class Place:
    """Versions and events are made by ``make``, as a run would: a version, a materialization, a gate's judgement."""

    folder: Path
    instance: dg.DagsterInstance
    operations: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=lambda: changed(RECIPE))

    @property
    def catalog(self) -> Catalog:
        value = changed(self.recipe)
        for name, source in value["sources"].items():
            source["files"] = str(self.folder / "data" / name / "*.jsonl")
        return Catalog.of([Recipe.model_validate(value)])

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.catalog, self.profile)

    @property
    def profile(self) -> Profile:
        return Profile(
            lake_uri=str(self.folder / "lake"), launcher_name="local", data_engine="native",
            scratch_folder=str(self.folder / "scratch"),
            operations=Operations.model_validate(self.operations),
        )  # fmt: skip

    @property
    def lake(self) -> Lake:
        return self.profile.lake

    def file(self, source: str, name: str, text: str = '{"id": "a", "text": "Teksti."}\n') -> Path:
        path = self.folder / "data" / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def ref(self, asset: str, key: str) -> InputRef | None:
        return materialized_ref(self.instance, asset, key)

    def make(
        self,
        asset: str,
        key: str,
        content: str = "1",
        passed: bool | None = True,
        inputs: list[InputRef] | None = None,
        risks: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
        cost: dict[str, float] | None = None,
        files: dict[str, Any] | None = None,
        counts: dict[str, int] | None = None,
    ) -> Manifest:
        """A version with ``content`` from the versions that are there, or from ``inputs``; judged unless ``passed`` is None."""
        stage = BY_ASSET[asset]
        if inputs is None:
            found = [materialized_ref(self.instance, *each) for each in stage.inputs(self.catalog, key)]
            inputs = [ref for ref in found if ref is not None]
        identity = Identity(asset, key, config or {"content": content}, "code", tuple(inputs))
        if self.lake.find(asset, key, identity.version) is None:
            with self.lake.write(identity, risks) as out:
                for name, value in ({"data.json": content} | (files or {})).items():
                    out.write_json(name, value)
                out.cost.update(cost or {})
                out.counts.update(counts or {})
        made = self.lake.find(asset, key, identity.version)
        assert made is not None
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset, partition=key, metadata={"version": made.version, "digest": made.digest},
                tags={"dagster/data_version": made.digest},
            )
        )  # fmt: skip
        if stage.gate is not None and passed is not None:
            self.judge(made, passed)
        return made

    def judge(self, made: Manifest, passed: bool) -> None:
        outcome = Expectation(
            expectation="e", column="share", allowed="at most 1", observed="2", passed=passed, severity="critical",
            meaning="a share",
        )  # fmt: skip
        self.lake.write_receipt(
            Receipt(
                asset=made.asset, partition=made.partition, version=made.version, manifest_digest=made.digest,
                suite_digest="test", passed=passed, expectations=[outcome], profile=[], numbers={},
                time="2026-01-01T00:00:00+00:00",
            )
        )  # fmt: skip
        filters = dg.AssetRecordsFilter(asset_key=dg.AssetKey(made.asset), asset_partitions=[made.partition])
        (record,) = self.instance.fetch_materializations(filters, limit=1).records
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(made.asset), check_name="gate", passed=passed, partition=made.partition,
            severity=dg.AssetCheckSeverity.ERROR, blocking=True, metadata={}, target_materialization_data=target,
        )  # fmt: skip
        event = DagsterEvent("ASSET_CHECK_EVALUATION", "test", event_specific_data=evaluation)
        # The event log knows one judgement per run, and all that belongs to no run counts as one.
        self.instance.report_dagster_event(event, run_id=str(uuid.uuid4()))

    def road(self, to: str = "mixture", content: str = "1") -> None:
        """Make every partition up to the asset ``to``."""
        for stage in BY_ASSET.values():
            for key in stage.keys(self.catalog):
                self.make(stage.asset, key, content if stage.asset == "raw_corpus" else "1")
            if stage.asset == to:
                return


def place_in(folder: Path, **operations: Any) -> Iterator[Place]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Place(folder, instance, operations)
