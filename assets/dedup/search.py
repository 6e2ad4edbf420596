"""Finding the duplicates of a pool: exact ones by digest, near ones by MinHash LSH and verification.

Two passes over the documents in priority order. The first keeps per document its digest (32 bytes) and one 64-bit key
per band (Broder 1997; Leskovec et al., Mining of Massive Datasets, sections 3.3 and 3.4). The second takes only the
documents that share a band with another one, and decides each of them against the survivors so far.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assets.dedup.text import MULTIPLIER, digest, jaccard, normalise, shingles
from assets.recipe.data import Dedup

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SEED = 1
COLUMNS = ("id", "source", "text", "translation")


@dataclass(frozen=True)
class Duplicate:
    """A document to remove, and the surviving one that it repeats; both as places in priority order."""

    document: int
    survivor: int
    kind: Literal["exact", "near"]
    similarity: float


@dataclass
class _Signatures:
    """What the first pass keeps: ``first`` int64 [documents], the first document with the same digest; ``keys`` uint64
    [near, bands] of the documents ``near`` (places, int64, ascending) that have shingles.
    """

    first: "np.ndarray"
    near: "np.ndarray"
    keys: "np.ndarray"


def find_duplicates(parts: "Callable[[], Iterable[pa.Table]]", config: Dedup) -> list[Duplicate]:
    """The documents to remove, in priority order.

    ``parts()`` gives the documents in priority order, as tables with the columns ``COLUMNS``; it is called twice.
    Walking in that order, a document goes when it is a duplicate of one that stays, so that each removed document is
    itself similar to its survivor; a chain of similar documents does not collapse into one.
    """
    import numpy as np

    signatures = _sign(parts(), config)
    first = signatures.first
    near = _walk(parts(), signatures, config)
    found = []
    copies = np.flatnonzero(first != np.arange(len(first))).tolist()
    for document in sorted([*copies, *near]):
        original = int(first[document])
        if original in near:
            # A copy of a document that goes itself is as similar to that one's survivor as the document is.
            survivor, similarity = near[original]
            found.append(Duplicate(document, survivor, "near", similarity))
        else:
            found.append(Duplicate(document, original, "exact", 1.0))
    return found


def _sign(parts: "Iterable[pa.Table]", config: Dedup) -> _Signatures:
    import numpy as np
    import pyarrow as pa

    digests: list[np.ndarray] = []
    places: list[np.ndarray] = []
    keys: list[np.ndarray] = []
    start = 0
    for part in parts:
        found, texts, near = [], [], []
        for place, (text, translation) in enumerate(_sides(part), start=start):
            plain = normalise(text)
            found.append(digest(plain, None if translation is None else normalise(translation)))
            # As many spaces as words, less one.
            if translation is None and plain and plain.count(" ") + 1 >= config.shingle:
                near.append(place)
                texts.append(plain)
        digests.append(np.frombuffer(b"".join(found), dtype="S32"))
        places.append(np.array(near, dtype=np.int64))
        keys.append(band_keys(minhash(pa.array(texts, pa.large_string()), config), config))
        start += part.num_rows
    digest_of = np.concatenate(digests) if digests else np.empty(0, dtype="S32")
    _, index, inverse = np.unique(digest_of, return_index=True, return_inverse=True)
    first = index[inverse] if len(index) else np.empty(0, dtype=np.int64)
    all_places = np.concatenate(places) if places else np.empty(0, dtype=np.int64)
    all_keys = np.concatenate(keys) if keys else np.empty((0, config.bands), dtype=np.uint64)
    originals = first[all_places] == all_places
    return _Signatures(first, all_places[originals], all_keys[originals])


def minhash(texts: "pa.Array", config: Dedup) -> "np.ndarray":
    """Daft's MinHash over word shingles of normalised texts: uint32 [texts, bands * rows]."""
    import daft
    import numpy as np
    import pyarrow as pa

    hashes = config.bands * config.rows
    if not len(texts):
        return np.empty((0, hashes), dtype=np.uint32)
    frame = daft.from_arrow(pa.table({"place": pa.array(np.arange(len(texts))), "text": texts}))
    signature = daft.col("text").minhash(num_hashes=hashes, ngram_size=config.shingle, seed=SEED)
    signed = frame.select(daft.col("place"), signature.alias("hashes")).to_arrow()
    # Another runner may give the rows in another order.
    values = signed.sort_by("place")["hashes"].combine_chunks()
    return np.asarray(values.flatten()).reshape(-1, hashes)


def band_keys(signatures: "np.ndarray", config: Dedup) -> "np.ndarray":
    """One 64-bit key per band of ``rows`` hashes: uint64 [texts, bands]. Equal bands have equal keys."""
    import numpy as np

    banded = signatures.astype(np.uint64).reshape(-1, config.bands, config.rows)
    keys = np.zeros(banded.shape[:2], dtype=np.uint64)
    for row in range(config.rows):
        keys = (keys ^ banded[:, :, row]) * np.uint64(MULTIPLIER)
        keys ^= keys >> np.uint64(32)
    return keys


def _walk(parts: "Iterable[pa.Table]", signatures: _Signatures, config: Dedup) -> dict[int, tuple[int, float]]:
    """The near-duplicates: place -> (place of the first similar survivor, similarity)."""
    import numpy as np

    shared = _shared(signatures.keys)
    candidates = dict(zip(signatures.near[shared].tolist(), np.flatnonzero(shared).tolist(), strict=True))
    buckets: list[dict[int, list[int]]] = [{} for _ in range(config.bands)]
    sets: dict[int, np.ndarray] = {}
    removed: dict[int, tuple[int, float]] = {}
    start = 0
    for part in parts:
        wanted = [place for place in range(start, start + part.num_rows) if place in candidates]
        texts = part["text"].take(np.array(wanted, dtype=np.int64) - start).to_pylist()
        start += part.num_rows
        for place, text in zip(wanted, texts, strict=True):
            own = shingles(normalise(text).split(), config.shingle)
            keys = signatures.keys[candidates[place]].tolist()
            rivals = {rival for bucket, key in zip(buckets, keys, strict=True) for rival in bucket.get(key, ())}
            for rival in sorted(rivals):
                similarity = jaccard(own, sets[rival])
                if similarity >= config.threshold:
                    removed[place] = (rival, similarity)
                    break
            else:
                sets[place] = own
                for bucket, key in zip(buckets, keys, strict=True):
                    bucket.setdefault(key, []).append(place)
    return removed


def _shared(keys: "np.ndarray") -> "np.ndarray":
    """Which rows have a key that another row has in the same column: bool [rows]."""
    import numpy as np

    shared = np.zeros(len(keys), dtype=bool)
    for band in range(keys.shape[1]):
        _, inverse, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shared |= counts[inverse] > 1
    return shared


def _sides(part: "pa.Table") -> Iterator[tuple[str, str | None]]:
    return zip(part["text"].to_pylist(), part["translation"].to_pylist(), strict=True)
