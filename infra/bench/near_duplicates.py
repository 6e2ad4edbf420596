"""Recall and precision of the search for near-duplicates: ``python -m infra.bench.near_duplicates [RECIPE]``.

On the raw texts of the recipe's documents (default: mini-rich, which needs TOKKA_SHARED), against exact comparison of all
pairs: the pairs that the search compares and finds similar, and the documents that it removes. Prints JSON.
"""

import json
import sys
from collections import Counter, defaultdict
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from assets.corpora.documents import documents
from assets.corpora.files import find_files
from assets.corpora.readers import Fault
from assets.dedup.search import find_duplicates
from assets.dedup.signatures import sign
from assets.dedup.text import jaccard, normalise, shingle_sets, words_of
from assets.recipe.catalog import Catalog
from assets.recipe.data import Dedup
from assets.recipe.load import RECIPES, load_recipe

Pairs = dict[tuple[int, int], float]
"""Similarities by (place, later place)."""


def texts_of(recipe: str) -> list[str]:
    """The raw texts of a recipe's sources of documents (no pairs), in the order in which they are deduplicated."""
    catalog = Catalog.of([load_recipe(RECIPES / f"{recipe}.yaml")])
    names = [name for pool in catalog.pools.values() for name in pool if not catalog.sources[name].is_pairs]
    found = []
    for name in names:
        source = catalog.sources[name]
        for file in find_files(source.files, f"sources.{name}.files"):
            found += [str(d["text"]) for d in documents(name, source, file) if not isinstance(d, Fault)]
    return found


def true_pairs(texts: list[str], config: Dedup) -> Pairs:
    """All pairs of texts that are similar enough, by counting what each has in common with each.

    Sets of runs of words, as Python has them: none of this project's hashes.
    """
    numbers: dict[tuple[str, ...], int] = {}
    sets = []
    for text in texts:
        words = normalise(text).split()
        runs = set(zip(*(words[place:] for place in range(config.shingle)), strict=False))
        sets.append(np.fromiter((numbers.setdefault(run, len(numbers)) for run in runs), np.int64, len(runs)))
    shingles = np.concatenate([np.empty(0, np.int64), *sets])
    sizes = np.array([len(own) for own in sets])
    counts = np.bincount(shingles, minlength=len(numbers))
    holders = np.repeat(np.arange(len(sets)), sizes)[np.argsort(shingles, kind="stable")]
    begins = np.cumsum(counts) - counts
    pairs: Pairs = {}
    for place, own in enumerate(sets):
        shared = own[counts[own] > 1]
        if not len(shared):
            continue
        held = [holders[begin : begin + count] for begin, count in zip(begins[shared], counts[shared], strict=True)]
        common = np.bincount(np.concatenate(held), minlength=len(sets))
        similarity = common / (len(own) + sizes - common)
        for other in np.flatnonzero(similarity[place + 1 :] >= config.threshold) + place + 1:
            pairs[place, int(other)] = float(similarity[other])
    return pairs


def found_pairs(texts: list[str], config: Dedup) -> set[tuple[int, int]]:
    """The pairs of texts that the search would find: those of equal digests, and of those that share a band the similar ones."""
    table = _table(texts)
    groups: defaultdict[Any, list[int]] = defaultdict(list)
    for place, row in enumerate(sign(table, config).to_pylist()):
        # What has no shingles is no near-duplicate of anything.
        for key in [row["digest"], *enumerate(row["keys"])] if row["keys"] else []:
            groups[key].append(place)
    compared = {pair for places in groups.values() for pair in combinations(places, 2)}
    sets = shingle_sets(words_of(table["text"]), config.shingle)
    return {(a, b) for a, b in compared if jaccard(sets[a], sets[b]) >= config.threshold}


def greedy_walk(texts: list[str], pairs: Pairs) -> set[int]:
    """What is removed when each text in turn goes if it is the same as, or similar to, one that stays."""
    similar = defaultdict(set)
    for first, second in pairs:
        similar[second].add(first)
    originals: dict[str, int] = {}
    removed: set[int] = set()
    for place, text in enumerate(texts):
        if originals.setdefault(normalise(text), place) != place or similar[place] - removed:
            removed.add(place)
    return removed


def report(texts: list[str], config: Dedup) -> dict[str, Any]:
    """Counts of pairs and of removed documents, found and true; recall and precision of the pairs, 0 to 1."""
    true = true_pairs(texts, config)
    found = found_pairs(texts, config)
    both = len(found & set(true))
    expected = greedy_walk(texts, true)
    shingled = config.model_copy(update={"same_words": None})
    removed = {duplicate.document for duplicate in find_duplicates(lambda: [_table(texts)], shingled)}
    kinds = Counter(duplicate.kind for duplicate in find_duplicates(lambda: [_table(texts)], config))
    return {
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "true_pairs": len(true),
        "found_pairs": len(found),
        "recall": both / max(len(true), 1),
        "precision": both / max(len(found), 1),
        "removed": len(removed),
        "removed_by_brute_force": len(expected),
        "removed_otherwise": len(removed ^ expected),
        "removed_by_kind": dict(sorted(kinds.items())),
    }


def _table(texts: list[str]) -> pa.Table:
    return pa.table(
        {"text": pa.array(texts, pa.large_string()), "translation": pa.nulls(len(texts), pa.large_string())}
    )


if __name__ == "__main__":
    print(json.dumps(report(texts_of(*(sys.argv[1:] or ["mini-rich"])), Dedup()), indent=2))
