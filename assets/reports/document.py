"""What every stage did with one document, read from the versions in the lake."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from assets.lake import Lake, Manifest

EXCERPT = 200
CHANGES = 20
"""Lines of a difference that are shown."""


@dataclass(frozen=True)
class Passage:
    """What a stage's version did with the document: a word for it, a sentence, and details."""

    asset: str
    partition: str
    version: str
    decision: str
    what: str
    details: list[str] = field(default_factory=list)


class DocumentError(ValueError):
    """No version in the lake holds the document."""


def document_passages(lake: Lake, document: str) -> list[Passage]:
    """The way of a document from its raw corpus as far as it came, by the newest version of each stage.

    A document's id begins with its source. Each stage's version is the newest of those that were made from the one before
    it. Raises DocumentError where no raw corpus in the lake holds the document.
    """
    source = document.split(":", 1)[0]
    raw = _newest(m for m in lake.manifests("raw_corpus", source) if _row(lake, m, document) is not None)
    if raw is None:
        known = sorted({m.partition for m in lake.manifests("raw_corpus")})
        raise DocumentError(
            f"No raw corpus in the lake {lake.uri} holds the document {document!r}. An id is SOURCE:NAME; the sources in "
            f"the lake are: {', '.join(known) or 'none'}."
        )
    passages = [_raw(lake, raw, document)]
    before = raw
    steps: list[tuple[str, Callable[[Lake, Manifest, Manifest, str], Passage]]] = [
        ("clean_corpus", _clean),
        ("deduplicated_corpus", _deduplicated),
        ("decontaminated_corpus", _decontaminated),
    ]
    for asset, describe in steps:
        after = _newest(m for m in lake.manifests(asset, source) if _reads(m, before))
        if after is None:
            return passages
        passages.append(describe(lake, before, after, document))
        if passages[-1].decision == "removed":
            return passages
        before = after
    shards = [m for m in lake.manifests("tokenized_shards") if _reads(m, before)]
    for shard in shards:
        passages.append(_tokenized(lake, shard, document))
    for mixture in lake.manifests("mixture"):
        passages += [_mixed(lake, mixture, source) for shard in shards if _reads(mixture, shard)]
    return passages


def _newest(manifests: Iterator[Manifest]) -> Manifest | None:
    return max(manifests, key=lambda m: (m.started, m.version), default=None)


def _reads(manifest: Manifest, before: Manifest) -> bool:
    return any(ref.digest == before.digest for ref in manifest.inputs)


def rows_with(lake: Lake, manifest: Manifest, folder: str, column: str, value: str) -> list[dict[str, Any]]:
    """The rows of a version's Parquet files in ``folder`` whose ``column`` is ``value``; only that column is read whole."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = []
    for entry in manifest.files:
        if not entry.path.endswith(".parquet") or not entry.path.startswith(folder):
            continue
        with lake.open_file(manifest, entry.path) as stream:
            file = pq.ParquetFile(stream)
            for group in range(file.num_row_groups):
                # One array, since Arrow's indices_nonzero crashes on a column without chunks.
                ids = file.read_row_group(group, [column])[column].combine_chunks()
                places = pc.indices_nonzero(pc.equal(ids, value))
                if len(places):
                    found += file.read_row_group(group).take(places).to_pylist()
    return found


def _row(lake: Lake, manifest: Manifest, document: str, folder: str = "documents/") -> dict[str, Any] | None:
    rows = rows_with(lake, manifest, folder, "id", document)
    return rows[0] if rows else None


def _passage(manifest: Manifest, decision: str, what: str, details: list[str] | None = None) -> Passage:
    return Passage(manifest.asset, manifest.partition, manifest.version, decision, what, details or [])


def _raw(lake: Lake, raw: Manifest, document: str) -> Passage:
    row = _row(lake, raw, document) or {}
    what = f"{len(row['text']):,} characters, declared {row['language']}, licence {row['license']}"
    return _passage(raw, "read", what, [_excerpt(row["text"])])


def _clean(lake: Lake, raw: Manifest, clean: Manifest, document: str) -> Passage:
    removed = _row(lake, clean, document, "removed/")
    if removed is not None:
        return _passage(clean, "removed", f"the test {removed['reason']} failed", [_excerpt(removed["excerpt"])])
    return _kept(lake, raw, clean, document)


def _kept(lake: Lake, before: Manifest, after: Manifest, document: str) -> Passage:
    """A document that is kept, with how its text changed."""
    old, new = _row(lake, before, document), _row(lake, after, document)
    if old is None or new is None:
        return _passage(after, "missing", "neither kept nor removed: the version has lost it")
    changes = [line for side in ("text", "translation") for line in _changes(old[side] or "", new[side] or "")]
    if not changes:
        return _passage(after, "kept", "as it was")
    shown = changes[:CHANGES] + ([f"... and {len(changes) - CHANGES} more"] if len(changes) > CHANGES else [])
    return _passage(after, "edited", f"{sum(line.startswith('-') for line in changes)} lines changed or cut", shown)


def _changes(old: str, new: str) -> list[str]:
    """Lines that went ("- ...") and came ("+ ...")."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [
        f"{line[0]} {line[1:EXCERPT]}"
        for line in lines
        if line[:1] in ("-", "+") and line[:3] not in ("---", "+++") and line[1:].strip()
    ]


def _deduplicated(lake: Lake, clean: Manifest, deduplicated: Manifest, document: str) -> Passage:
    removed = _row(lake, deduplicated, document, "removed/")
    if removed is not None:
        kind, survivor = removed["kind"], removed.get("survivor")
        what = f"{kind} duplicate of {survivor}" if survivor else f"{kind}: most of it stood in the source before"
        similarity = removed.get("similarity")
        return _passage(deduplicated, "removed", what + (f", similarity {similarity:.3f}" if similarity else ""))
    kept = _kept(lake, clean, deduplicated, document)
    stands_for: list[str] = []
    for ref in deduplicated.inputs:
        if ref.asset == "duplicates":
            stands_for = [row["id"] for row in rows_with(lake, lake.manifest(ref), "duplicates", "survivor", document)]
    if not stands_for:
        return kept
    names = ", ".join(stands_for[:10]) + (" ..." if len(stands_for) > 10 else "")
    return _passage(deduplicated, kept.decision, f"{kept.what}; stands for {len(stands_for)}: {names}", kept.details)


def _decontaminated(lake: Lake, before: Manifest, after: Manifest, document: str) -> Passage:
    matches = rows_with(lake, after, "matches", "document", document)
    found = [f"{m['benchmark']}, item {m['item']}, {m['words']} words: {_excerpt(m['excerpt'])}" for m in matches]
    if _row(lake, after, document) is None and matches:
        return _passage(after, "removed", f"holds text of {len(matches)} benchmark items", found[:CHANGES])
    kept = _kept(lake, before, after, document)
    what = kept.what if not matches else f"{kept.what}: text of {len(matches)} benchmark items"
    return _passage(after, kept.decision, what, found[:CHANGES] + kept.details)


def _tokenized(lake: Lake, shard: Manifest, document: str) -> Passage:
    ranges = [
        f"{row['rendering']}: tokens {row['token_offset']:,} to {row['token_offset'] + row['length']:,}"
        for row in rows_with(lake, shard, "documents/", "document", document)
    ]
    return _passage(shard, "tokenized", "; ".join(ranges) or "it is not in the shard")


def _mixed(lake: Lake, mixture: Manifest, source: str) -> Passage:
    entry = next(s for s in lake.read_json(mixture, "mixture.json")["sources"] if s["source"] == source)
    return _passage(mixture, "mixed", f"{entry['epochs']:.2f} epochs of its source, weight {entry['weight']:.4f}")


def _excerpt(text: str) -> str:
    return " ".join(text[:EXCERPT].split())
