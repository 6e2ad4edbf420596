"""A job's messages, through a file that outlives whoever reads it."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.messages import FileMessages, context_path, follow, messages_path

JOB = """
import sys
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as context:
    for number in range(int(sys.argv[1])):
        context.log.info(f"line {number}")
"""


def said(tmp_path: Path, resume: bool, lines: int) -> list[str]:
    """What a Dagster run logs of a job with so many messages. With ``resume`` the job was started by an earlier run."""
    log = tmp_path / "job.log"

    def run(context: Any, resumed: bool) -> None:
        injector = dg.PipesFileContextInjector(str(context_path(log)))
        reader = FileMessages(messages_path(log), resume=resumed)
        with dg.open_pipes_session(context=context, context_injector=injector, message_reader=reader) as session:
            if not resumed:
                command = [sys.executable, "-c", JOB, str(lines)]
                subprocess.run(command, check=True, env=session.get_bootstrap_env_vars())

    @dg.asset
    def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        run(context, False)
        return dg.MaterializeResult()

    @dg.asset
    def found(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        run(context, True)
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([made], instance=instance)
        if resume:
            result = dg.materialize([found], instance=instance)
        assert result.success
        return [entry.user_message for entry in instance.all_logs(result.run_id)]


def test_all_messages_arrive(tmp_path):
    lines = said(tmp_path, resume=False, lines=50)
    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(50)]
    assert not [line for line in lines if "did not receive" in line]


def test_who_finds_a_job_hears_its_last_messages(tmp_path):
    lines = [line for line in said(tmp_path, resume=True, lines=500) if line.startswith("line ")]
    assert lines[-1] == "line 499"
    assert 5 < len(lines) < 100
    assert messages_path(tmp_path / "job.log").read_text().count("\n") > 500, "nothing of it was thrown away"


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path):
    path, over, found = tmp_path / "messages", threading.Event(), []
    path.write_text("")
    reader = threading.Thread(target=lambda: found.extend(follow(path, over.is_set)))
    reader.start()
    with path.open("a") as stream:
        for piece in ('{"a": ', '1}\n{"b"', ": 2}\n", '{"torn'):
            stream.write(piece)
            stream.flush()
            time.sleep(0.25)
    over.set()
    reader.join()
    assert [json.loads(line) for line in found] == [{"a": 1}, {"b": 2}]
