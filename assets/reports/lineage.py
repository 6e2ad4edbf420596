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


def versions_behind(lake: Lake, start: Manifest) -> list[Manifest]:
    """``start`` and all versions that it was made from, each once, in order of their names.

    Unlike ``walk`` it takes several versions of one partition: a run may go on from a checkpoint that older ones led to.
    """
    found: dict[str, Manifest] = {}
    todo = [start]
    while todo:
        manifest = todo.pop()
        if manifest.digest not in found:
            found[manifest.digest] = manifest
            todo += [lake.manifest(ref) for ref in manifest.inputs if ref.digest not in found]
    return sorted(found.values(), key=lambda manifest: manifest.name)


def made_from(lake: Lake, manifest: Manifest, asset: str) -> Manifest:
    """The one version of ``asset`` that ``manifest`` was made from directly. Raises ValueError where there is not just one."""
    found = [ref for ref in manifest.inputs if ref.asset == asset]
    if len(found) != 1:
        raise ValueError(f"{manifest.name} was made from {len(found)} versions of {asset}; one was expected")
    return lake.manifest(found[0])
