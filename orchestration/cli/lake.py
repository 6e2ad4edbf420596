"""``tokka lake``."""

from assets.lake import Lake, LakeError, Manifest
from orchestration.cli.context import open_profile
from orchestration.cli.output import Exit, err, fail, out, print_json, print_table


def _manifests(lake: Lake, asset: str | None, partition: str | None) -> list[Manifest]:
    try:
        return list(lake.manifests(asset, partition))
    except LakeError as error:
        fail(str(error), Exit.GATE_FAILED)


def ls_command(asset: str | None, partition: str | None, uri: str | None, as_json: bool) -> None:
    """List versions with their sizes and how their gates judged."""
    lake = open_profile(uri).lake
    rows = []
    for manifest in _manifests(lake, asset, partition):
        receipt = lake.receipt(manifest)
        rows.append(
            {
                "asset": manifest.asset,
                "partition": manifest.partition,
                "version": manifest.version,
                "digest": manifest.digest[:12],
                "made": manifest.started,
                "files": len(manifest.files),
                "bytes": sum(f.size for f in manifest.files),
                "gate": "-" if receipt is None else "passed" if receipt.passed else "failed",
            }
        )
    print_json(rows) if as_json else print_table(rows)


def show_command(version: str, uri: str | None, as_json: bool) -> None:
    """Print a version's manifest and receipt."""
    lake = open_profile(uri).lake
    found = [m for m in _manifests(lake, None, None) if m.name == version or m.digest.startswith(version)]
    if len(found) != 1:
        fail(f"{version!r} names {len(found)} versions of the lake {lake.uri}; `tokka lake ls` lists them.")
    receipt = lake.receipt(found[0])
    if as_json:
        print_json(
            {
                "manifest": found[0].model_dump(mode="json"),
                "receipt": receipt.model_dump(mode="json") if receipt else None,
            }
        )
        return
    manifest = found[0]
    out.print(
        f"{manifest.name}\ndigest  {manifest.digest}\nmade    {manifest.started}, {manifest.seconds} s, on {manifest.host}"
    )
    for ref in manifest.inputs:
        out.print(f"from    {ref.name}  {ref.digest[:12]}")
    for name, reason in manifest.accepted_risks.items():
        out.print(f"risk    {name}: {reason}", markup=False)
    print_table([{"count": name, "value": value} for name, value in manifest.counts.items()])
    print_table(
        [
            {"file": f.path, "bytes": f.size, "rows": f.rows if f.rows is not None else "", "sha256": f.sha256[:16]}
            for f in manifest.files
        ]
    )
    if receipt:
        print_table(
            [
                {
                    "passed": e.passed,
                    "column": e.column,
                    "observed": e.observed,
                    "allowed": e.allowed,
                    "what": e.meaning,
                }
                for e in receipt.expectations
            ]
        )


def verify_command(asset: str | None, partition: str | None, uri: str | None, as_json: bool) -> None:
    """Read every file again; leave with 1 when one differs from its manifest."""
    lake = open_profile(uri).lake
    faults, versions, size = [], 0, 0
    for manifest in _manifests(lake, asset, partition):
        faults += lake.verify(manifest)
        versions += 1
        size += sum(f.size for f in manifest.files)
    if as_json:
        print_json({"versions": versions, "bytes": size, "faults": faults})
    else:
        for fault in faults:
            err.print(fault, markup=False)
        out.print(f"{versions} versions, {size / 1e6:,.1f} MB read, {len(faults)} faults.")
    if faults:
        fail(
            f"{len(faults)} files differ from their manifests. Remove their versions and run the recipe again.",
            Exit.GATE_FAILED,
        )
