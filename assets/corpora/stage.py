"""The stage raw_corpus: one version per source, made from the source's files."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assets.corpora import gate
from assets.corpora.documents import documents
from assets.corpora.files import find_files
from assets.corpora.readers import Fault
from assets.lake import Lake, Manifest
from assets.lake.documents import PART_CHARACTERS, PART_ROWS, document_schema, read_parts, write_parts
from assets.recipe.catalog import Catalog
from assets.stage import Shown, Stage, Table, Work

if TYPE_CHECKING:
    import pyarrow as pa

FAULTS = "faults.jsonl"


def config(catalog: Catalog, source: str) -> dict[str, Any]:
    """What decides a raw corpus: how records are read, and the bytes of the files; not where they lie."""
    declared = catalog.sources[source].model_dump(
        mode="json", include={"format", "language", "pair_language", "license", "ids", "fields", "leave_out"}
    )
    files = find_files(catalog.sources[source].files, f"sources.{source}.files")
    return {**declared, "files": {f.name: f.identity for f in files}}


def make(work: Work) -> None:
    """Read every record of the source; write documents, and the faults by file and line."""
    import pyarrow as pa

    source = work.catalog.sources[work.key]
    files = find_files(source.files, f"sources.{work.key}.files")
    faults: list[Fault] = []

    def tables() -> "Iterator[pa.Table]":
        schema = document_schema()
        rows: list[dict[str, str | None]] = []
        size = 0
        for number, file in enumerate(files, start=1):
            work.log.info("reading file %d of %d, %s", number, len(files), file.name)
            for item in documents(work.key, source, file):
                if isinstance(item, Fault):
                    faults.append(item)
                    continue
                rows.append(item)
                size += len(item["text"] or "") + len(item["translation"] or "")
                if len(rows) == PART_ROWS or size >= PART_CHARACTERS:
                    yield pa.Table.from_pylist(rows, schema)
                    rows, size = [], 0
        if rows:
            yield pa.Table.from_pylist(rows, schema)

    count = write_parts(work.out, tables())
    lines = [json.dumps(vars(f), ensure_ascii=False) + "\n" for f in faults]
    work.out.stage(FAULTS).write_text("".join(lines), "utf-8")
    work.out.add(FAULTS, rows=len(faults))
    for fault in faults[:20]:
        work.log.warning("%s, line %d: %s", fault.file, fault.line, fault.what)
    damaged = {f.file for f in faults if f.whole_file}
    work.out.counts.update(documents=count, bad_records=len(faults), files=len(files), damaged_files=len(damaged))


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """A few documents, and the first faults."""
    first = next(read_parts(lake, manifest, ["id", "text"]))
    shown: dict[str, Shown] = {
        "sample": Table([{"id": r["id"], "text": r["text"][:200]} for r in first.slice(0, 5).to_pylist()])
    }
    faults = lake.fs.cat_file(lake.path(manifest, FAULTS)).decode().splitlines()
    if faults:
        shown["faults"] = Table([json.loads(line) for line in faults[:20]])
    return shown


STAGE = Stage(
    asset="raw_corpus",
    space="source",
    description="The documents of a source as they came, in one schema; records that cannot be read are counted and named.",
    keys=lambda catalog: list(catalog.sources),
    inputs=lambda catalog, key: [],
    config=config,
    code=("assets.corpora.documents", "assets.corpora.readers", "assets.lake.documents"),
    make=make,
    gate=gate.GATE,
    show=show,
)
