"""``tokka suites``."""

from assets.recipe.load import RecipeError, recipe_folders
from assets.recipe.suites import Suite, load_suite, suite_paths
from orchestration.cli.output import Exit, fail, out, print_json, print_table


def list_command(as_json: bool) -> None:
    """All suites with what they measure."""
    try:
        suites = [load_suite(name, recipe_folders()) for name in sorted(suite_paths(recipe_folders()))]
    except RecipeError as error:
        fail(str(error))
    rows = [
        {
            "suite": suite.name,
            "version": suite.version,
            "tasks": len(suite.tasks),
            "averages": ", ".join(suite.averages),
            "data at hand": f"{len(suite.tasks) - len(_missing(suite))} of {len(suite.tasks)}",
            "description": suite.description,
        }
        for suite in suites
    ]
    print_json(rows) if as_json else print_table(rows)


def show_command(name: str, as_json: bool) -> None:
    """A suite's tasks with shots, metrics and protocol, its averages, and the tasks whose data is not at hand."""
    suite = open_suite(name)
    missing = _missing(suite)
    if as_json:
        print_json({**suite.model_dump(mode="json"), "missing": missing})
        return
    out.print(f"{suite.name}, version {suite.version}: {suite.description}", markup=False, style="bold")
    print_table(
        [
            {
                "task": label,
                "kind": task.kind,
                "language": getattr(task, "language", "–"),
                "shots": str(getattr(task, "shots", "–")),
                "metrics": ", ".join(getattr(task, "metrics", ())) or "–",
                "items": "all" if task.limit is None else f"the first {task.limit}",
                "data": "missing" if label in missing else "at hand",
            }
            for label, task in suite.tasks.items()
        ]
    )
    for label, average in suite.averages.items():
        metrics = sorted({average.metric_of(task) for task in average.tasks})
        out.print(
            f"average {label}: {', '.join(metrics)} over {len(average.tasks)} tasks. {average.description}",
            markup=False,
        )
    for label, reason in missing.items():
        out.print(f"{label} is missing: {reason}", markup=False)


def fetch_command(name: str) -> None:
    """Fetch from the hub the files that are missing; leave with 3 when one cannot be had."""
    from orchestration.fetch import FetchError, fetch

    suite = open_suite(name)
    missing = _missing(suite)
    if not missing:
        out.print(f"All data of {name} is at hand.")
        return
    failed = False
    for task in missing:
        try:
            for path in fetch(suite.tasks[task]):
                out.print(f"{task}: {path}", markup=False)
        except FetchError as error:
            failed = True
            out.print(f"{task}: {error}", markup=False)
    if failed:
        fail(f"some data of {name} could not be fetched.", Exit.JOB_FAILED)


def open_suite(name: str) -> Suite:
    """The suite of that name, or an error that lists those there are."""
    try:
        return load_suite(name, recipe_folders())
    except RecipeError as error:
        fail(str(error))


def _missing(suite: Suite) -> dict[str, str]:
    """The tasks whose data is not at hand, with the reason."""
    from assets.benchmarks.stage import files_of

    reasons = {name: files_of(task, name)[1] for name, task in suite.tasks.items()}
    return {name: reason for name, reason in reasons.items() if reason}
