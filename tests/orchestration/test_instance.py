"""Dagster's instance: processes that open it for the first time at the same moment."""

import subprocess
import sys
import time

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
