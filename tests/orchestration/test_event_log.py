"""Event log and runs: the files are Dagster's, either storage reads what the other wrote, and runs are laid out once."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage

from orchestration.event_log import OPEN_RUNS, EventLog
from orchestration.instance import local_storage
from orchestration.run_storage import RunStorage


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([str(n) for n in range(OPEN_RUNS + 3)]))
def thing(context: dg.AssetExecutionContext) -> None:
    context.log.info("made %s", context.partition_key)


def place_of(folder):
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + local_storage(folder))
    return folder


def events(instance, run):
    return [
        (entry.storage_id, entry.event_log_entry.user_message) for entry in instance.get_records_for_run(run).records
    ]


def test_dagsters_own_storage_reads_what_it_wrote_and_the_other_way(tmp_path):
    with dg.DagsterInstance.from_config(str(place_of(tmp_path))) as instance:
        assert isinstance(instance.event_log_storage, EventLog) and isinstance(instance.run_storage, RunStorage)
        keys = [str(n) for n in range(OPEN_RUNS + 3)]
        runs = [dg.materialize([thing], instance=instance, partition_key=key).run_id for key in keys]
        assert len(instance.event_log_storage._engines) <= OPEN_RUNS + 1
        written = {run: events(instance, run) for run in runs}
        assert all(written.values())
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert type(instance.run_storage) is SqliteRunStorage
        assert {run.run_id for run in instance.get_runs()} == set(runs) and all(
            r.is_success for r in instance.get_runs()
        )
        assert {run: events(instance, run) for run in runs} == written
        assert instance.get_materialized_partitions(dg.AssetKey("thing")) == set(keys)
        later = dg.materialize([thing], instance=instance, partition_key="0").run_id
        others = events(instance, later)
    with dg.DagsterInstance.from_config(str(place_of(tmp_path))) as instance:
        assert events(instance, later) == others
        assert {run.run_id for run in instance.get_runs()} == {*runs, later}
    assert not list((tmp_path / "history" / "runs").glob(".new-*"))


WRITER = """
import sys
import dagster as dg
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    for number in range(int(sys.argv[3])):
        key = f"{sys.argv[2]}-{number}"
        instance.add_run(dg.DagsterRun(job_name="told", run_id=key))
        instance.report_runless_asset_event(dg.AssetMaterialization("told", partition=key, tags={"a": "b"}))
        print(key, flush=True)
"""


def writer(folder, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def tell(instance, key):
    instance.report_runless_asset_event(dg.AssetMaterialization("told", partition=key))
    instance.add_run(dg.DagsterRun(job_name="told", run_id=key))


def told(instance):
    """The partitions of all events, in order; none of them twice."""
    records = instance.fetch_materializations(dg.AssetKey("told"), limit=10_000, ascending=True).records
    keys = [record.asset_materialization.partition for record in records]
    assert len(keys) == len(set(keys))
    return keys


def test_two_processes_write_and_one_is_killed_in_the_middle_again_and_again(tmp_path):
    folder, draw, said = place_of(tmp_path), random.Random(5), []
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        other = writer(folder, "other", 300)
        for life in range(3):
            process = writer(folder, f"killed{life}", 100_000)
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            time.sleep(draw.uniform(0.1, 0.6))
            process.kill()
            # A last line may be cut off; what was said before it was written before it.
            lines += process.stdout.read().splitlines(keepends=True)
            process.wait()
            said += [line.strip() for line in lines if line.endswith("\n")]
            tell(instance, f"here{life}")
        others, _ = other.communicate(timeout=120)
        assert other.returncode == 0
        found = told(instance)
        assert {*said, *others.split(), "here0", "here1", "here2"} <= set(found)
        assert instance.get_materialized_partitions(dg.AssetKey("told")) == set(found)
        assert set(found) <= {run.run_id for run in instance.get_runs()}
    for path in (folder / "history").rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_threads_and_forked_processes_write_too(tmp_path):
    with dg.DagsterInstance.from_config(str(place_of(tmp_path))) as instance:
        tell(instance, "before")
        threads = [threading.Thread(target=tell, args=(instance, f"thread{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        child = os.fork()
        if child == 0:
            try:
                tell(instance, "forked")
                instance.dispose()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        tell(instance, "after")
        everybody = {"before", "forked", "after", *(f"thread{n}" for n in range(8))}
        assert set(told(instance)) == {run.run_id for run in instance.get_runs()} == everybody


def test_files_that_another_process_has_removed_are_not_written_to_any_more(tmp_path):
    folder = place_of(tmp_path)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        first = dg.materialize([thing], instance=instance, partition_key="0").run_id
        wipe = "import sys, dagster as dg; dg.DagsterInstance.from_config(sys.argv[1]).event_log_storage.wipe()"
        subprocess.run([sys.executable, "-c", wipe, str(folder)], check=True)
        instance.report_engine_event("again", instance.get_run_by_id(first))
        with dg.DagsterInstance.from_config(str(folder)) as other:
            assert len(events(other, first)) == 1


def test_who_watches_a_run_sees_its_events_while_it_works(tmp_path):
    seen = []
    with (
        dg.DagsterInstance.from_config(str(place_of(tmp_path))) as writer,
        dg.DagsterInstance.from_config(str(tmp_path)) as reader,
    ):

        @dg.op
        def works(context: dg.OpExecutionContext) -> None:
            reader.watch_event_logs(context.run_id, None, lambda entry, cursor: seen.append(entry.user_message))
            for number in range(40):
                context.log.info("step %d", number)
                if any(message.startswith("step ") for message in seen):
                    return
                time.sleep(0.05)
            raise AssertionError("nothing was seen within two seconds")

        @dg.job
        def watched() -> None:
            works()

        assert watched.execute_in_process(instance=writer).success
