"""The texts a tokenizer is trained on and measured on: a uniform sample of each language within a byte budget."""

import hashlib
from collections.abc import Iterator

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parts
from assets.recipe.data import Source
from assets.recipe.tokens import Tokenizer

HELD_OUT = 50
"""One document of so many is kept out of the sample, to measure on."""


def _position(document_id: str, seed: int) -> float:
    """A number in [0, 1) that follows from id and seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{document_id}".encode()).digest()[:8], "big") / 2**64


def _texts(lake: Lake, manifest: Manifest, source: Source, language: str) -> Iterator[tuple[str, str]]:
    """(id, text) of a source's documents in ``language``; of pairs, the side in it."""
    column = "text" if not source.is_pairs or language == source.pair_language else "translation"
    for table in read_parts(lake, manifest, ["id", column]):
        yield from zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True)


def _held_out(document_id: str, seed: int) -> bool:
    return int(_position(document_id, seed + 1) * HELD_OUT) == 0


def training_texts(
    lake: Lake, inputs: dict[str, Manifest], sources: dict[str, Source], config: Tokenizer
) -> Iterator[tuple[str, str]]:
    """(language, text) of the sample: of each language every document with the same probability, ``sample_bytes`` in all.

    Memory stays bounded: the documents are read twice, once for their size and once for their text.
    """
    for language, names in sorted(config.sources.items()):
        total = sum(
            len(text.encode()) for name in names for _, text in _texts(lake, inputs[name], sources[name], language)
        )
        share = config.sample_bytes / max(total, 1)
        used = 0
        for name in sorted(names):
            for document_id, text in _texts(lake, inputs[name], sources[name], language):
                if _held_out(document_id, config.seed) or _position(document_id, config.seed) >= share:
                    continue
                used += len(text.encode())
                if used > config.sample_bytes:
                    break
                yield language, text


def held_out_texts(
    lake: Lake, inputs: dict[str, Manifest], sources: dict[str, Source], config: Tokenizer, budget: int = 300_000
) -> dict[str, list[str]]:
    """Per language, texts that the sample does not hold, about ``budget`` characters."""
    held_out: dict[str, list[str]] = {}
    for language, names in sorted(config.sources.items()):
        texts: list[str] = []
        for name in sorted(names):
            left = budget // len(names)
            for document_id, text in _texts(lake, inputs[name], sources[name], language):
                if left <= 0:
                    break
                if _held_out(document_id, config.seed):
                    texts.append(text[:left])
                    left -= len(text)
        held_out[language] = texts
    return held_out
