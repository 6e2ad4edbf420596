"""A step that waits for a place in a pool: it says so, sleeps, and goes on once there is one."""

import threading
import time

import dagster as dg
import yaml

from orchestration.instance import SETTINGS
from orchestration.pools import sleep_while_waiting
from orchestration.progress import progress_logger

SECONDS = 3.0


@dg.op(pool="gpu")
def train(context: dg.OpExecutionContext) -> None:
    context.log.info("trains")
    context.log.debug("a detail")


@dg.job(logger_defs={"progress": progress_logger})
def training() -> None:
    train()


def test_it_says_what_it_waits_for_sleeps_and_goes_on(tmp_path, capfd):
    settings = yaml.safe_load(SETTINGS.read_text("utf-8"))
    overrides = {name: settings[name] for name in ("concurrency", "compute_logs")}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("gpu")
        assert storage.claim_concurrency_slot("gpu", "another", "train").is_claimed
        given = threading.Timer(SECONDS, storage.free_concurrency_slots_for_run, ["another"])
        sleep_while_waiting()
        given.start()
        started, used = time.monotonic(), time.thread_time()
        result = training.execute_in_process(instance=instance, run_config={"loggers": {"progress": {}}})
        took, worked = time.monotonic() - started, time.thread_time() - used
        given.join()
    assert result.success and took > SECONDS
    assert worked < SECONDS / 2, "it keeps a core busy while it waits"
    assert capfd.readouterr().err.split("\n")[:2] == [
        "        : waits for a place in the pool gpu, which another run has",
        "        : trains",
    ]
