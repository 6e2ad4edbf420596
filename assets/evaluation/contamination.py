"""Which items of a benchmark stood in the corpora that a recipe trains on, before they were decontaminated."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from assets.lake import Lake, Manifest

if TYPE_CHECKING:
    import pyarrow as pa

SHARE = 0.2
"""An item is contaminated from this share of the words of one of its passages on, in one document.

The share is that of Llama 2, whose clean samples have less than 20 % of their tokens in n-grams of more than 10 tokens that
stand anywhere in the training set (Touvron et al. 2023, arXiv 2307.09288). Phrases that are common in a source or
of a benchmark's template do not count.
"""


def contaminated_items(lake: Lake, corpora: Iterable[Manifest], tasks: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the contaminated items of each task, in order, by the matches of decontaminated corpora."""
    import pyarrow.compute as pc

    found: dict[str, set[str]] = {task: set() for task in tasks}
    for corpus in corpora:
        matches = _matches(lake, corpus)
        matches = (
            matches.filter(pc.greater_equal(matches["share"], SHARE)).group_by(["benchmark", "item"]).aggregate([])
        )
        for benchmark, item in zip(matches["benchmark"].to_pylist(), matches["item"].to_pylist(), strict=True):
            if benchmark in found:
                found[benchmark].add(item)
    return {task: sorted(items) for task, items in found.items()}


def _matches(lake: Lake, corpus: Manifest) -> "pa.Table":
    import pyarrow.parquet as pq

    with lake.open_file(corpus, "matches.parquet") as stream:
        return pq.read_table(stream, columns=["benchmark", "item", "share"])
