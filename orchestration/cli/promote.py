"""``tokka promote``, ``tokka rollback`` and ``tokka promoted``."""

from typing import Any

import dagster as dg

from assets.lake import Lake, LakeError
from assets.lake.names import check_name
from assets.promotion.history import Entry, history, names
from assets.promotion.model import PromotionError
from orchestration.cli.context import open_profile, open_recipe
from orchestration.cli.output import Exit, err, fail, out, print_json, print_table
from orchestration.instance import dagster_home


def promote_command(
    recipe: str,
    step: int | None,
    name: str | None,
    why: str | None,
    confirm_risks: bool,
    uri: str | None,
    as_json: bool,
) -> None:
    """Promote, or leave with 1 and everything that is missing."""
    from orchestration.promotion import promote, propose, user

    catalog, found = open_recipe(recipe)
    profile = open_profile(uri)
    _check(name)
    dagster_home()
    with dg.DagsterInstance.get() as instance:
        try:
            proposal = propose(catalog, profile, instance, found.name, step, name)
            if not as_json:
                for version, reason in proposal.examined.risks.items():
                    err.print(f"accepted risk: {version}: {reason}", markup=False)
            entry = promote(profile, instance, proposal, user(), why or proposal.why, confirm_risks)
        except (PromotionError, LakeError) as error:
            fail(str(error), Exit.GATE_FAILED)
    if as_json:
        print_json(_as_json(profile.lake, entry))
        return
    passed = sum(row["gate"] == "passed" for row in proposal.examined.gates)
    out.print(
        f"{entry.recipe}, step {entry.step}, is current as {entry.name}: {entry.why}.\n"
        f"{passed} gates behind it passed, {len(entry.risks)} risks were confirmed.\n{profile.lake.folder(entry.version)}",
        markup=False,
    )


def rollback_command(name: str, to: str | None, why: str, uri: str | None, as_json: bool) -> None:
    """Go back, or leave with 1 where there is nothing to go back to."""
    from orchestration.promotion import rollback, user

    profile = open_profile(uri)
    _check(name)
    dagster_home()
    with dg.DagsterInstance.get() as instance:
        try:
            entry = rollback(profile, instance, name, to, user(), why)
        except (PromotionError, LakeError) as error:
            fail(str(error), Exit.GATE_FAILED)
    if as_json:
        print_json(_as_json(profile.lake, entry))
    else:
        out.print(f"{name} is {entry.recipe}, step {entry.step}, again: {entry.version.name}.", markup=False)


def promoted_command(name: str | None, uri: str | None, as_json: bool) -> None:
    """List what is current under every name, or everything that ever was under one."""
    lake = open_profile(uri).lake
    _check(name)
    try:
        entries = history(lake, name) if name else [history(lake, each)[-1] for each in names(lake)]
    except LakeError as error:
        fail(str(error), Exit.GATE_FAILED)
    if name and not entries:
        fail(f"nothing was promoted as {name!r}; `tokka promoted` lists the names.")
    if as_json:
        print_json([_as_json(lake, entry) for entry in entries])
        return
    print_table(
        [
            {
                **({"number": e.number, "action": e.action} if name else {"name": e.name}),
                "version": e.version.version,
                "recipe": e.recipe,
                "step": e.step,
                "when": e.time,
                "who": e.who,
                "why": e.why,
                "risks": len(e.risks),
            }
            for e in entries
        ]
    )


def _check(name: str | None) -> None:
    try:
        if name is not None:
            check_name(name)
    except ValueError as error:
        fail(str(error))


def _as_json(lake: Lake, entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"token", "checksum"}) | {"folder": lake.folder(entry.version)}
