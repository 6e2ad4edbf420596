"""What a version, a file or a document has touched: everything that was made from it, to the checkpoints and their scores.

Every manifest of the lake is read once; the rest follows from the digests of their inputs. Of a document it is exact which
training steps saw it: its places in the shards are looked up, and the sample index says which samples hold them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.lake import Lake, Manifest
from assets.recipe.catalog import split

if TYPE_CHECKING:
    from assets.reports.consumed import Ints

Row = dict[str, Any]
CORPORA = ("raw_corpus", "clean_corpus", "deduplicated_corpus", "decontaminated_corpus")
DIGEST = re.compile(r"[0-9a-f]{6,64}")


class TaintError(ValueError):
    """Nothing in the lake goes by that name. The message says what is asked for."""


@dataclass(frozen=True)
class Graph:
    """All versions of a lake by digest, and by the digest of an input the versions that were made from it."""

    lake: Lake
    versions: Mapping[str, Manifest]
    made_of: Mapping[str, Sequence[Manifest]]

    @classmethod
    def read(cls, lake: Lake) -> "Graph":
        versions = {manifest.digest: manifest for manifest in lake.manifests()}
        made_of: dict[str, list[Manifest]] = {}
        for manifest in versions.values():
            for ref in manifest.inputs:
                made_of.setdefault(ref.digest, []).append(manifest)
        return cls(lake, versions, made_of)

    def downstream(self, origins: Iterable[Manifest]) -> dict[str, Manifest]:
        """``origins`` and everything that was made from them, by digest."""
        found: dict[str, Manifest] = {}
        todo = list(origins)
        while todo:
            manifest = todo.pop()
            if manifest.digest not in found:
                found[manifest.digest] = manifest
                todo += self.made_of.get(manifest.digest, [])
        return found

    def of(self, asset: str, *sources: str) -> list[Manifest]:
        """The versions of an asset, of these sources alone where any are given, in order of their names."""
        of_asset = [m for m in self.versions.values() if m.asset == asset]
        kept = [m for m in of_asset if not sources or m.partition.split("--")[0] in sources]
        return sorted(kept, key=lambda m: m.name)


@dataclass
class Places:
    """Where a document is: versions of corpora, and (prefix in the lake, number, rendering) in shards by their version."""

    corpora: list[Manifest] = field(default_factory=list)
    shards: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)


def tainted_by(lake: Lake, what: str) -> Row:
    """Everything that ``what`` has touched: a document's id, the name of a version, or the first characters (6 or more) of a
    version's name or digest, or of the SHA-256 of a file.

    ``origins``, ``versions`` (made from them), ``checkpoints`` and ``scores``; of a document also ``document``: its places in
    shards and the steps that saw it. Raises TaintError.
    """
    graph = Graph.read(lake)
    origins = _origins(graph, what)
    if origins:
        touched = graph.downstream(manifest for manifest, _ in origins)
        return {
            "what": what,
            "origins": [{"version": m.name, "digest": m.digest, "file": file} for m, file in origins],
            "versions": _names(touched.values()),
            "checkpoints": [_checkpoint(m, "made from it") for m in _of(touched.values(), "checkpoint")],
            "scores": _scores(graph, touched),
        }
    if ":" in what:
        return _document(graph, what)
    raise TaintError(
        f"Nothing in the lake {lake.uri} goes by {what!r}. Give a document's id (SOURCE:NAME), ASSET/PARTITION/VERSION, or "
        "the first 6 or more characters of a version or of the digest of a version or file; `tokka lake ls` lists versions."
    )


def _origins(graph: Graph, what: str) -> list[tuple[Manifest, str | None]]:
    """The versions that ``what`` names, each with the file where it names one."""
    every = sorted(graph.versions.values(), key=lambda m: m.name)
    if named := [(m, None) for m in every if m.name == what]:
        return [*named]
    prefix = what.lower().removeprefix("sha256:")
    if not DIGEST.fullmatch(prefix):
        return []
    if versions := [m for m in every if m.digest.startswith(prefix) or m.version.startswith(prefix)]:
        if len({m.digest for m in versions}) > 1:
            names = ", ".join(m.name for m in versions[:5])
            raise TaintError(f"{what!r} begins the digests of {len(versions)} versions: {names}. Give more characters.")
        return [(versions[0], None)]
    return [(m, entry.path) for m in every for entry in m.files if entry.sha256.startswith(prefix)]


def _names(manifests: Iterable[Manifest]) -> list[Row]:
    return [{"version": m.name, "digest": m.digest} for m in sorted(manifests, key=lambda m: m.name)]


def _of(manifests: Iterable[Manifest], asset: str) -> list[Manifest]:
    return sorted((m for m in manifests if m.asset == asset), key=lambda m: m.name)


def _checkpoint(manifest: Manifest, why: str) -> Row:
    return {
        "version": manifest.name,
        "recipe": split(manifest.partition)[0],
        "step": int(manifest.counts["step"]),
        "tokens": int(manifest.counts["tokens"]),
        "why": why,
    }


def _scores(graph: Graph, touched: Mapping[str, Manifest], exact: bool = False) -> list[Row]:
    """The scores of touched evaluations: all where the checkpoint is touched, else those of the touched benchmarks.

    With ``exact`` an evaluation counts only where its checkpoint does.
    """
    rows = []
    for evaluation in _of(touched.values() if not exact else graph.versions.values(), "evaluation"):
        inputs = [ref for ref in evaluation.inputs if ref.digest in touched]
        model = any(ref.asset == "checkpoint" for ref in inputs)
        benchmarks = {ref.partition for ref in inputs if ref.asset == "benchmark"}
        if exact and not model:
            continue
        tasks = graph.lake.read_json(evaluation, "results.json")["tasks"]
        for name, task in sorted(tasks.items()):
            if model or name in benchmarks:
                why = " and ".join(["the checkpoint"] * model + ["the items"] * (name in benchmarks))
                rows += [
                    {
                        "evaluation": evaluation.name,
                        "recipe": split(evaluation.partition)[0],
                        "step": int(evaluation.counts["step"]),
                        "task": name,
                        "metric": metric,
                        "score": score,
                        "why": why,
                    }
                    for metric, score in sorted(task["metrics"].items())
                ]
    return rows


def _document(graph: Graph, document: str) -> Row:
    """What a document has touched."""
    places = _places(graph, document)
    if not places.corpora:
        sources = sorted({m.partition for m in graph.of("raw_corpus")})
        raise TaintError(
            f"No corpus in the lake {graph.lake.uri} holds the document {document!r}. An id is SOURCE:NAME; the sources in the "
            f"lake are: {', '.join(sources) or 'none'}."
        )
    training, seen, kept = _training(graph, places)
    touched = _weights(graph, training)
    holders = {m.digest for m in places.corpora} | {d for d, m in graph.versions.items() if m.name in places.shards}
    trained = {manifest.digest: manifest for manifest, _ in touched.values()}
    tokenizers = [
        m for m in graph.of("tokenizer") if any(ref.digest in holders for ref in m.inputs if ref.asset in CORPORA)
    ]
    return {
        "what": document,
        "origins": [{"version": m.name, "digest": m.digest, "file": None} for m in places.corpora],
        "document": {
            "shards": [
                {"version": version, "shard": prefix, "number": number, "rendering": rendering}
                for version, found in sorted(places.shards.items())
                for prefix, number, rendering in found
            ],
            "training": seen,
            "validation": kept,
            "tokenizers": [m.name for m in tokenizers],
        },
        "versions": _names(m for d, m in graph.versions.items() if d in holders or d in trained),
        "checkpoints": [_checkpoint(m, why) for m, why in sorted(touched.values(), key=lambda found: found[0].name)],
        "scores": _scores(graph, trained, exact=True),
    }


def _places(graph: Graph, document: str) -> Places:
    """Every version of the document's source that holds it."""
    from assets.reports.document import rows_with

    source = document.split(":", 1)[0]
    places = Places()
    for asset in CORPORA:
        for manifest in graph.of(asset, source):
            if rows_with(graph.lake, manifest, "documents/", "id", document):
                places.corpora.append(manifest)
    if not places.corpora:
        return places
    for manifest in graph.of("tokenized_shards", source):
        found = _numbers(graph.lake, manifest, document)
        if found:
            places.shards[manifest.name] = found
    return places


def _numbers(lake: Lake, shards: Manifest, document: str) -> list[tuple[str, int, str]]:
    """The places of a document in a source's shards: the shard's prefix, the number in it, the rendering."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = []
    for entry in shards.under("documents"):
        with lake.open_file(shards, entry.path) as stream:
            file = pq.ParquetFile(stream)
            start = 0
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, ["document", "rendering"])
                ids = table["document"].combine_chunks()
                prefix = f"{shards.name}/shards/{entry.path.split('/')[-1].removesuffix('.parquet')}"
                for place in pc.indices_nonzero(pc.equal(ids, document)).to_pylist():
                    found.append((prefix, start + place, str(table["rendering"][place].as_py())))
                start += table.num_rows
    return found


def _training(graph: Graph, places: Places) -> "tuple[list[tuple[Manifest, Ints]], list[Row], list[Row]]":
    """Which samples each run trained on that hold the document; that for people; and where it is kept for validation."""
    from assets.reports.consumed import samples_with, steps_of, training_of

    runs, rows, kept = [], [], []
    for mixture in graph.of("mixture"):
        used = [ref.name for ref in mixture.inputs if ref.name in places.shards]
        if not used:
            continue
        numbers: dict[str, list[int]] = {}
        for name in used:
            for prefix, number, _ in places.shards[name]:
                numbers.setdefault(prefix, []).append(number)
        kept += _kept(graph.lake, mixture, numbers)
        samples = samples_with(graph.lake, mixture, numbers)
        made = [m for m in graph.made_of.get(mixture.digest, []) if m.asset == "pretraining_run"]
        for run in sorted(made, key=lambda m: m.name):
            training = training_of(graph.lake, run)
            trained = training.trained(samples)
            runs.append((run, trained))
            steps = steps_of(trained, training.global_batch)
            rows.append({"run": run.name, "mixture": mixture.name, "samples": trained.tolist(), "steps": steps})
        if not made:
            rows.append({"run": None, "mixture": mixture.name, "samples": samples.tolist(), "steps": []})
    return runs, rows, kept


def _kept(lake: Lake, mixture: Manifest, numbers: Mapping[str, Sequence[int]]) -> list[Row]:
    """The places that a mixture keeps for validation."""
    return [
        {"mixture": mixture.name, "shard": file["prefix"], "number": number}
        for source in lake.read_json(mixture, "mixture.json")["sources"]
        for file in source["files"]
        for number in numbers.get(file["prefix"], ())
        if number >= file["training_documents"]
    ]


def _weights(graph: Graph, runs: "Sequence[tuple[Manifest, Ints]]") -> dict[str, tuple[Manifest, str]]:
    """The checkpoints whose weights have seen a sample, and those of runs that go on from them, by digest with the reason."""
    from assets.reports.consumed import first_step, training_of

    touched: dict[str, tuple[Manifest, str]] = {}
    for run, samples in runs:
        first = first_step(training_of(graph.lake, run), samples)
        for checkpoint in _of(graph.made_of.get(run.digest, []), "checkpoint"):
            if first is not None and first <= checkpoint.counts["step"]:
                touched[checkpoint.digest] = (checkpoint, f"trained on it, first in step {first:,}")
    todo = list(touched)
    while todo:
        parent = touched[todo.pop()][0]
        for run in _of(graph.made_of.get(parent.digest, []), "pretraining_run"):
            for checkpoint in _of(graph.made_of.get(run.digest, []), "checkpoint"):
                if checkpoint.digest not in touched:
                    touched[checkpoint.digest] = (checkpoint, f"goes on from {parent.name}")
                    todo.append(checkpoint.digest)
    return touched
