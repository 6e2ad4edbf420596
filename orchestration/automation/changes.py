"""Which partitions were made from other versions than those that are there now, by Dagster's event log and the manifests."""

from collections.abc import Iterable
from functools import lru_cache

import dagster as dg

from assets.graph import BY_ASSET
from assets.lake import InputRef, Lake, LakeError
from assets.recipe.catalog import Catalog
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile

OF_A_MODEL = ("pretraining_run", "checkpoint", "evaluation", "scoreboard")
"""Assets of which one partition must not be read in two versions at once: scores of an old run beside those of a new one."""


class Changes:
    """Compares versions. What an event or a manifest says never changes, so it is read once."""

    def __init__(self, catalog: Catalog, profile: Profile) -> None:
        self.catalog, self.profile = catalog, profile
        self._refs: dict[tuple[str, str, int], InputRef | None] = {}

    def of(self, instance: dg.DagsterInstance, asset: str, followed: tuple[str, ...] | None = None) -> set[str]:
        """The partitions of ``asset`` whose inputs are all there, agree, and are not those that the version there was made
        from; or which have no version. ``followed`` names the inputs that count, by default all.
        """
        stage, lake = BY_ASSET[asset], self.profile.lake
        there: dict[str, dict[str, InputRef]] = {}

        def versions(name: str) -> dict[str, InputRef]:
            if name not in there:
                there[name] = self._versions(instance, name)
            return there[name]

        found = set()
        for key in stage.keys(self.catalog):
            inputs = stage.inputs(self.catalog, key)
            refs = [versions(name).get(partition) for name, partition in inputs]
            known = [ref for ref in refs if ref is not None]
            if len(known) < len(refs):
                continue
            counted = {ref for ref in known if followed is None or ref.asset in followed}
            current = versions(asset).get(key)
            before = set(read_inputs(lake, current) or ()) if current else set()
            if not (current and counted <= before) and agree(lake, known):
                found.add(key)
        return found

    def _versions(self, instance: dg.DagsterInstance, asset: str) -> dict[str, InputRef]:
        """The versions of an asset that the event log names, by partition: one query, and one for each new event."""
        latest = instance.get_latest_storage_id_by_partition(
            dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        versions = {}
        for key, number in latest.items():
            if (asset, key, number) not in self._refs:
                self._refs[asset, key, number] = materialized_ref(instance, asset, key)
            ref = self._refs[asset, key, number]
            if ref is not None:
                versions[key] = ref
        return versions


def read_inputs(lake: Lake, ref: InputRef) -> tuple[InputRef, ...] | None:
    """What a version was made from; None where it is no longer in the lake."""
    try:
        return _read_inputs(lake.uri, ref)
    except LakeError:
        return None


@lru_cache(maxsize=100_000)
def _read_inputs(uri: str, ref: InputRef) -> tuple[InputRef, ...]:
    return tuple(Lake(uri).manifest(ref).inputs)


def agree(lake: Lake, refs: Iterable[InputRef]) -> bool:
    """Whether versions speak of the same model: behind them is no partition of OF_A_MODEL in two versions."""
    seen: dict[tuple[str, str], str] = {}
    todo = [ref for ref in refs if ref.asset in OF_A_MODEL]
    while todo:
        ref = todo.pop()
        known = seen.setdefault((ref.asset, ref.partition), ref.digest)
        if known != ref.digest:
            return False
        inputs = read_inputs(lake, ref)
        if inputs is None:
            return False
        if ref.asset != "pretraining_run":
            todo.extend(i for i in inputs if i.asset in OF_A_MODEL)
    return True
