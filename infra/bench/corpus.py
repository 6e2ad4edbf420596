"""Corpora of any size for measuring, made by varying real ones."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

STRIDE = 7


def vary(text: str, variant: int) -> str:
    """The text with every seventh word replaced by another one of its own; variant 0 is the text itself.

    So few runs of five words stay whole that no two variants are near-duplicates, and lines and lengths stay as they are.
    """
    if not variant:
        return text
    words = text.split(" ")
    for place in range(variant % STRIDE, len(words), STRIDE):
        words[place] = words[(place * 31 + variant * 7) % len(words)]
    return " ".join(words)


def documents(files: list[Path]) -> list[dict[str, str]]:
    """The documents of JSON Lines files (``id``, ``text``)."""
    import fsspec

    found = []
    for file in files:
        with fsspec.open(str(file), "rt", compression="infer", encoding="utf-8") as stream:
            found += [json.loads(line) for line in stream]
    return found


def varied(base: list[dict[str, str]], size: int) -> Iterator[dict[str, str]]:
    """Documents until their text has ``size`` bytes: those of ``base``, then their variants."""
    written = 0
    for variant in itertools.count():
        for document in base:
            if written >= size:
                return
            text = vary(document["text"], variant)
            written += len(text.encode())
            yield {"id": f"{variant}/{document['id']}", "text": text, "license": "CC0-1.0"}


def write_corpus(base: list[dict[str, str]], folder: Path, size: int, files: int) -> int:
    """Write a corpus of ``size`` bytes of text as ``files`` JSON Lines files; return the bytes of text."""
    folder.mkdir(parents=True, exist_ok=True)
    streams = [(folder / f"corpus-{number}.jsonl").open("w", encoding="utf-8") for number in range(files)]
    total = 0
    for stream, document in zip(itertools.cycle(streams), varied(base, size), strict=False):
        stream.write(json.dumps(document, ensure_ascii=False) + "\n")
        total += len(document["text"].encode())
    for stream in streams:
        stream.close()
    return total


if __name__ == "__main__":
    # python -m infra.bench.corpus FOLDER MEGABYTES FILE...
    write_corpus(documents([Path(file) for file in sys.argv[3:]]), Path(sys.argv[1]), int(sys.argv[2]) * 1_000_000, 8)
