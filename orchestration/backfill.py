"""A backfill that this process carries out: Dagster's own record of it, which the UI shows with all its runs.

Dagster's daemon makes runs of a backfill's partitions, each in a process of its own. Here the process that was asked carries
them out itself, as ``tokka run`` does, so no daemon is needed. The record says that every partition is requested already; a
daemon that works beside it therefore only follows, and starts nothing a second time.
"""

import socket
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.definitions.timestamp import TimestampWithTimezone
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.utils import make_new_backfill_id
from dagster._utils.error import SerializableErrorInfo

from assets.lake.files import is_alive
from assets.stage import Input
from orchestration.instance import HOST, PROCESS, process_tags

UNFINISHED = (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING)


class Backfill:
    """The backfill of ``partitions``, open while the ``with`` block runs. ``tags`` are those that its runs have to carry."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        partitions: Iterable[Input],
        title: str,
        description: str,
        tags: Mapping[str, str],
    ) -> None:
        self._instance = instance
        self._wanted = set(partitions)
        self._made: set[Input] = set()
        self._failed: set[Input] = set()
        self.id = make_new_backfill_id()
        now = time.time()
        subset = _subset(self._wanted)
        self._data = AssetBackfillData(
            target_subset=subset,
            requested_runs_for_target_roots=True,
            latest_storage_id=None,
            materialized_subset=_subset(()),
            requested_subset=subset,
            failed_and_downstream_subset=_subset(()),
            backfill_start_time=TimestampWithTimezone(now, "UTC"),
        )
        self._record = PartitionBackfill(
            backfill_id=self.id,
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={**tags, **process_tags()},
            backfill_timestamp=now,
            asset_selection=sorted(subset.asset_keys),
            title=title,
            description=description,
            asset_backfill_data=self._data,
        )

    @property
    def tags(self) -> dict[str, str]:
        """The tags of its runs."""
        return {**self._record.tags, BACKFILL_ID_TAG: self.id}

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled it, in the UI."""
        found = self._instance.get_backfill(self.id)
        return found is not None and found.status in (BulkActionStatus.CANCELING, BulkActionStatus.CANCELED)

    def made(self, partition: Input) -> None:
        """Say that a partition is there."""
        self._made.add(partition)
        self._write(BulkActionStatus.CANCELING if self.cancelled else BulkActionStatus.REQUESTED)

    def failed(self, partition: Input) -> None:
        """Say that a partition's step or gate has failed."""
        self._failed.add(partition)
        self._write(BulkActionStatus.CANCELING if self.cancelled else BulkActionStatus.REQUESTED)

    def _write(self, status: BulkActionStatus) -> None:
        self._data = self._data._replace(
            materialized_subset=_subset(self._made & self._wanted),
            failed_and_downstream_subset=_subset(self._failed & self._wanted),
        )
        self._record = self._record._replace(asset_backfill_data=self._data, status=status)
        self._instance.update_backfill(self._record)

    def __enter__(self) -> Self:
        self._instance.add_backfill(self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record = self._record.with_end_timestamp(time.time())
        if kind is not None or self.cancelled:
            self._write(BulkActionStatus.CANCELED)
            return
        # What was not tried stands behind what has failed.
        self._failed = self._wanted - self._made
        self._write(BulkActionStatus.COMPLETED_FAILED if self._failed else BulkActionStatus.COMPLETED_SUCCESS)


def _subset(partitions: Iterable[Input]) -> AssetGraphSubset:
    keys: dict[str, set[str]] = {}
    for asset, key in sorted(partitions):
        keys.setdefault(asset, set()).add(key)
    return AssetGraphSubset(  # type: ignore[call-arg]
        partitions_subsets_by_asset_key={dg.AssetKey(a): DefaultPartitionsSubset(found) for a, found in keys.items()}
    )


def close_dead_backfills(instance: dg.DagsterInstance) -> int:
    """Mark backfills as failed whose process on this machine is gone; return how many.

    A killed process cannot say that it ended; what it left out is the business of the next backfill.
    """
    filters = BulkActionsFilter(statuses=list(UNFINISHED), tags={HOST: socket.gethostname()})
    dead = [each for each in instance.get_backfills(filters) if not is_alive(int(each.tags.get(PROCESS, "0")))]
    said = SerializableErrorInfo(
        "The process that carried out this backfill is gone. The same command goes on from there.", [], None
    )
    for each in dead:
        closed = each.with_status(BulkActionStatus.FAILED).with_error(said).with_end_timestamp(time.time())
        instance.update_backfill(closed)
    return len(dead)
