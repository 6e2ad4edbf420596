"""From records to documents."""

import json
import re
from collections.abc import Iterator
from typing import Any

from assets.corpora.files import SourceFile
from assets.corpora.readers import Fault, read_records
from assets.recipe.data import Source

Document = dict[str, str | None]
UNKNOWN_LICENSE = "unknown"


_SURROGATE = re.compile("[\ud800-\udfff]")


def documents(name: str, source: Source, file: SourceFile) -> Iterator[Document | Fault]:
    """The documents of one file of source ``name``, in its order, and a Fault for each record that gives none.

    Records that the source leaves out give neither.
    """
    fields = field_names(source)
    for record in read_records(file, source.format):
        if isinstance(record, Fault):
            yield record
            continue
        line, values = record
        if any(_inner(values, field) in unwanted for field, unwanted in source.leave_out.items()):
            continue
        text = values.get(fields["text"])
        translation = values.get(fields["translation"]) if source.is_pairs else None
        for field, value in [("text", text)] + ([("translation", translation)] if source.is_pairs else []):
            if not isinstance(value, str) or not value.strip():
                found = (
                    "nothing"
                    if value is None
                    else "only white space"
                    if value == "" or isinstance(value, str)
                    else value
                )
                yield Fault(file.name, line, f"no text in the field {fields[field]!r}: found {found!r}")
                break
        else:
            try:
                yield _document(name, source, file, line, values, fields, str(text), translation)
            except (RecursionError, TypeError, ValueError) as error:
                said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
                yield Fault(file.name, line, f"the record cannot be kept: {said}")


def _inner(values: Any, field: str) -> Any:
    """The field of a record; ``meta.kind`` is the field ``kind`` of the object ``meta``."""
    for name in field.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def field_names(source: Source) -> dict[str, str]:
    """Which field of a record holds what; the recipe's ``fields`` go over the defaults of the format."""
    defaults = {
        "id": "id",
        "text": "text",
        "url": "url",
        "license": "license",
        "meta": "meta",
        "translation": "translation",
    }
    if source.format == "pairs_jsonl":
        defaults |= {"text": str(source.pair_language), "translation": source.language}
    if source.format == "pairs_tsv":
        defaults |= {"text": "0", "translation": "1", "id": "id", "license": "license"}
    return defaults | source.fields


def _document(
    name: str,
    source: Source,
    file: SourceFile,
    line: int,
    values: dict[str, Any],
    fields: dict[str, str],
    text: str,
    translation: str | None,
) -> Document:
    own_id = values.get(fields["id"])
    meta = values.get(fields["meta"])
    url = values.get(fields["url"])
    return {
        # The source in front makes ids unique over all sources.
        "id": storable(f"{name}:{_own_name(source, file, line, own_id)}"),
        "text": storable(text),
        "source": name,
        "language": source.language,
        "license": storable(str(source.license or values.get(fields["license"]) or UNKNOWN_LICENSE)),
        "translation": storable(translation) if translation is not None else None,
        "url": storable(str(url)) if url is not None else None,
        "meta": storable(json.dumps(meta, sort_keys=True, ensure_ascii=False)) if meta is not None else None,
    }


def _own_name(source: Source, file: SourceFile, line: int, own_id: Any) -> str:
    """What tells a document from the others of its source: its own id, with its line where ids repeat, or file and line."""
    if own_id is None:
        return f"{file.name}:{line}"
    return f"{own_id}#{line}" if source.ids == "line" else str(own_id)


def storable(text: str) -> str:
    """Lone surrogates, which JSON can hold and UTF-8 cannot, become replacement characters (U+FFFD), which the gate counts."""
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
