"""``tokka try``: one JSON line for each document."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from tests.workplace import demo_rows

TEXT = (
    "Voit tallentaa asiakirjan valitsemalla valikosta kohdan Tallenna. Ohjelma kysyy tiedoston nimen ja kansion, johon "
    "tiedosto tallennetaan. Jos samanniminen tiedosto on jo olemassa, ohjelma kysyy, korvataanko se uudella.\n"
    "Lisätietoja saat kirjoittamalla osoitteeseen matti.meikalainen@yritys.fi, jos jokin jäi epäselväksi."
)


def tried(file: Path, *arguments: str, profile: str = "web") -> list[dict]:
    result = CliRunner().invoke(app, ["try", profile, str(file), *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def failure(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["try", *arguments])
    assert result.exit_code == 2
    return " ".join(result.output.split())


@pytest.fixture
def file(tmp_path) -> Path:
    rows = [
        {"id": "a", "text": TEXT, "lang": "fi"},
        {"id": "b", "text": "liian lyhyt", "lang": "fi"},
        {"id": "c", "text": TEXT, "lang": "fi"},
        {"text": TEXT, "lang": "sv"},
    ]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_document_has_a_decision_all_reasons_and_its_edited_text(file):
    a, b, c, d = tried(file)
    assert [x["id"] for x in (a, b, c, d)] == ["a", "b", "c", "4"]
    assert a["decision"] == c["decision"] == "keep" and a["reasons"] == []
    assert "email@example.com" in a["text"] and "yritys" not in a["text"]
    assert b["decision"] == "drop" and {"too_short", "few_words"} <= set(b["reasons"])
    assert d["decision"] == "drop", "it is declared Swedish"


def test_duplicates_are_found_when_asked_for(file):
    outcomes = {x["id"]: x for x in tried(file, "--with-dedup")}
    assert outcomes["a"]["decision"] == "keep"
    assert outcomes["c"]["reasons"] == ["exact_duplicate of a"]


def test_thresholds_and_steps_are_changed_for_the_trial(file):
    changes = ("--set", "too_short.at_least=5", "--set", "few_words.at_least=2", "--without", "language")
    (b,) = [x for x in tried(file, *changes) if x["id"] == "b"]
    assert not {"too_short", "few_words", "language"} & set(b["reasons"])
    (b,) = [x for x in tried(file, "--set", "digits.at_most=0") if x["id"] == "b"]
    assert "too_short" in b["reasons"]


def test_gzip_and_pairs_are_read(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    rows = demo_rows("libreoffice_pairs", 20)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    outcomes = tried(path, "--language", "fi", "--pair-language", "en", "--limit", "15", profile="pairs")
    assert [x["id"] for x in outcomes] == [str(row["id"]) for row in rows[:15]]
    kept = [x for x in outcomes if x["decision"] == "keep"]
    assert kept and all(x["text"] and x["translation"] for x in kept)


def test_a_plain_text_file_is_one_document(tmp_path):
    path = tmp_path / "page.txt"
    path.write_text(TEXT)
    (outcome,) = tried(path, "--language", "fi")
    assert outcome["decision"] == "keep"


def test_a_record_that_cannot_be_read_has_a_line_too(tmp_path):
    path = tmp_path / "mixed.jsonl"
    rows = [
        json.dumps({"id": None, "text": TEXT, "lang": "fi"}).encode(),
        b"no json",
        '{"id": "latin", "text": "pää", "lang": "fi"}'.encode("latin-1"),
        b"",
        b'{"id": "no text", "body": "x", "lang": "fi"}',
        b'{"text": "half \\ud800 of a pair", "lang": "fi"}',
    ]
    path.write_bytes(b"\n".join(rows))
    outcomes = tried(path)
    assert [x["id"] for x in outcomes] == ["1", "2", "3", "no text", "6"]
    assert [x["decision"] for x in outcomes] == ["keep", "drop", "drop", "drop", "drop"]
    assert "unreadable: mixed.jsonl, line 2: not JSON" in outcomes[1]["reasons"][0]
    assert "line 3: not JSON: 'utf-8'" in outcomes[2]["reasons"][0]
    assert outcomes[3]["reasons"][0].startswith("unreadable: record 5 has no text (its fields are id, body, lang)")
    assert outcomes[4]["text"] == "half \ufffd of a pair"
    assert "encoding_damage" in outcomes[4]["reasons"]


def test_parquet_standard_input_and_nothing_at_all_are_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ["a", "b"], "text": [TEXT, None], "lang": ["fi", "fi"]})
    pq.write_table(table, tmp_path / "texts.parquet")
    kept, lost = tried(tmp_path / "texts.parquet")
    assert kept["decision"] == "keep" and lost["reasons"][0].startswith("unreadable: record 2 has no text")
    (tmp_path / "empty.jsonl").touch()
    assert tried(tmp_path / "empty.jsonl") == []
    line = json.dumps({"text": TEXT, "lang": "fi"}).encode()
    result = CliRunner().invoke(app, ["try", "web", "-"], input=line)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["decision"] == "keep"


def test_a_suite_is_searched_for(file, tmp_path, monkeypatch):
    """Also one that no recipe picks."""
    item = (
        "Mikä seuraavista on pisin joki, jonka varrella suomalaiset uittivat tukkeja mereen saakka sata vuotta sitten?"
    )
    (tmp_path / "suites").mkdir()
    (tmp_path / "items.jsonl").write_text(json.dumps({"id": "q1", "text": item}) + "\n")
    task = f"{{kind: protected, files: {tmp_path}/items.jsonl, fields: [text], id: id}}"
    suite = f"version: 1\ndescription: one question\ntasks:\n  rivers: {task}\n"
    (tmp_path / "suites" / "rivers.yaml").write_text(suite)
    monkeypatch.setenv("TOKKA_RECIPES", str(tmp_path))
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"id": "a", "text": f"{TEXT}\n{item}", "lang": "fi"}) + "\n")
    (outcome,) = tried(path, "--against", "rivers")
    assert outcome["decision"] == "drop"
    assert outcome["reasons"] == ["contamination: rivers, item items/q1, 15 words"]


def test_errors_are_one_line_that_says_what_is_allowed(file, tmp_path):
    assert "the profiles are: documentation, web" in failure("webb", str(file))
    assert "no file matches" in failure("web", str(tmp_path / "nowhere.jsonl"))
    assert "has no threshold 'at_least'; it has at_most" in failure("web", str(file), "--set", "digits.at_least=1")
    assert "STEP.THRESHOLD=NUMBER" in failure("web", str(file), "--set", "digits")
    assert "no cleaning step 'digit'" in failure("web", str(file), "--without", "digit")
    assert "--pair-language" in failure("pairs", str(file))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1, "text": "hei"}\n')
    assert "says no language" in failure("web", str(bad))
    bad.write_text('{"id": 1, "lang": "fi", "body": "hei"}\n')
    assert "its fields are id, lang, body" in failure("web", str(bad))
    bad.write_text("no json\n")
    assert "bad.jsonl, line 1" in failure("web", str(bad))
