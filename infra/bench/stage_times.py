"""Times of a run by stage, as a Markdown table: ``tokka run mini --json | python infra/bench/stage_times.py``.

Seconds are those of Dagster's steps, the gates' included; what is left of the whole is planning and Dagster itself.
"""

import json
import sys
from typing import Any


def table(run: dict[str, Any]) -> str:
    """A row per asset: its partitions, seconds, and share of the whole run."""
    stages: dict[str, list[float]] = {}
    for made in run["made"]:
        stages.setdefault(made["asset"], []).append(made["seconds"])
    whole = run["seconds"]
    rows = [(asset, len(seconds), sum(seconds)) for asset, seconds in stages.items()]
    rows.append(("planning, Dagster's bookkeeping", 0, whole - sum(seconds for _, _, seconds in rows)))
    lines = ["| stage | partitions | seconds | share |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {count or ''} | {seconds:.1f} | {100 * seconds / whole:.0f} % |" for name, count, seconds in rows
    ]
    return "\n".join([*lines, f"| **whole** | {len(run['made'])} | **{whole:.1f}** | |"])


if __name__ == "__main__":
    print(table(json.load(sys.stdin)))
