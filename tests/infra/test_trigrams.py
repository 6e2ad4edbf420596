"""The files of letter trigrams: made again from the demo corpora, and made from other text."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from assets.cleaning.strange_words import FOLDER, Trigrams
from infra import trigrams

DEMO = Path(__file__).parents[2] / "infra" / "demo" / "corpora"
SOURCES = {
    "fi": ["libreoffice_help_fi", "gnome_help_fi", "manpages_fi", "aptitude_doc_fi", "libreoffice_pairs"],
    "en": ["libreoffice_help_en", "gnome_help_en"],
}


def make(monkeypatch: pytest.MonkeyPatch, out: Path, language: str, files: list[Path]) -> Path:
    monkeypatch.setattr(sys, "argv", ["trigrams", language, *map(str, files), "--out", str(out)])
    trigrams.main()
    return out / f"{language}.txt"


@pytest.mark.parametrize("language", ["fi", "en"])
def test_the_demo_corpora_give_the_files_of_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: str
) -> None:
    made = make(monkeypatch, tmp_path, language, [DEMO / f"{name}.jsonl.gz" for name in SOURCES[language]])
    assert made.read_bytes() == (FOLDER / f"{language}.txt").read_bytes()


def test_another_language_from_text_or_json_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trigrams, "LETTER_WORDS", 2)
    words = "giella gielat giellii sápmi sápmái sáme sámegiella nuorra nuorat NATO xi"
    plain, records = tmp_path / "a.txt", tmp_path / "b.jsonl.gz"
    plain.write_text(words, "utf-8")
    records.write_bytes(
        gzip.compress(json.dumps({"text": words}).encode() + b"\n" + json.dumps({"se": "giella"}).encode())
    )
    first = make(monkeypatch, tmp_path, "se", [plain]).read_text("utf-8").splitlines()
    second = make(monkeypatch, tmp_path, "se", [records]).read_text("utf-8").splitlines()
    assert first[2:] == second[2:]
    model = Trigrams.of_lines(first)
    assert model.has("giella") and not model.has("gigi") and not model.knows("xi") and "á" in model.letters
