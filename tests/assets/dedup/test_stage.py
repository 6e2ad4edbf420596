from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from assets import engine
from assets.dedup.stage import STAGE, STAGE_DUPLICATES
from assets.lake.documents import read_all, read_parquet, read_parts
from assets.stage import Plot, Table


def numbered(start: int, stop: int) -> str:
    return " ".join(f"w{n}" for n in range(start, stop))


SHARED = {"bounds": {"duplicates": 0.5}}
FIRST = [numbered(0, 100), "alone", "one two", numbered(200, 300), "something", numbered(400, 500)]
SECOND = ["ONE two", numbered(1, 101), numbered(600, 700), "kept", numbered(200, 300), "x", "kept as well", "y", "z"]


@pytest.fixture
def world(make_world: Callable[..., Any]) -> Any:
    """Two sources; the one whose name comes later has the documents that survive."""
    world = make_world({"zz": {"priority": 0}, "aa": {"priority": 1} | SHARED, "pairs": {"pool": "other"}})
    world.corpus("zz", FIRST)
    world.corpus("aa", SECOND)
    world.corpus("pairs", [("one two", "yksi kaksi"), ("One two", "yksi  kaksi"), ("one two", "kaksi")])
    return world


@pytest.fixture
def made(world: Any) -> Any:
    """The same, with all stages run."""
    for pool in STAGE_DUPLICATES.keys(world.catalog):
        world.run(STAGE_DUPLICATES, pool)
    for source in STAGE.keys(world.catalog):
        world.run(STAGE, source)
    return world


def failed(receipt: Any) -> list[str]:
    assert receipt.error is None
    return [e.column for e in receipt.expectations if not e.passed]


def test_documents_of_the_first_source_survive(made: Any) -> None:
    manifest = made.versions["duplicates", "all"]
    rows = read_parquet(made.lake, manifest, "duplicates.parquet").to_pylist()
    assert [(r["id"], r["source"], r["survivor"], r["survivor_source"], r["kind"]) for r in rows] == [
        ("aa:0", "aa", "zz:2", "zz", "exact"),
        ("aa:1", "aa", "zz:0", "zz", "near"),
        ("aa:4", "aa", "zz:3", "zz", "exact"),
    ]
    assert [round(r["similarity"], 3) for r in rows] == [1, 0.979, 1]
    assert manifest.counts == {
        "documents_in": 15,
        "exact": 2,
        "near": 1,
        "edited": 0,
        "clusters": 3,
        "largest_cluster": 2,
        "removed_zz": 0,
        "removed_aa": 3,
    }


def test_priority_decides(make_world: Callable[..., Any]) -> None:
    world = make_world({"zz": {"priority": 1}, "aa": {"priority": 0}})
    world.corpus("zz", FIRST)
    world.corpus("aa", SECOND)
    rows = read_parquet(world.lake, world.run(STAGE_DUPLICATES, "all"), "duplicates.parquet").to_pylist()
    assert {r["source"] for r in rows} == {"zz"}
    assert len(rows) == 3


def test_survivors_are_kept_as_they_were(made: Any) -> None:
    clean, corpus = made.versions["clean_corpus", "aa"], made.versions["deduplicated_corpus", "aa"]
    before = pa.concat_tables(read_parts(made.lake, clean))
    after = pa.concat_tables(read_parts(made.lake, corpus))
    removed = read_all(made.lake, corpus, ["id", "survivor", "kind", "similarity"], "removed")
    assert removed["id"].to_pylist() == ["aa:0", "aa:1", "aa:4"]
    assert after.equals(before.filter(pc.invert(pc.is_in(before["id"], removed["id"]))))
    assert [len(corpus.under(f)) for f in ("documents", "removed")] == [3, 3]
    assert corpus.counts == {
        "documents_in": 9,
        "documents": 6,
        "removed_exact": 2,
        "removed_near": 1,
        "removed_edited": 0,
        "characters": sum(len(t) for t in after["text"].to_pylist()),
    }


def test_pairs_are_duplicates_when_both_sides_are(made: Any) -> None:
    corpus = made.versions["deduplicated_corpus", "pairs"]
    assert read_all(made.lake, corpus, ["id"])["id"].to_pylist() == ["pairs:0", "pairs:2"]
    assert corpus.counts["characters"] == len("one two" + "yksi kaksi" + "one two" + "kaksi")


def test_good_versions_pass(made: Any) -> None:
    for stage in (STAGE_DUPLICATES, STAGE):
        for key in stage.keys(made.catalog):
            manifest = made.versions[stage.asset, key]
            receipt = made.judge(stage, manifest)
            assert receipt.passed, (key, receipt.error, failed(receipt))
            assert stage.gate is not None
            assert set(receipt.numbers) == set(stage.gate.numbers)


def test_the_same_bytes_twice(made: Any) -> None:
    for stage, key in ((STAGE_DUPLICATES, "all"), (STAGE, "aa")):
        first = made.versions[stage.asset, key]
        made.lake.fs.rm(made.lake.folder(first), recursive=True)
        assert made.run(stage, key).digest == first.digest


def test_a_removed_survivor_is_found(made: Any) -> None:
    good = made.versions["duplicates", "all"]
    table = read_parquet(made.lake, good, "duplicates.parquet")
    rows = table.to_pylist()
    chained = [*rows, rows[0] | {"id": "aa:7", "source": "aa", "survivor": "aa:0", "survivor_source": "aa"}]
    damage = {"duplicates.parquet": pa.Table.from_pylist(chained, table.schema)}
    bad = made.damaged(good, damage, exact=3, clusters=4, removed_aa=4)
    assert failed(made.judge(STAGE_DUPLICATES, bad)) == ["removed_survivors", "unlike_survivors"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"similarity": 0.5}, ["unlike_survivors"]),
        ({"survivor": "zz:5"}, ["unlike_survivors"]),
        ({"id": "aa:99"}, ["unknown_documents", "unlike_survivors"]),
        ({"id": "aa:0", "survivor": "zz:2", "kind": "exact"}, ["miscounted", "removed_twice"]),
        ({"kind": "guess"}, ["miscounted"]),
    ],
)
def test_false_duplicates_are_found(made: Any, change: dict[str, Any], expected: list[str]) -> None:
    good = made.versions["duplicates", "all"]
    table = read_parquet(made.lake, good, "duplicates.parquet")
    rows = [row | change if row["kind"] == "near" else row for row in table.to_pylist()]
    bad = made.damaged(good, {"duplicates.parquet": pa.Table.from_pylist(rows, table.schema)})
    assert failed(made.judge(STAGE_DUPLICATES, bad)) == expected


def test_a_cluster_that_swallows_a_pool_is_stopped(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {}})
    world.corpus("aa", ["same"] * 60 + [f"other {n}" for n in range(100)], part_rows=50)
    assert failed(world.judge(STAGE_DUPLICATES, world.run(STAGE_DUPLICATES, "all"))) == ["excess_cluster_share"]


def test_a_lost_document_is_found(made: Any) -> None:
    good = made.versions["deduplicated_corpus", "aa"]
    parts = list(read_parts(made.lake, good))
    bad = made.damaged(good, {"documents/part-00001.parquet": parts[1].slice(1)}, documents=5)
    assert failed(made.judge(STAGE, bad)) == ["unaccounted", "lost_or_changed"]


def test_a_duplicate_that_came_back_is_found(made: Any) -> None:
    good = made.versions["deduplicated_corpus", "aa"]
    part = list(read_parts(made.lake, good))[1]
    rows = part.to_pylist()
    rows[0]["text"] = rows[1]["text"].upper()
    bad = made.damaged(good, {"documents/part-00001.parquet": pa.Table.from_pylist(rows, part.schema)})
    assert failed(made.judge(STAGE, bad)) == ["lost_or_changed", "left_duplicates"]


def test_a_source_that_loses_too_much_is_stopped(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {"bounds": {"duplicates": 0.3}}})
    world.corpus("aa", ["same", "same", "Same", "other"])
    world.run(STAGE_DUPLICATES, "all")
    assert failed(world.judge(STAGE, world.run(STAGE, "aa"))) == ["removed_share"]


WORDS = [" ".join(f"{letter}{n}" for n in range(12)) for letter in "abcdef"]
REPEATING = [
    f"{WORDS[0]}\n{WORDS[1]}",
    f"{WORDS[0]}\n\n{WORDS[2]}  \n\t{WORDS[3]}",
    f"{WORDS[1]}\n{WORDS[0]}",
    WORDS[4],
    f"{WORDS[5]}\n{WORDS[4]}\n{WORDS[1]}",
    f"{WORDS[4]} and".upper(),
    WORDS[4].upper(),
]


@pytest.fixture
def trimmed(make_world: Callable[..., Any]) -> Any:
    """A source without its repeated lines, and one that keeps them."""
    world = make_world({"aa": {"lines": {}}, "bb": {"pool": "other"}})
    for source, pool in (("aa", "all"), ("bb", "other")):
        world.corpus(source, REPEATING, part_rows=3)
        world.run(STAGE_DUPLICATES, pool)
        world.run(STAGE, source)
    return world


def test_repeated_lines_go_after_the_duplicates(trimmed: Any) -> None:
    corpus = trimmed.versions["deduplicated_corpus", "aa"]
    assert read_all(trimmed.lake, corpus, ["id", "text"]).to_pylist() == [
        {"id": "aa:0", "text": REPEATING[0]},
        {"id": "aa:1", "text": f"{WORDS[2]}  \n\t{WORDS[3]}"},
        {"id": "aa:3", "text": WORDS[4]},
        {"id": "aa:4", "text": WORDS[5]},
    ]
    columns = ["id", "survivor", "kind", "similarity"]
    assert read_all(trimmed.lake, corpus, columns, "removed").to_pylist() == [
        {"id": "aa:2", "survivor": None, "kind": "lines", "similarity": 1.0},
        {"id": "aa:5", "survivor": "aa:3", "kind": "near", "similarity": 8 / 9},
        {"id": "aa:6", "survivor": "aa:3", "kind": "exact", "similarity": 1.0},
    ]
    assert read_all(trimmed.lake, corpus, ["id", "lines", "first", "last"], "trimmed").to_pylist() == [
        {"id": "aa:1", "lines": 4, "first": 2, "last": 4},
        {"id": "aa:4", "lines": 3, "first": 0, "last": 1},
    ]
    counts = {name: count for name, count in corpus.counts.items() if name != "characters"}
    assert counts == {
        "documents_in": 7,
        "documents": 4,
        "removed_exact": 1,
        "removed_near": 1,
        "removed_edited": 0,
        "removed_lines": 1,
        "trimmed_documents": 2,
        "trimmed_lines": 4,
    }
    other = trimmed.versions["deduplicated_corpus", "bb"]
    assert read_all(trimmed.lake, other, ["id"]).num_rows == 5
    assert not other.under("trimmed")


def test_the_newest_documents_stay_where_asked(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {"lines": {"newest_first": True}, "bounds": {"duplicates": 0.6}}})
    world.corpus("aa", REPEATING, part_rows=2)
    world.run(STAGE_DUPLICATES, "all")
    corpus = world.run(STAGE, "aa")
    assert read_all(world.lake, corpus, ["id"])["id"].to_pylist() == ["aa:1", "aa:2", "aa:4"]
    assert world.judge(STAGE, corpus).passed


def test_trimmed_corpora_pass(trimmed: Any) -> None:
    for source in ("aa", "bb"):
        receipt = trimmed.judge(STAGE, trimmed.versions["deduplicated_corpus", source])
        assert receipt.passed, (receipt.error, failed(receipt))


@pytest.mark.parametrize(
    "text",
    [
        f"{WORDS[2]}\n\t{WORDS[3]}",
        f"{WORDS[0]}\n\t{WORDS[3]}",
        f"{WORDS[0]}\n\n{WORDS[2]}  \n\t{WORDS[3]}",
        WORDS[2],
        "",
    ],
)
def test_a_text_that_is_no_run_of_its_lines_is_found(trimmed: Any, text: str) -> None:
    good = trimmed.versions["deduplicated_corpus", "aa"]
    part = next(read_parts(trimmed.lake, good))
    rows = part.to_pylist()
    rows[1]["text"] = text
    bad = trimmed.damaged(good, {"documents/part-00000.parquet": pa.Table.from_pylist(rows, part.schema)})
    assert "lost_or_changed" in failed(trimmed.judge(STAGE, bad))


@pytest.mark.parametrize("change", [{"first": 1}, {"last": 3}, {"lines": 5}, {"id": "aa:0"}, {"id": "aa:2"}, None])
def test_a_false_account_of_trimming_is_found(trimmed: Any, change: dict[str, Any] | None) -> None:
    good = trimmed.versions["deduplicated_corpus", "aa"]
    part = next(read_parts(trimmed.lake, good, folder="trimmed"))
    rows = [row | change for row in part.to_pylist()] if change else []
    bad = trimmed.damaged(good, {"trimmed/part-00000.parquet": pa.Table.from_pylist(rows, part.schema)})
    assert "lost_or_changed" in failed(trimmed.judge(STAGE, bad))


def test_a_document_lost_for_no_reason_is_found(trimmed: Any) -> None:
    good = trimmed.versions["deduplicated_corpus", "aa"]
    part = next(read_parts(trimmed.lake, good, folder="removed"))
    rows = [row | {"kind": "guess"} for row in part.to_pylist()]
    bad = trimmed.damaged(good, {"removed/part-00000.parquet": pa.Table.from_pylist(rows, part.schema)})
    assert failed(trimmed.judge(STAGE, bad)) == ["unaccounted", "miscounted"]


def test_a_source_that_loses_too_much_for_its_lines_is_stopped(make_world: Callable[..., Any]) -> None:
    world = make_world({"aa": {"lines": {}, "bounds": {"duplicates": 0.4}}})
    world.corpus("aa", [*WORDS[:4], " ".join(WORDS[:2]), " ".join(WORDS[1:3]), " ".join(WORDS[2:4])])
    world.run(STAGE_DUPLICATES, "all")
    corpus = world.run(STAGE, "aa")
    assert corpus.counts["removed_lines"] == 3
    assert failed(world.judge(STAGE, corpus)) == ["removed_share"]


def test_what_is_shown_of_lines(trimmed: Any) -> None:
    shown = STAGE.show(trimmed.lake, trimmed.versions["deduplicated_corpus", "aa"])
    assert shown["removed_lines"] == 1
    assert shown["removed"].rows[0] == {"id": "aa:2", "survivor": "", "kind": "lines", "similarity": 1.0}
    assert shown["trimmed"].rows[0] == {
        "id": "aa:1",
        "lines": 4,
        "trimmed at the start": 2,
        "first line": WORDS[0],
        "trimmed at the end": 0,
        "last line": "",
    }
    assert "trimmed" not in STAGE.show(trimmed.lake, trimmed.versions["deduplicated_corpus", "bb"])


def test_parts_and_workers_do_not_change_the_documents(
    make_world: Callable[..., Any], help_pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world({"zz": {"priority": 0}, "aa": {"priority": 1, "lines": {}}})
    outcomes = []
    for part_rows, slice_bytes in ((1000, 2_000_000), (1000, 30_000), (47, 5_000), (30, 2_000_000)):
        monkeypatch.setattr(engine, "SLICE_BYTES", slice_bytes)
        for source, texts in (("zz", help_pages[:60]), ("aa", help_pages[316:376])):
            corpus = world.corpus(source, texts, part_rows)
        duplicates, corpus = world.run(STAGE_DUPLICATES, "all"), world.run(STAGE, "aa")
        documents = read_all(world.lake, corpus, ["id", "text"]).to_pylist()
        outcomes.append((duplicates.files, documents, corpus.counts))
        for version in (duplicates, corpus, *(world.versions["clean_corpus", source] for source in ("aa", "zz"))):
            world.lake.fs.rm(world.lake.folder(version), recursive=True)
    assert all(outcome == outcomes[0] for outcome in outcomes)
    counts = outcomes[0][2]
    assert counts["removed_near"] > 0
    assert counts["trimmed_lines"] > 0


def test_lines_decide_the_version_of_their_source_only(make_world: Callable[..., Any]) -> None:
    plain = make_world({"aa": {}, "bb": {}}).catalog
    other = make_world({"aa": {"lines": {"stub": 3}}, "bb": {}}).catalog
    for stage, key, same in ((STAGE, "aa", False), (STAGE, "bb", True), (STAGE_DUPLICATES, "all", True)):
        assert (stage.identity(plain, key, []).version == stage.identity(other, key, []).version) == same


def test_the_gates_bounds_do_not_decide_the_version(make_world: Callable[..., Any]) -> None:
    loose = make_world({"aa": {}}, pools={"all": {"max_cluster_share": 0.9}}).catalog
    strict = make_world({"aa": {}}, pools={"all": {"max_cluster_share": 0.1}}).catalog
    other = make_world({"aa": {}}, pools={"all": {"threshold": 0.7}}).catalog
    versions = [STAGE_DUPLICATES.identity(catalog, "all", []).version for catalog in (loose, strict, other)]
    assert versions[0] == versions[1] != versions[2]


def test_what_is_shown(made: Any) -> None:
    shown = STAGE_DUPLICATES.show(made.lake, made.versions["duplicates", "all"])
    sample = shown["sample"]
    assert isinstance(sample, Table)
    assert sample.rows[0]["kind"] == "near"
    assert sample.rows[0]["removed text"] == numbered(1, 101)[:160]
    assert isinstance(shown["removed"], Plot)
    assert isinstance(STAGE.show(made.lake, made.versions["deduplicated_corpus", "aa"])["removed"], Table)
    assert "removed" not in STAGE.show(made.lake, made.versions["deduplicated_corpus", "zz"])
