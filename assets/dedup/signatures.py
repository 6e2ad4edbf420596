"""What the search for duplicates looks at first: of each document a digest, and the keys of its LSH bands.

MinHash: of the hashes of a text's shingles, the smallest under each of several permutations; two texts agree in one with
the probability of their Jaccard similarity (Broder 1997). The values of a band are hashed into one key, and texts with an
equal key are compared (Leskovec et al., Mining of Massive Datasets, sections 3.3 and 3.4).
"""

from typing import TYPE_CHECKING

from assets.dedup.text import digests, normalised, shingle_sets, words_of
from assets.recipe.data import Dedup
from assets.words import Words, mix, ngram_hashes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def signature_schema() -> "pa.Schema":
    """``digest`` (16 bytes), and ``keys``: one for each band, none for what is only compared exactly."""
    import pyarrow as pa

    return pa.schema([("digest", pa.large_binary()), ("keys", pa.large_list(pa.uint64()))])


def sign(rows: "pa.Table", config: Dedup) -> "pa.Table":
    """The signatures of documents, given with ``text`` and ``translation``; a row for each, by ``signature_schema``."""
    import numpy as np
    import pyarrow as pa

    words = words_of(rows["text"])
    paired = ~np.asarray(rows["translation"].is_null())
    translations = normalised(words_of(rows["translation"].fill_null("")))
    keys = band_keys(minhash(words, config, ~paired), config)
    signed = (np.diff(words.bounds) >= config.shingle) & ~paired
    offsets = np.zeros(len(signed) + 1, np.int64)
    np.cumsum(signed * config.bands, out=offsets[1:])
    columns = [
        pa.array(digests(normalised(words), translations, paired), pa.large_binary()),
        pa.LargeListArray.from_arrays(offsets, pa.array(keys.ravel())),
    ]
    return pa.Table.from_arrays(columns, schema=signature_schema())


def shingled_schema() -> "pa.Schema":
    """``shingles``: the sorted hashes of a document's shingles; ``sketch``: the lowest byte of each of its MinHash values;
    ``words``: the hashes of its words in their order.
    """
    import pyarrow as pa

    hashes = pa.large_list(pa.uint64())
    return pa.schema([("shingles", hashes), ("sketch", pa.large_binary()), ("words", hashes)])


def shingled(rows: "pa.Table", config: Dedup) -> "pa.Table":
    """What documents that have shingles, given with ``text``, are compared by; a row for each, by ``shingled_schema``."""
    import numpy as np
    import pyarrow as pa

    words = words_of(rows["text"])
    sets = shingle_sets(words, config.shingle)
    offsets = np.zeros(len(sets) + 1, np.int64)
    np.cumsum([len(found) for found in sets], out=offsets[1:])
    sketches = minhash(words, config, np.ones(len(sets), bool)).astype(np.uint8)
    columns = [
        pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(sets))),
        pa.array([sketch.tobytes() for sketch in sketches], pa.large_binary()),
        pa.LargeListArray.from_arrays(words.bounds, pa.array(words.hashes)),
    ]
    return pa.Table.from_arrays(columns, schema=shingled_schema())


def minhash(words: Words, config: Dedup, wanted: "np.ndarray") -> "np.ndarray":
    """The signatures of the ``wanted`` texts (bool [texts]) that have shingles: uint32 [texts with shingles, hashes].

    A permutation is x -> a x + b modulo 2^32 with odd a, over the upper half of the hash of a shingle.
    """
    import numpy as np

    hashes = ngram_hashes(words.hashes, config.shingle)
    counts = np.maximum(np.diff(words.bounds) - config.shingle + 1, 0) * wanted
    counts = counts[counts > 0]
    # A run of words that goes over the end of its text is no shingle.
    ends = np.repeat(np.where(wanted, words.bounds[1:], 0), np.diff(words.bounds))[: len(hashes)]
    values = (hashes[np.arange(len(hashes)) + config.shingle <= ends] >> np.uint64(32)).astype(np.uint32)
    starts = np.cumsum(counts) - counts
    signature = np.empty((config.bands * config.rows, len(counts)), np.uint32)
    if len(counts):
        permuted = np.empty_like(values)
        for place, (a, b) in enumerate(zip(*_permutations(len(signature)), strict=True)):
            np.multiply(values, a, out=permuted)
            permuted += b
            np.minimum.reduceat(permuted, starts, out=signature[place])
    return signature.T


def _permutations(count: int) -> "tuple[np.ndarray, np.ndarray]":
    import numpy as np

    numbers = mix(np.arange(1, 2 * count + 1, dtype=np.uint64)) >> np.uint64(32)
    return numbers[:count].astype(np.uint32) | np.uint32(1), numbers[count:].astype(np.uint32)


def band_keys(signatures: "np.ndarray", config: Dedup) -> "np.ndarray":
    """One 64-bit key per band of ``rows`` hashes: uint64 [texts, bands]. Equal bands have equal keys."""
    import numpy as np

    banded = signatures.astype(np.uint64).reshape(-1, config.bands, config.rows)
    keys = np.zeros(banded.shape[:2], dtype=np.uint64)
    for row in range(config.rows):
        keys = mix(keys ^ banded[:, :, row])
    return keys
