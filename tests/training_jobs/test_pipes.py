"""Messages of a job reach the Dagster run that started it."""

import sys
from pathlib import Path
from typing import Any

import dagster as dg

SCRIPT = """
from training_jobs.progress import Progress, StepResult, Totals, open_channel
from pathlib import Path
with open_channel(0) as channel:
    progress = Progress(channel, Path.cwd(), steps=2, sequence_length=8, log_every=1)
    progress.start(Totals())
    for step in (1, 2):
        progress.step(StepResult(step, 5.21, 1.0, [(4 * step - 4, 4 * step)], 1e-3), 0.0)
"""


def test_progress_arrives_as_log_lines_and_custom_messages(tmp_path: Path) -> None:
    received: list[dict[str, Any]] = []

    @dg.asset
    def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        client = dg.PipesSubprocessClient(cwd=str(tmp_path), env={"PYTHONPATH": str(Path.cwd())})
        run = client.run(context=context, command=[sys.executable, "-c", SCRIPT])
        received.extend(run.get_custom_messages())
        return run.get_materialize_result()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([trained], instance=instance)
        assert result.success
        lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any(line.startswith("step 2 of 2, loss 5.21, ") for line in lines)
    assert [message["done"] for message in received] == [1, 2]
    assert received[-1] | {"tokens_per_second": 0, "seconds_left": 0} == {
        "kind": "progress",
        "done": 2,
        "total": 2,
        "unit": "steps",
        "loss": 5.21,
        "tokens_per_second": 0,
        "seconds_left": 0,
    }
