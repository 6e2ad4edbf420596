"""``tokka sample``."""

from dataclasses import asdict

from orchestration.cli.context import open_instance, open_profile, open_recipe
from orchestration.cli.output import fail, out, print_json, printable


def sample_command(name: str, step: int, limit: int | None, lake: str | None, as_json: bool) -> None:
    """Print the samples of a step's global batch."""

    from assets.lake import LakeError
    from assets.lake.ranges import RangeError
    from assets.mixture.blend import MixtureError
    from assets.reports.sample import SampleError, consumed, step_samples
    from orchestration.lineage import materialized_ref

    _, recipe = open_recipe(name)
    profile = open_profile(lake)
    with open_instance() as instance:
        run, mixture = (materialized_ref(instance, asset, recipe.name) for asset in ("pretraining_run", "mixture"))
    try:
        trained = consumed(profile.lake, recipe, run, mixture)
        samples = step_samples(profile.lake, trained, step, limit)
    except (SampleError, MixtureError, LakeError, RangeError) as error:
        fail(str(error))
    first = (step - 1) * trained.global_batch
    if as_json:
        print_json(
            {
                "recipe": recipe.name,
                "step": step,
                "steps": trained.steps,
                "mixture": trained.mixture.name,
                "pretraining_run": trained.run.name if trained.run else None,
                "batch": [first, first + trained.global_batch],
                "samples": [asdict(sample) for sample in samples],
            }
        )
        return
    out.print(
        f"{recipe.name}, step {step} of {trained.steps:,}: samples {first:,} to {first + trained.global_batch - 1:,}, "
        f"{len(samples)} of them shown",
        markup=False,
        style="bold",
    )
    made = trained.run or trained.mixture
    out.print(made.name if trained.run else f"{made.name}, not trained on yet", markup=False, style="dim")
    for sample in samples:
        out.print()
        out.print(f"sample {sample.number:,} · {sample.source} · {len(sample.ids)} tokens", markup=False, style="bold")
        for segment in sample.segments:
            whole = "" if segment.rendering == "document" else f", {segment.rendering}"
            stop = segment.start + len(segment.ids)
            out.print(
                f"  {segment.document}{whole}, tokens {segment.start:,} to {stop:,} of {segment.length:,}",
                markup=False,
                style="cyan",
            )
            out.print(
                f"  from {segment.source_version}, document {segment.number:,} of {segment.shard}",
                style="dim",
                markup=False,
            )
            for line in segment.text.split("\n"):
                out.print(f"    {printable(line)}", markup=False)
