"""Whether everything that a model is made of has passed its gate: the receipts of the whole lineage."""

from collections.abc import Sequence
from dataclasses import dataclass

from assets.graph import BY_ASSET
from assets.lake import InputRef, Lake, LakeError, Receipt


@dataclass(frozen=True)
class Examined:
    """``faults`` keep a model from being promoted; ``risks`` were accepted when it was made, by version with the reason.

    ``gates`` are rows for people: every version of the lineage, and how its gate judged.
    """

    faults: tuple[str, ...]
    risks: dict[str, str]
    gates: tuple[dict[str, str], ...]


def examine(lake: Lake, roots: Sequence[InputRef]) -> Examined:
    """Walk the lineage of ``roots``, whose own gates count too. A gate that did not pass is a fault, unless whoever read the
    version accepted the risk; that of a root is always one.
    """
    risks: dict[str, str] = {}
    seen: dict[InputRef, None] = {}
    faults: dict[str, str] = {}
    todo = list(roots)
    while todo:
        ref = todo.pop()
        if ref in seen:
            continue
        seen[ref] = None
        try:
            manifest = lake.manifest(ref)
        except LakeError as error:
            faults[ref.name] = str(error)
            continue
        risks.update(manifest.accepted_risks)
        todo.extend(manifest.inputs)
    rows = []
    for ref in sorted(seen, key=lambda r: (list(BY_ASSET).index(r.asset) if r.asset in BY_ASSET else -1, r.name)):
        problem = faults.get(ref.name) or _gate_problem(lake, ref)
        if problem and (ref.name not in risks or ref in roots):
            faults[ref.name] = problem
        said = f"accepted risk: {risks[ref.name]}" if ref.name in risks and ref.name not in faults else problem
        gated = ref.asset in BY_ASSET and BY_ASSET[ref.asset].gate is not None
        rows.append(
            {"version": ref.name, "digest": ref.digest[:12], "gate": said or ("passed" if gated else "no gate")}
        )
    return Examined(tuple(faults[name] for name in sorted(faults)), dict(sorted(risks.items())), tuple(rows))


def _gate_problem(lake: Lake, ref: InputRef) -> str | None:
    """A sentence where the gate of a version has not passed on exactly this digest."""
    stage = BY_ASSET.get(ref.asset)
    problem = None
    if stage is None:
        problem = f"there is no asset {ref.asset} whose gate could have judged it."
    elif stage.gate is not None:
        try:
            problem = _receipt_problem(lake.receipt(ref), ref)
        except LakeError as error:
            problem = str(error)
    return f"{ref.name}: {problem}" if problem else None


def _receipt_problem(receipt: Receipt | None, ref: InputRef) -> str | None:
    if receipt is None:
        return "its gate has not run."
    if receipt.manifest_digest != ref.digest:
        return f"its receipt speaks of the digest {receipt.manifest_digest[:12]}, not of {ref.digest[:12]}."
    if not receipt.passed:
        failed = ", ".join(f"{e.column} = {e.observed} (allowed: {e.allowed})" for e in receipt.failed[:3])
        return f"its gate failed: {receipt.error or failed}."
    return None
