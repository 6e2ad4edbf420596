"""``tokka tainted-by``."""

from typing import Any

from orchestration.cli.context import open_profile
from orchestration.cli.output import fail, out, print_json, print_table, printable

SHOWN = 20
"""Steps and samples that are shown; the JSON has all."""


def tainted_command(what: str, lake: str | None, as_json: bool) -> None:
    """Print what a document, a version or a file has touched."""
    from assets.lake import LakeError
    from assets.mixture.blend import MixtureError
    from assets.reports.sample import SampleError
    from assets.reports.taint import TaintError, tainted_by

    profile = open_profile(lake)
    try:
        found = tainted_by(profile.lake, what)
    except (TaintError, LakeError, SampleError, MixtureError) as error:
        fail(str(error))
    if as_json:
        print_json(found)
        return
    out.print(printable(what), style="bold", markup=False)
    for origin in found["origins"]:
        out.print(f"in {origin['version']}" + (f", {origin['file']}" if origin["file"] else ""), markup=False)
    if "document" in found:
        _print_document(found["document"])
        told = "and what was trained on it"
    else:
        told = "it and what was made from it"
    out.print(f"\n{len(found['versions'])} versions: {told}", markup=False)
    for version in found["versions"]:
        out.print(f"  {version['version']}  {version['digest'][:12]}", markup=False)
    out.print()
    for title, rows in (("Checkpoints", found["checkpoints"]), ("Scores", found["scores"])):
        if rows:
            print_table(rows, title)
        else:
            out.print(f"{title}: none", markup=False)


def _print_document(document: dict[str, Any]) -> None:
    for place in document["shards"]:
        out.print(f"document {place['number']:,} of {place['shard']} ({place['rendering']})", markup=False)
    for kept in document["validation"]:
        out.print(f"kept for validation in {kept['mixture']}, document {kept['number']:,}", markup=False)
    for training in document["training"]:
        steps, samples = training["steps"], training["samples"]
        if training["run"] is None:
            out.print(f"{training['mixture']}, not trained on yet: in {len(samples)} of its samples", markup=False)
        elif not steps:
            out.print(f"{training['run']} never trained on it", markup=False)
        else:
            out.print(
                f"{training['run']} trained on it in {len(steps)} steps ({_few(steps)}), samples {_few(samples)}",
                markup=False,
            )
    for name in document["tokenizers"]:
        out.print(f"{name} was trained on a sample of a corpus that holds it", markup=False, style="dim")


def _few(numbers: list[int]) -> str:
    more = f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else ""
    return ", ".join(f"{number:,}" for number in numbers[:SHOWN]) + more
