"""Which artefacts the recipes of a study share, by the digests in the lineage of their evaluations, and the work that saved."""

from collections.abc import Mapping, Sequence
from typing import Any

from assets.lake import Lake, Manifest
from assets.reports.lineage import versions_behind


def work_of(lake: Lake, evaluations: Mapping[str, Sequence[Manifest]]) -> dict[str, Any]:
    """What lies behind the ``evaluations`` of each recipe.

    ``needed`` counts the versions in each recipe's lineage, which each would make if nothing were shared; ``made`` counts the
    different ones, by digest, of which ``shared`` lists those that several recipes have. Seconds are those of the manifests;
    ``own_seconds``, by recipe, of what it has for itself. ``several`` names what occurs in several versions although it should be
    one: then the recipes were made with different code or data, and differ in more than the study says.
    """
    users: dict[str, list[str]] = {}
    found: dict[str, Manifest] = {}
    for recipe, own in evaluations.items():
        behind = {m.digest: m for evaluation in own for m in versions_behind(lake, evaluation)}
        for digest, manifest in behind.items():
            found[digest] = manifest
            users.setdefault(digest, []).append(recipe)
    own_seconds = dict.fromkeys(evaluations, 0.0)
    for digest, recipes in users.items():
        if len(recipes) == 1:
            own_seconds[recipes[0]] += found[digest].seconds
    shared = sorted((m for m in found.values() if len(users[m.digest]) > 1), key=lambda m: m.name)
    needed = sum(len(recipes) for recipes in users.values())
    digests: dict[str, set[str]] = {}
    for manifest in found.values():
        digests.setdefault(f"{manifest.asset}/{manifest.partition}", set()).add(manifest.digest)
    made_seconds = sum(m.seconds for m in found.values())
    needed_seconds = sum(m.seconds * len(users[m.digest]) for m in found.values())
    return {
        "recipes": len(evaluations),
        "needed": needed,
        "made": len(found),
        "needed_seconds": needed_seconds,
        "made_seconds": made_seconds,
        "saved_seconds": needed_seconds - made_seconds,
        "own_seconds": own_seconds,
        "several": sorted(name for name, of in digests.items() if len(of) > 1),
        "shared": [
            {
                "artefact": f"{m.asset}/{m.partition}",
                "asset": m.asset,
                "version": m.version,
                "digest": m.digest,
                "recipes": users[m.digest],
                "seconds": m.seconds,
            }
            for m in shared
        ],
    }


def by_asset(work: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The shared artefacts, a row for each asset."""
    rows: dict[str, dict[str, Any]] = {}
    for each in work["shared"]:
        row = rows.setdefault(
            each["asset"], {"asset": each["asset"], "made": 0, "made without sharing": 0, "hours saved": 0.0}
        )
        row["made"] += 1
        row["made without sharing"] += len(each["recipes"])
        row["hours saved"] += each["seconds"] * (len(each["recipes"]) - 1) / 3600
    return list(rows.values())
