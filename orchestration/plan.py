"""What a run has to do: the partitions whose version, receipt or Dagster event is not there yet."""

from dataclasses import dataclass

import dagster as dg

from assets.graph import upstream
from assets.lake import InputRef
from assets.recipe.catalog import Catalog
from assets.stage import Input, Stage
from orchestration.lineage import materialized_ref
from orchestration.profile import Profile


@dataclass(frozen=True)
class Due:
    """A partition that has to be materialized, why, and what it is made from."""

    stage: Stage
    key: str
    reason: str
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Plan:
    """``due`` in the order of the graph; ``finished`` are the partitions that are there, with their versions."""

    due: tuple[Due, ...]
    finished: dict[Input, InputRef]


def make_plan(catalog: Catalog, profile: Profile, instance: dg.DagsterInstance, targets: list[Input]) -> Plan:
    """Walk the graph from its beginning: a partition is finished when its inputs are, and its own version has passed."""
    lake = profile.lake
    finished: dict[Input, InputRef] = {}
    due: list[Due] = []
    for stage, key in upstream(catalog, targets):
        inputs = tuple(stage.inputs(catalog, key))
        missing = [i for i in inputs if i not in finished]
        if missing:
            due.append(Due(stage, key, f"{missing[0][0]} {missing[0][1]} comes first", inputs))
            continue
        identity = stage.identity(catalog, key, [finished[i] for i in inputs])
        manifest = lake.find(stage.asset, key, identity.version)
        if manifest is None:
            due.append(Due(stage, key, "new or changed", inputs))
            continue
        if stage.gate is not None:
            receipt = lake.receipt(manifest)
            current = stage.gate.suite_digest(catalog, key)
            if receipt is None or receipt.manifest_digest != manifest.digest or receipt.suite_digest != current:
                due.append(Due(stage, key, "its gate has not judged it", inputs))
                continue
            if not receipt.passed:
                due.append(Due(stage, key, "its gate failed", inputs))
                continue
        if materialized_ref(instance, stage.asset, key) != manifest.ref:
            due.append(Due(stage, key, "Dagster has no event for it", inputs))
            continue
        finished[stage.asset, key] = manifest.ref
    return Plan(tuple(due), finished)


def in_groups(due: tuple[Due, ...]) -> list[list[Due]]:
    """Runs of a plan: partitions of neighbouring stages with the same key run together, one group per key.

    Stages are neighbours while they share a space of partitions, so that ``raw_corpus`` and ``clean_corpus`` of a source
    are one Dagster run, in which the gate between them blocks.
    """
    groups: list[list[Due]] = []
    block: dict[str, list[Due]] = {}
    space = None
    for item in due:
        if item.stage.space != space:
            groups.extend(block.values())
            block, space = {}, item.stage.space
        block.setdefault(item.key, []).append(item)
    groups.extend(block.values())
    return groups
