"""benchmark, made from a real file and judged by its gate; data that is not at hand is said to be missing."""

import json

import pyarrow as pa
import pytest

from assets.benchmarks.stage import ABOUT, ITEMS, STAGE, read_task
from assets.lake import Identity, Lake
from assets.lake.documents import read_parquet, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed, failed_columns, judged, make_version

TEXTS = [f"Lauttamatka numero {n} kesti kolme tuntia, ja kannella tuuli kovasti." for n in range(6)]


def catalog_of(file, **task):
    """A catalog of one recipe with one task over ``file``."""
    value = {**RECIPE["tasks"]["heldout_fi"], "files": str(file), **task}
    return Catalog.of([Recipe.model_validate(changed(RECIPE, tasks={"heldout_fi": value}))])


def write_items(path, texts=TEXTS):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"id": f"i{n}", "text": text}, ensure_ascii=False) for n, text in enumerate(texts)]
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


@pytest.fixture
def at_hand(tmp_path):
    return catalog_of(write_items(tmp_path / "heldout_fi.jsonl"))


@pytest.fixture
def not_at_hand(tmp_path):
    return catalog_of(tmp_path / "nowhere" / "heldout_fi.jsonl")


def version_of(catalog):
    return STAGE.identity(catalog, "heldout_fi", []).version


def test_a_file_becomes_items_and_passes(lake, at_hand):
    made = make_version(STAGE, lake, at_hand, "heldout_fi")
    receipt = judged(STAGE, lake, made, at_hand)
    assert receipt.passed and not receipt.failed, (receipt.error, receipt.failed)
    items = read_parquet(lake, made, ITEMS).to_pylist()
    assert [item["text"] for item in items] == TEXTS
    assert json.loads(items[0]["item"]) == {"text": TEXTS[0]}
    assert made.counts == {"items": 6, "available": 1}
    assert STAGE.show(lake, made)["items"].rows[0] == {"id": "i0", "text": TEXTS[0]}


def test_data_that_is_not_at_hand_is_missing_and_only_warns(lake, not_at_hand):
    made = make_version(STAGE, lake, not_at_hand, "heldout_fi")
    assert made.counts == {"items": 0, "available": 0}
    about = lake.read_json(made, ABOUT)
    assert not about["available"] and "not at hand" in about["reason"]
    receipt = judged(STAGE, lake, made, not_at_hand)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("available", "warning")]
    assert STAGE.show(lake, made)["items"].rows == []


def test_a_variable_that_is_not_set_is_missing_data(lake, monkeypatch):
    monkeypatch.delenv("TOKKA_TEST_PLACE", raising=False)
    catalog = catalog_of("${TOKKA_TEST_PLACE}/heldout_fi.jsonl")
    assert make_version(STAGE, lake, catalog, "heldout_fi").counts["available"] == 0


def test_the_version_names_no_place_of_this_machine(lake, tmp_path, at_hand):
    made = make_version(STAGE, lake, at_hand, "heldout_fi")
    assert str(tmp_path) not in json.dumps([made.config, lake.read_json(made, ABOUT)])


def protected(*files):
    task = {"kind": "protected", "files": [str(file) for file in files], "fields": ["text"], "id": "id"}
    return Catalog.of([Recipe.model_validate(changed(RECIPE, tasks__quiz=task))])


def test_a_protected_benchmark_of_several_files_is_made_and_not_scored(lake, tmp_path):
    write_items(tmp_path / "a" / "one.jsonl")
    write_items(tmp_path / "a" / "two.jsonl", TEXTS[:2])
    write_items(tmp_path / "b" / "three.jsonl", TEXTS[:1])
    catalog = protected(tmp_path / "a" / "*.jsonl", tmp_path / "b" / "three.jsonl")
    made = make_version(STAGE, lake, catalog, "quiz")
    assert judged(STAGE, lake, made, catalog).passed
    assert made.counts == {"items": 9, "available": 1}
    assert STAGE.keys(catalog) == ["heldout_fi", "quiz"]
    assert list(catalog.recipe("tiny").scored_tasks) == ["heldout_fi"]
    items, reason = read_task(catalog, "quiz")
    assert reason == ""
    assert items.equals(read_parquet(lake, made, ITEMS))


def test_of_a_protected_benchmark_what_is_at_hand_is_better_than_nothing(lake, tmp_path):
    there = write_items(tmp_path / "one.jsonl")
    catalog = protected(there, tmp_path / "two.jsonl")
    made = make_version(STAGE, lake, catalog, "quiz")
    assert made.counts == {"items": 6, "available": 1}
    assert lake.read_json(made, ABOUT)["reason"].startswith("some of the data was not at hand")
    receipt = judged(STAGE, lake, made, catalog)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("available", "warning")]
    complete = protected(there)
    assert STAGE.identity(complete, "quiz", []).version != made.version
    # A task is scored on all of its data or not at all.
    task = {**RECIPE["tasks"]["heldout_fi"], "files": [str(there), str(tmp_path / "two.jsonl")]}
    scored = Catalog.of([Recipe.model_validate(changed(RECIPE, tasks={"heldout_fi": task}))])
    assert make_version(STAGE, lake, scored, "heldout_fi").counts == {"items": 0, "available": 0}


def test_no_checkpoint_can_be_scored_on_protected_benchmarks_alone():
    task = {"kind": "protected", "files": "quiz.jsonl", "fields": ["text"]}
    with pytest.raises(ValueError, match="tasks has only protected benchmarks"):
        Recipe.model_validate(changed(RECIPE, tasks={"quiz": task}))
    curve = {"quiz": {"accuracy": {"scores": {4: 0.5}}}}
    with pytest.raises(
        ValueError, match="reference names 'quiz', which is not among the tasks that are scored: heldout"
    ):
        Recipe.model_validate(changed(RECIPE, tasks__quiz=task, reference=curve))


def put_items(lake, ids, texts, claimed=None):
    who = Identity("benchmark", "heldout_fi", {"ids": ids, "texts": texts}, "test")
    with lake.write(who) as out:
        columns = {"id": ids, "text": texts, "item": texts}
        write_table(out, ITEMS, pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))
        out.write_json(ABOUT, {"available": True, "reason": "", "items": len(ids) if claimed is None else claimed})
    return lake.find("benchmark", "heldout_fi", who.version)


@pytest.mark.parametrize(
    ("items", "column"),
    [
        ((["a", "a"], ["yksi", "kaksi"]), "duplicate_ids"),
        ((["a", "b"], ["yksi", ""]), "empty_texts"),
        ((["a", "b"], ["yksi", "kaksi"], 3), "miscounted"),
        (([], []), "available_but_empty"),
    ],
)
def test_damaged_items_are_stopped(lake, at_hand, items, column):
    receipt = judged(STAGE, lake, put_items(lake, *items), at_hand)
    assert not receipt.passed
    assert failed_columns(receipt) == {column}, receipt.error


def test_where_the_file_lies_does_not_decide_the_version_and_what_it_holds_does(tmp_path):
    first = version_of(catalog_of(write_items(tmp_path / "here" / "items.jsonl")))
    assert version_of(catalog_of(write_items(tmp_path / "there" / "items.jsonl"))) == first
    assert version_of(catalog_of(write_items(tmp_path / "else" / "items.jsonl", TEXTS[:-1]))) != first
    assert version_of(catalog_of(tmp_path / "here" / "items.jsonl", limit=2)) != first


def test_data_that_appears_changes_the_version(tmp_path, not_at_hand):
    missing = version_of(not_at_hand)
    write_items(tmp_path / "nowhere" / "heldout_fi.jsonl")
    assert version_of(not_at_hand) != missing


def test_the_same_file_gives_the_same_bytes(tmp_path, at_hand):
    one, two = (make_version(STAGE, Lake.open(str(tmp_path / name)), at_hand, "heldout_fi") for name in "ab")
    assert one.digest == two.digest
