"""Walking from a version back to everything that it was made from."""

from assets.lake import InputRef, Lake, Manifest


def walk(lake: Lake, start: Manifest) -> dict[str, dict[str, Manifest]]:
    """All versions that ``start`` was made from, and itself: by asset, then by partition.

    Within the lineage of one version an asset's partition occurs in one version; raises ValueError where it does not.
    """
    found: dict[str, dict[str, Manifest]] = {}
    todo: list[InputRef] = [start.ref]
    while todo:
        ref = todo.pop()
        known = found.setdefault(ref.asset, {}).get(ref.partition)
        if known is not None:
            if known.digest != ref.digest:
                raise ValueError(f"the lineage of {start.name} holds two versions of {ref.asset}/{ref.partition}")
            continue
        manifest = lake.manifest(ref)
        found[ref.asset][ref.partition] = manifest
        todo.extend(manifest.inputs)
    return found
