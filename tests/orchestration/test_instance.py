"""Dagster's instance: processes that open it for the first time at the same moment."""

import socket
import subprocess
import sys
import time

import dagster as dg

from orchestration.instance import HOST, PROCESS, closing_dead_runs
from tests.workplace import Workplace

OPEN = """
import sys, time
from orchestration.instance import open_instance
print(flush=True)
time.sleep(max(0, float(sys.stdin.readline()) - time.time()))
open_instance().dispose()
"""


def test_four_processes_that_open_a_new_instance_at_once_all_have_it(tmp_path):
    place = Workplace(tmp_path)
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN], env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in opening:
        assert process.stdout is not None
        process.stdout.readline()
    moment = f"{time.time() + 0.5}\n"
    said = [process.communicate(moment, timeout=120)[1] for process in opening]
    assert [process.returncode for process in opening] == [0] * 4, said
    again = place.tokka("lake", "ls")
    assert again.returncode == 0, again.stderr


def test_a_run_that_is_killed_while_another_one_waits_gives_its_place_back(tmp_path):
    pools = {"concurrency": {"pools": {"default_limit": 1, "granularity": "op"}}}
    # A process that nobody has waited for yet, as after kill -9 of a run whose parent is busy.
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=pools) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("gpu")
        run = instance.create_run_for_job(
            dg.job(name="job")(lambda: None),
            tags={HOST: socket.gethostname(), PROCESS: str(killed.pid)},
            status=dg.DagsterRunStatus.STARTED,
        )
        assert storage.claim_concurrency_slot("gpu", run.run_id, "pretraining_run").is_claimed
        with closing_dead_runs(instance, seconds=0.1):
            time.sleep(0.5)
            assert not storage.claim_concurrency_slot("gpu", "waits", "pretraining_run").is_claimed
            killed.kill()
            deadline = time.monotonic() + 30
            while not storage.claim_concurrency_slot("gpu", "waits", "pretraining_run").is_claimed:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None and found.status == dg.DagsterRunStatus.FAILURE
    killed.wait()
