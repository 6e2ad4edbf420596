"""``tokka compare``."""

from typing import Any

from assets.evaluation.compare import Evaluated
from assets.recipe.evaluation import Average
from orchestration.cli.context import open_profile, open_recipe
from orchestration.cli.output import fail, out, print_json, print_table
from orchestration.cli.scores import evaluation_of
from orchestration.profile import Profile


def compare_command(first: str, second: str, task: str | None, lake: str | None, as_json: bool) -> None:
    """Print which differences between two checkpoints' scores are more than chance."""
    from assets.evaluation.compare import ComparisonError, compare
    from assets.lake import LakeError

    profile = open_profile(lake)
    (a, averages), (b, others) = (_evaluated(profile, said) for said in (first, second))
    shared = {name: average for name, average in averages.items() if others.get(name) == average}
    try:
        rows = compare(a, b, task, shared)
    except (ComparisonError, LakeError, FileNotFoundError) as error:
        fail(str(error))
    if as_json:
        from assets.evaluation.statistics import LEVEL, RESAMPLES, SEED

        about = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}
        sides = {
            side: {"name": each.name, "evaluation": each.manifest.ref.model_dump()}
            for side, each in (("a", a), ("b", b))
        }
        print_json({**sides, **about, "rows": rows})
        return
    _print(a.name, b.name, rows)


def _evaluated(profile: Profile, said: str) -> tuple[Evaluated, dict[str, Average]]:
    """The evaluation that ``RECIPE`` or ``RECIPE@STEP`` names, and the averages of its recipe."""
    name, at, step = said.rpartition("@") if "@" in said else (said, "", "")
    if at and not step.isdecimal():
        fail(f"{said!r} is not RECIPE or RECIPE@STEP: {step!r} is no step.")
    _, recipe = open_recipe(name)
    manifest = evaluation_of(profile, recipe.name, int(step) if at else None)
    return Evaluated(f"{recipe.name}@{manifest.counts['step']}", profile.lake, manifest), recipe.averages


def _print(a: str, b: str, rows: list[dict[str, Any]]) -> None:
    from assets.evaluation.statistics import LEVEL, RESAMPLES

    compared = [row for row in rows if "better" in row]
    table = []
    for row in compared:
        clean = row["clean"]
        table.append(
            {
                "task": row["task"],
                "metric": row["metric"],
                "items": row["items"] or "",
                a: row["a"],
                b: row["b"],
                "difference": f"{row['difference']:+.4g}",
                f"{LEVEL:.0%} interval": f"{row['low']:+.4g} to {row['high']:+.4g}",
                "p": f"{row['p']:.3f}",
                "result": sentence(row, a, b),
                "clean items alone": f"{clean['difference']:+.4g} ({clean['low']:+.2g} to {clean['high']:+.2g})"
                if clean
                else "–",
            }
        )
    out.print(f"{a} against {b}: the difference is the first minus the second", markup=False, style="bold")
    print_table(table)
    for row in rows:
        if row["reason"]:
            what = f"{row['task']} {row['metric']}: " if row["metric"] else ""
            out.print(f"not compared: {what}{row['reason']}", markup=False)
        elif row["note"]:
            out.print(f"{row['task']} {row['metric']}: {row['note']}", markup=False, style="dim")
    chance = len(compared) * (1 - LEVEL)
    out.print(
        f"Paired bootstrap over the items, {RESAMPLES:,} resamples. Of {len(compared)} comparisons about {chance:.1f} would be "
        "called a difference by chance alone.",
        markup=False,
        style="dim",
    )


def sentence(row: dict[str, Any], a: str, b: str) -> str:
    """What a comparison says, in words."""
    if row["better"] == "same":
        return "the same on every item"
    if row["better"] == "open":
        return f"no significant difference at this size (one of {row['detectable']:.2g} would show)"
    return f"{a if row['better'] == 'a' else b} is better"
