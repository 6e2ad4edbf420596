"""Which version a reader is given: the one that Dagster's event log names, never "the latest" in a folder."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.lake import InputRef, Lake, Manifest
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


LED_BY = {"checkpoint": "pretraining_run", "evaluation": "checkpoint"}
"""Assets that speak of one model, and the input that says of which."""


def of_one_model(
    lake: Lake, asset: str, inputs: Mapping[str, Mapping[str, Manifest]]
) -> dict[str, dict[str, Manifest]]:
    """The inputs as the model knew them.

    While a model was trained, its data may have gone on. A checkpoint is still the run's, with the tokenizer that the run
    read, and is scored with the mixture that it was trained on: what stands in the lineage of the leading input (LED_BY) is
    taken from there; the version nearest to it counts.
    """
    taken = {name: dict(by_key) for name, by_key in inputs.items()}
    wanted = {(name, key) for name, by_key in taken.items() if name != LED_BY.get(asset) for key in by_key}
    level = list(taken[LED_BY[asset]].values()) if asset in LED_BY else []
    seen: set[InputRef] = set()
    while level and wanted:
        refs = dict.fromkeys(ref for manifest in level for ref in manifest.inputs if ref not in seen)
        seen.update(refs)
        level = [lake.manifest(ref) for ref in refs]
        for manifest in level:
            if (manifest.asset, manifest.partition) in wanted:
                wanted.discard((manifest.asset, manifest.partition))
                taken[manifest.asset][manifest.partition] = manifest
    return taken


class LakeInputs(dg.IOManager):
    """Hands an asset the manifests of the upstream versions; the data itself stays in the lake."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

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
