from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from assets.decontamination.stage import STAGE
from assets.lake.documents import read_parquet, read_parts
from assets.recipe.catalog import Catalog
from assets.stage import Table
from tests.assets.decontamination.test_index import ITEM

BOILERPLATE = "This page is part of the handbook, which comes with no warranty at all, not even an implied one."


REST = " ".join(f"r{n}" for n in range(33))


def plain(number: int, words: int = 60) -> str:
    return " ".join(f"w{number}x{n}" for n in range(words))


TEXTS = [
    plain(0),
    f"{plain(1)}\n{ITEM}\n{plain(2)}",
    f"Pa\u0308iva\u0308 {plain(3)} \n",
    f"{ITEM} is all there is",
    plain(4),
    *(f"{plain(n, 9)}\n{BOILERPLATE}\n" for n in range(5, 17)),
]
PAIRS = [("Open the file menu to save it", "Avaa tiedostovalikko ja tallenna se heti"), ("Close it", "Sulje se")]
BENCHMARKS = {
    "animals": {"fox": f"{ITEM}. {REST}", "short": "Yes or no?"},
    "pages": {"handbook": f"{BOILERPLATE} Of the rest nothing stands elsewhere.", "pair": "\f".join(PAIRS[0])},
}


@pytest.fixture
def made(make_world: Callable[..., Any]) -> Any:
    world = make_world({"aa": {}, "pairs": {"bounds": {"contaminated": 0.5}}}, BENCHMARKS)
    world.corpus("aa", TEXTS)
    world.corpus("pairs", PAIRS)
    for source in STAGE.keys(world.catalog):
        world.run(STAGE, source)
    return world


def failed(receipt: Any, severity: str = "critical") -> list[str]:
    assert receipt.error is None
    return [e.column for e in receipt.expectations if not e.passed and e.severity == severity]


def rows(world: Any, asset: str, source: str = "aa") -> dict[str, dict[str, Any]]:
    table = pa.concat_tables(read_parts(world.lake, world.versions[asset, source]))
    return {row["id"]: row for row in table.to_pylist()}


def test_what_is_cut_what_is_dropped_and_what_stays(made: Any) -> None:
    before, after = rows(made, "deduplicated_corpus"), rows(made, "decontaminated_corpus")
    assert list(after) == [id_ for id_ in before if id_ != "aa:3"]
    assert after["aa:1"] == before["aa:1"] | {"text": f"{plain(1)}\n{plain(2)}"}
    for n in range(5, 17):
        assert after[f"aa:{n}"] == before[f"aa:{n}"] | {"text": plain(n, 9)}
    for id_ in ("aa:0", "aa:2", "aa:4"):
        assert after[id_] == before[id_]
    counts = made.versions["decontaminated_corpus", "aa"].counts
    assert counts == {
        "documents_in": 17,
        "documents": 16,
        "dropped": 1,
        "cut": 13,
        "words_cut": 17 + 12 * 19,
        "matches": 14,
        "common_ngrams": 7,
        "template_ngrams": 0,
        "unindexed_items": 1,
        "characters": sum(len(row["text"]) for row in after.values()),
    }


def test_every_match_names_document_benchmark_and_item(made: Any) -> None:
    manifest = made.versions["decontaminated_corpus", "aa"]
    matches = read_parquet(made.lake, manifest, "matches.parquet").to_pylist()
    fox = {"benchmark": "animals", "item": "fox", "words": 17, "share": 17 / 50, "excerpt": ITEM}
    assert matches[:2] == [{"document": "aa:1", **fox, "dropped": False}, {"document": "aa:3", **fox, "dropped": True}]
    assert [(m["document"], m["item"], m["words"]) for m in matches[2:]] == [
        (f"aa:{n}", "handbook", 19) for n in range(5, 17)
    ]


def test_a_pair_of_a_benchmark_is_dropped(made: Any) -> None:
    assert list(rows(made, "decontaminated_corpus", "pairs")) == ["pairs:1"]
    manifest = made.versions["decontaminated_corpus", "pairs"]
    (match,) = read_parquet(made.lake, manifest, "matches.parquet").to_pylist()
    assert (match["item"], match["dropped"], match["words"]) == ("pair", True, 13)


def test_good_versions_pass(made: Any) -> None:
    for source in STAGE.keys(made.catalog):
        receipt = made.judge(STAGE, made.versions["decontaminated_corpus", source])
        assert receipt.passed, (receipt.error, failed(receipt))
        assert all(e.passed for e in receipt.expectations)
        assert STAGE.gate is not None
        assert set(receipt.numbers) == set(STAGE.gate.numbers)


def test_the_same_bytes_twice(made: Any) -> None:
    first = made.versions["decontaminated_corpus", "aa"]
    made.lake.fs.rm(made.lake.folder(first), recursive=True)
    assert made.run(STAGE, "aa").digest == first.digest


def test_parts_do_not_change_what_is_cut(made: Any) -> None:
    expected = rows(made, "decontaminated_corpus")
    made.lake.fs.rm(made.lake.folder(made.versions["deduplicated_corpus", "aa"]), recursive=True)
    made.corpus("aa", TEXTS, part_rows=100)
    made.run(STAGE, "aa")
    assert rows(made, "decontaminated_corpus") == expected


def part_of(world: Any, number: int) -> tuple[Any, str, pa.Table]:
    """The version of the source aa, the path of one of its parts, and that part."""
    manifest = world.versions["decontaminated_corpus", "aa"]
    return manifest, f"documents/part-{number:05d}.parquet", list(read_parts(world.lake, manifest))[number]


def changed(part: pa.Table, row: int, text: str) -> pa.Table:
    documents = part.to_pylist()
    documents[row]["text"] = text
    return pa.Table.from_pylist(documents, part.schema)


def test_a_sentence_put_back_is_found(made: Any) -> None:
    manifest, path, part = part_of(made, 0)
    bad = made.damaged(manifest, {path: changed(part, 1, f"{plain(1)} {ITEM.upper()}, {plain(2)}")})
    assert failed(made.judge(STAGE, bad)) == ["contaminated"]


def test_a_change_elsewhere_is_found(made: Any) -> None:
    manifest, path, part = part_of(made, 0)
    bad = made.damaged(manifest, {path: changed(part, 0, plain(0) + " ")})
    assert failed(made.judge(STAGE, bad)) == ["lost_or_changed"]


def test_a_lost_document_is_found(made: Any) -> None:
    manifest, path, part = part_of(made, 1)
    bad = made.damaged(manifest, {path: part.slice(1)}, documents=15)
    assert failed(made.judge(STAGE, bad)) == ["unaccounted", "lost_or_changed"]


def test_a_miscount_is_found(made: Any) -> None:
    manifest, _, _ = part_of(made, 0)
    assert failed(made.judge(STAGE, made.damaged(manifest, {}, cut=1))) == ["miscounted"]


def test_a_pair_put_back_is_found_over_both_sides(made: Any) -> None:
    manifest = made.versions["decontaminated_corpus", "pairs"]
    before = next(read_parts(made.lake, made.versions["deduplicated_corpus", "pairs"]))
    bad = made.damaged(manifest, {"documents/part-00000.parquet": before})
    assert "contaminated" in failed(made.judge(STAGE, bad))


def test_a_benchmark_that_was_not_searched_for_is_found(made: Any) -> None:
    (recipe,) = made.catalog.recipes.values()
    made.catalog = Catalog.of([recipe.model_copy(update={"tasks": {**recipe.tasks, "new": recipe.tasks["pages"]}})])
    assert failed(made.judge(STAGE, made.versions["decontaminated_corpus", "aa"])) == ["benchmarks_unread"]


def test_a_benchmark_without_data_is_a_warning(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {}}, {"animals": BENCHMARKS["animals"], "away": None})
    world.corpus("aa", [plain(0)])
    manifest = world.run(STAGE, "aa")
    receipt = world.judge(STAGE, manifest)
    assert receipt.passed
    assert failed(receipt, "warning") == ["benchmarks_missing"]
    assert receipt.profile[0]["missing"] == "away"
    assert STAGE.show(world.lake, manifest)["benchmarks_missing"] == "away"


def test_a_source_that_loses_too_much_is_stopped(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {"bounds": {"contaminated": 0.3}}}, BENCHMARKS)
    world.corpus("aa", [plain(0), f"{ITEM} a", f"{ITEM} b"])
    assert failed(world.judge(STAGE, world.run(STAGE, "aa"))) == ["dropped_share"]


def test_what_is_shown(made: Any) -> None:
    shown = STAGE.show(made.lake, made.versions["decontaminated_corpus", "aa"])
    benchmarks, sample = shown["benchmarks"], shown["sample"]
    assert isinstance(benchmarks, Table)
    assert isinstance(sample, Table)
    assert benchmarks.rows == [
        {"benchmark": "animals", "documents": 2, "items": 1},
        {"benchmark": "pages", "documents": 12, "items": 1},
    ]
    assert sample.rows[0]["excerpt"] == ITEM
