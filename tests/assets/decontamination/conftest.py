"""What the tests of this room share: a world with benchmarks, and n-grams found by comparing lists of words."""

import gzip
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.lake import Identity, Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.recipe.data import Decontamination
from tests.world import World, recipe

CORPORA = Path(__file__).parents[3] / "infra/demo/corpora"
Texts = Iterable[str | tuple[str, str]]


class BenchmarkWorld(World):
    """A world of deduplicated corpora and benchmarks."""

    def corpus(self, source: str, texts: Texts, part_rows: int = 4, asset: str = "deduplicated_corpus") -> Manifest:
        return super().corpus(source, texts, part_rows, asset)

    def benchmark(self, task: str, items: dict[str, str] | None) -> None:
        """Write a benchmark of items by id; None is one whose data is not at hand."""
        identity = Identity("benchmark", task, {}, "test")
        strings = [(name, pa.string()) for name in ("id", "text", "item")]
        rows = [{"id": item, "text": text, "item": json.dumps({"text": text})} for item, text in (items or {}).items()]
        with self.lake.write(identity) as out:
            pq.write_table(pa.Table.from_pylist(rows, pa.schema(strings)), out.stage("items.parquet"))
            reason = "" if items is not None else "not here"
            about = {"available": items is not None, "reason": reason, "items": len(rows), "files": {}}
            out.write_json("benchmark.json", about)
        self.keep(identity)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., BenchmarkWorld]:
    def make(
        sources: dict[str, dict[str, Any]], benchmarks: dict[str, dict[str, str] | None], **more: Any
    ) -> BenchmarkWorld:
        tasks = {name: {"kind": "bits_per_character", "files": "none", "language": "en"} for name in benchmarks}
        catalog = Catalog.of([recipe(sources, tasks=tasks, **more)])
        world = BenchmarkWorld(Lake.open(str(tmp_path / "lake")), catalog)
        for task, items in benchmarks.items():
            world.benchmark(task, items)
        return world

    return make


def table_of(texts: Texts) -> pa.Table:
    """Documents, or pairs given as (text, translation), with their numbers as ids."""
    sides = [(text, None) if isinstance(text, str) else text for text in texts]
    columns = {
        "id": [str(number) for number in range(len(sides))],
        "text": [text for text, _ in sides],
        "translation": [translation for _, translation in sides],
    }
    return pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def demo_texts(name: str) -> list[str]:
    """The texts of a demo corpus."""
    with gzip.open(CORPORA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line)["text"] for line in stream]


def naive_words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())


def naive_grams(items: Iterable[str], config: Decontamination) -> set[tuple[str, ...]]:
    """The n-grams of items whose passages are parted by form feeds."""
    grams: set[tuple[str, ...]] = set()
    for item in items:
        words = naive_words(item)
        grams |= {tuple(words[i : i + config.ngram]) for i in range(len(words) - config.ngram + 1)}
        for whole in (words, *map(naive_words, item.split("\f"))):
            if config.min_words <= len(whole) < config.ngram:
                grams.add(tuple(whole))
    return grams


def naive_holds(text: str, items: Iterable[str], config: Decontamination) -> bool:
    """Whether some n-gram of the items stands in the text."""
    words = naive_words(text)
    return any(
        tuple(words[i : i + len(gram)]) == gram
        for gram in naive_grams(items, config)
        for i in range(len(words) - len(gram) + 1)
    )
