"""The texts a tokenizer is trained on and measured on: a uniform sample of each language within a budget of bytes.

Every document has a position that follows from its id and the recipe's seed alone. The documents of a language with the
lowest positions are trained on, up to the budget; those with the highest are held out, to measure on. So the sample does not
depend on the order of sources, files or parts, and the same documents are drawn whatever else is in the corpus between them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parts
from assets.recipe.data import Source
from assets.recipe.tokens import Tokenizer
from assets.words import TextBytes, Words, mix

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HELD_OUT_SHARE = 1 / 50
HELD_OUT_BYTES = 300_000
"""Documents of so much of a language's text, and at most so many bytes, are held out; at least one is."""
LOOKED_AT_BYTES = 8_000_000
"""Of the sample, so many bytes over all languages are encoded again, to see which tokens are used."""
LAST = 2**64 - 1


class EmptySampleError(ValueError):
    """A language has no text to train on."""


class Bound(NamedTuple):
    """The documents at positions below ``position``, and of the one at it the first ``rest`` bytes."""

    position: int
    rest: int


@dataclass(frozen=True)
class Draw:
    """What is drawn of a language: the ``sample``; of it what is ``looked_at`` again; from ``held_out`` on no document is in
    the sample, and all are measured on.
    """

    sample: Bound
    looked_at: Bound
    held_out: int


class Text(NamedTuple):
    """A drawn text: held out, or of the sample, and then perhaps among what is looked at again."""

    language: str
    document: str
    text: str
    held_out: bool
    looked_at: bool


def positions(ids: "pa.ChunkedArray", seed: int) -> "np.ndarray":
    """A number for each id, uniform over uint64, that follows from id and seed alone."""
    import numpy as np

    whole = TextBytes.of_column(ids)
    words = Words(whole, np.empty(0, np.int64), whole.bounds[:-1], whole.bounds[1:], np.arange(len(whole) + 1))
    return mix(words.hashes ^ mix(np.array([seed % 2**64], np.uint64)))


class Lowest:
    """The positions and sizes of the first documents, as many as a budget of bytes holds; what lies beyond is forgotten."""

    def __init__(self, budget: int) -> None:
        import numpy as np

        self.budget = budget
        self.positions = np.empty(0, np.uint64)
        self.sizes = np.empty(0, np.int64)

    def add(self, positions: "np.ndarray", sizes: "np.ndarray") -> None:
        """Take in documents: positions uint64 [n], sizes in bytes int64 [n]."""
        import numpy as np

        self.positions = np.concatenate([self.positions, positions])
        self.sizes = np.concatenate([self.sizes, sizes])
        if self.sizes.sum() > 2 * self.budget:
            self._sort()
            kept = int(np.searchsorted(np.cumsum(self.sizes), self.budget)) + 1
            self.positions, self.sizes = self.positions[:kept], self.sizes[:kept]

    def upto(self, budget: int, below: int = LAST) -> Bound:
        """Where a budget, no greater than the object's, is met by documents at positions below ``below``."""
        import numpy as np

        self._sort()
        reach = np.cumsum(self.sizes[self.positions < below])
        place = int(np.searchsorted(reach, budget))
        if place == len(reach):
            return Bound(below, 0)
        return Bound(int(self.positions[place]), budget - int(reach[place] - self.sizes[place]))

    def _sort(self) -> None:
        import numpy as np

        order = np.argsort(self.positions, kind="stable")
        self.positions, self.sizes = self.positions[order], self.sizes[order]


def draw(
    lake: Lake, corpora: Mapping[str, Manifest], sources: Mapping[str, Source], config: Tokenizer
) -> dict[str, Draw]:
    """What is drawn of each language; one pass over ids and sizes. Memory is that of the drawn documents' positions.

    Raises EmptySampleError for a language that has no document beside a held-out one.
    """
    import numpy as np
    import pyarrow.compute as pc

    draws = {}
    for language in sorted(config.sources):
        first, last = Lowest(config.sample_bytes), Lowest(HELD_OUT_BYTES)
        total = documents = 0
        for ids, texts in _columns(lake, corpora, sources, config, language):
            found, sizes = positions(ids, config.seed), np.asarray(pc.binary_length(texts), np.int64)
            first.add(found, sizes)
            last.add(~found, sizes)
            total += int(sizes.sum())
            documents += len(sizes)
        held_out = LAST - last.upto(min(HELD_OUT_BYTES, max(int(total * HELD_OUT_SHARE), 1))).position
        sample = first.upto(config.sample_bytes, below=held_out)
        if not (first.positions < held_out).any():
            raise EmptySampleError(
                f"tokenizer {config.name}: {', '.join(config.sources[language])} hold {documents} documents in {language}, "
                f"{total} bytes. One document is held out to measure on, and none is left to train on. Give sources.{language} "
                "sources with text, or leave the language out."
            )
        looked_at = first.upto(min(config.sample_bytes, LOOKED_AT_BYTES // len(config.sources)), below=held_out)
        draws[language] = Draw(sample, looked_at, held_out)
    return draws


def read(
    lake: Lake,
    corpora: Mapping[str, Manifest],
    sources: Mapping[str, Source],
    config: Tokenizer,
    draws: Mapping[str, Draw],
) -> Iterator[Text]:
    """The texts that ``draw`` has drawn; one pass, a part in memory at a time. The order is that of the corpora.

    The last document of a sample is cut where the budget ends, and a held-out one after ``HELD_OUT_BYTES``.
    """
    import numpy as np
    import pyarrow as pa

    for language, drawn in sorted(draws.items()):
        sample = drawn.sample
        for ids, texts in _columns(lake, corpora, sources, config, language):
            found = positions(ids, config.seed)
            wanted = (found < sample.position) | (found >= drawn.held_out)
            if sample.rest:
                wanted |= found == sample.position
            rows = pa.array(np.flatnonzero(wanted))
            chosen = zip(found[wanted].tolist(), ids.take(rows).to_pylist(), texts.take(rows).to_pylist(), strict=True)
            for position, document, text in chosen:
                held_out = position >= drawn.held_out
                rest = HELD_OUT_BYTES if held_out else sample.rest if position == sample.position else None
                looked_at = not held_out and position <= drawn.looked_at.position
                yield Text(language, document, text if rest is None else _cut(text, rest), held_out, looked_at)


def _cut(text: str, size: int) -> str:
    """The whole characters in the first ``size`` bytes of a text."""
    encoded = text.encode()
    return text if len(encoded) <= size else encoded[:size].decode(errors="ignore")


def _columns(
    lake: Lake, corpora: Mapping[str, Manifest], sources: Mapping[str, Source], config: Tokenizer, language: str
) -> "Iterator[tuple[pa.ChunkedArray, pa.ChunkedArray]]":
    """Ids and texts of the documents in a language, part by part; of pairs, the side in it."""
    for name in sorted(set(config.sources[language])):
        source = sources[name]
        column = "text" if not source.is_pairs or language == source.pair_language else "translation"
        for table in read_parts(lake, corpora[name], ["id", column]):
            yield table["id"], table[column]
