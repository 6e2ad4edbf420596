"""Lines and beginnings of held-out texts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.benchmarks.items import BenchmarkDataError, read_items
from assets.benchmarks.texts import beginnings
from assets.recipe.evaluation import CharacterPerplexity, Continuation


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_lines_are_items_and_blank_ones_are_not(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "texts.jsonl", [{"id": "a", "fi": "yksi\n \nkaksi\n"}, {"id": 4, "fi": " kolme"}, {"fi": "x"}]
    )
    table = read_items(CharacterPerplexity(files="none", language="fi", field="fi"), [path])
    assert table["id"].to_pylist() == ["a/1", "a/3", "4", "3"]
    assert [json.loads(item)["text"] for item in table["item"].to_pylist()] == ["yksi", "kaksi", " kolme", "x"]
    assert table["text"].to_pylist() == ["yksi", "kaksi", " kolme", "x"]
    two = read_items(CharacterPerplexity(files="none", language="fi", field="fi", limit=2), [path])
    assert two["id"].to_pylist() == ["a/1", "a/3"]


def test_lines_of_code_have_ten_letters(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "code.jsonl", [{"id": "a", "text": "x = [1, 2, 3, 4]\n    return abcd\n    return abc"}]
    )
    table = read_items(CharacterPerplexity(files="none", language="code"), [path])
    assert table["text"].to_pylist() == ["    return abcd"]


def test_a_beginning_ends_with_a_word(tmp_path: Path) -> None:
    records = [
        {"id": "whole", "text": "  Sataa vettä, ja tokka kulkee. Poro on eläin."},
        {"id": "short", "text": "Sataa vettä, ja tokka."},
        {"id": "one word", "text": "x" * 100},
    ]
    config = Continuation(files="none", language="fi", prompt_characters=14)
    table = read_items(config, [write_lines(tmp_path / "texts.jsonl", records)])
    assert table["id"].to_pylist() == ["whole"]
    assert json.loads(table["item"][0].as_py()) == {
        "prompt": "Sataa vettä, ja",
        "rest": " tokka kulkee. Poro on eläin.",
    }


@given(text=st.text(min_size=1), characters=st.integers(1, 20))
def test_a_beginning_and_its_rest_are_the_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, characters: int
) -> None:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    write_lines(path, [{"id": "a", "text": f"x{text}"}])
    for _, (_, whole, item) in beginnings(
        Continuation(files="none", language="fi", prompt_characters=characters), path
    ):
        assert (item["prompt"] + item["rest"]).split() == whole.split() == f"x{text}".split()
        assert item["rest"][0].isspace() and not item["prompt"][-1].isspace()
        assert len(item["rest"]) >= characters


def test_texts_that_are_not(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "texts.jsonl", [{"id": "a", "text": "yksi"}, {"id": "b"}])
    for config in (CharacterPerplexity(files="none", language="fi"), Continuation(files="none", language="fi")):
        with pytest.raises(BenchmarkDataError, match=r"texts\.jsonl, line 2: the key 'text' is missing"):
            read_items(config, [path])
    path = write_lines(tmp_path / "texts.jsonl", [{"id": "a", "text": "yksi"}])
    with pytest.raises(BenchmarkDataError, match="has no item"):
        read_items(Continuation(files="none", language="fi"), [path])
