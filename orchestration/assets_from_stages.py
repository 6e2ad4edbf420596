"""From stages to Dagster: each becomes an asset and, from its gate, one blocking asset check.

Partition mappings follow from ``Stage.inputs``, so the lineage that Dagster shows is the lineage that is read.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from assets.gates.gate import Gate, judge
from assets.graph import STAGES, goes_back
from assets.lake import Manifest
from assets.recipe.catalog import Catalog
from assets.stage import Stage
from orchestration.automation.faults import retried
from orchestration.execute import ensure_version
from orchestration.lineage import manifest_of, of_one_model
from orchestration.profile import Profile
from orchestration.show import check_metadata, materialization_metadata

# Partitioned checks are a preview in 1.13; the version is bounded in pyproject.toml and the graph tests cover them.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

GATE_CHECK = "gate"


def partitions(catalog: Catalog) -> dict[str, dg.StaticPartitionsDefinition]:
    """One definition per space of partitions (source, pool, tokenizer, recipe, ...)."""
    return {stage.space: dg.StaticPartitionsDefinition(stage.keys(catalog)) for stage in STAGES}


def _ins(stage: Stage, catalog: Catalog) -> dict[str, dg.AssetIn]:
    """The upstream assets, each with the exact mapping from its partitions to this stage's.

    Dagster's graph of assets has no circles: an input that goes back in the graph is not in it (``_from_other_runs``).
    """
    mappings: dict[str, dict[str, set[str]]] = {}
    for key in stage.keys(catalog):
        for asset, upstream_key in stage.inputs(catalog, key):
            if goes_back(stage, asset):
                continue
            mappings.setdefault(asset, {}).setdefault(upstream_key, set()).add(key)
    return {
        asset: dg.AssetIn(partition_mapping=dg.StaticPartitionMapping(mapping), input_manager_key="lake_inputs")
        for asset, mapping in mappings.items()
    }


def _from_other_runs(
    context: dg.AssetExecutionContext, stage: Stage, catalog: Catalog
) -> dict[str, dict[str, Manifest]]:
    """The inputs that go back in the graph, as the event log names them: the checkpoint that a run starts from."""
    profile: Profile = context.resources.profile
    given: dict[str, dict[str, Manifest]] = {}
    for asset, key in stage.inputs(catalog, context.partition_key):
        if goes_back(stage, asset):
            given.setdefault(asset, {})[key] = manifest_of(context.instance, profile, asset, key)
    return given


def build_asset(
    stage: Stage, catalog: Catalog, space: dg.StaticPartitionsDefinition, how: Mapping[str, Any]
) -> dg.AssetsDefinition:
    """The Dagster asset of a stage; ``how`` says what Dagster does with it beyond that, as arguments of ``dg.asset``."""

    @dg.asset(
        name=stage.asset,
        description=stage.description,
        group_name=stage.group,
        kinds=set(stage.kinds),
        partitions_def=space,
        ins=_ins(stage, catalog),
        io_manager_key="lake_inputs",
        code_version=stage.code_digest()[:16],
        required_resource_keys={"profile"},
        output_required=True,
        **how,
    )
    def made(context: dg.AssetExecutionContext, **inputs: Any) -> dg.MaterializeResult:
        profile: Profile = context.resources.profile
        with retried(context, profile):
            given = of_one_model(profile.lake, stage.asset, inputs | _from_other_runs(context, stage, catalog))
            manifest, reused = ensure_version(context, stage, catalog, profile, given)
        return dg.MaterializeResult(
            metadata=materialization_metadata(stage, profile.lake, manifest, reused),
            data_version=dg.DataVersion(manifest.digest),
        )

    return made


def build_check(
    stage: Stage, gate: Gate, catalog: Catalog, space: dg.StaticPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """The blocking check of a stage's gate. Critical failures are errors and block; others warn."""

    @dg.asset_check(
        asset=stage.asset,
        name=GATE_CHECK,
        blocking=True,
        partitions_def=space,
        required_resource_keys={"profile"},
        description=f"The gate of {stage.asset}: what follows does not start unless it passes.",
    )
    def gate_check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        profile: Profile = context.resources.profile
        manifest = manifest_of(context.instance, profile, stage.asset, context.partition_key)
        receipt = judge(gate, profile.lake, manifest, catalog)
        path = profile.lake.path(manifest, "receipt.json")
        for failed in receipt.failed:
            context.log.warning(
                "%s = %s, allowed %s: %s", failed.column, failed.observed, failed.allowed, failed.meaning
            )
        return dg.AssetCheckResult(
            passed=receipt.passed and not receipt.failed,
            severity=dg.AssetCheckSeverity.WARN if receipt.passed else dg.AssetCheckSeverity.ERROR,
            metadata=check_metadata(stage, profile.lake, manifest, receipt, path),
        )

    return gate_check


def build_all(
    catalog: Catalog, how: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[list[dg.AssetsDefinition], list[dg.AssetChecksDefinition]]:
    """All assets and checks of the graph; ``how`` by asset, see ``build_asset``."""
    spaces = partitions(catalog)
    assets = [build_asset(stage, catalog, spaces[stage.space], (how or {}).get(stage.asset, {})) for stage in STAGES]
    return assets, list(_checks(catalog, spaces))


def _checks(catalog: Catalog, spaces: dict[str, dg.StaticPartitionsDefinition]) -> Iterator[dg.AssetChecksDefinition]:
    for stage in STAGES:
        if stage.gate is not None:
            yield build_check(stage, stage.gate, catalog, spaces[stage.space])
