"""Which version a reader is given: the one that Dagster's event log names, never "the latest" in a folder."""

from typing import Any

import dagster as dg

from assets.lake import InputRef, Manifest
from orchestration.profile import Profile


class NotMaterializedError(Exception):
    """An upstream partition was never materialized."""


def materialized_ref(instance: dg.DagsterInstance, asset: str, key: str) -> InputRef | None:
    """The version that the last materialization of a partition made, or None where there is none."""
    filters = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key])
    records = instance.fetch_materializations(filters, limit=1).records
    if not records or records[0].asset_materialization is None:
        return None
    metadata = records[0].asset_materialization.metadata
    return InputRef(
        asset=asset, partition=key, version=str(metadata["version"].value), digest=str(metadata["digest"].value)
    )


class LakeInputs(dg.ConfigurableIOManager):
    """Hands an asset the manifests of the upstream versions; the data itself stays in the lake."""

    profile: Profile

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Nothing to store: the stage has written its version."""

    def load_input(self, context: dg.InputContext) -> dict[str, Manifest]:
        """The manifests of the mapped upstream partitions, by partition key."""
        asset = context.asset_key.to_user_string()
        return {
            key: manifest_of(context.instance, self.profile, asset, key) for key in sorted(context.asset_partition_keys)
        }


def manifest_of(instance: dg.DagsterInstance, profile: Profile, asset: str, key: str) -> Manifest:
    """The manifest of the version that the event log names. Raises NotMaterializedError."""
    ref = materialized_ref(instance, asset, key)
    if ref is None:
        raise NotMaterializedError(f"{asset}, partition {key}, was never materialized; materialize it first.")
    return profile.lake.manifest(ref)
