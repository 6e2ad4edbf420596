"""Words that no language writes so: noise at several rates against clean text of several kinds."""

import codecs
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.cleaning import strange_words
from assets.cleaning.strange_words import (
    FOLDER,
    StrangeWords,
    Trigrams,
    different_words,
    digests,
    running_words,
    trigrams,
)
from tests.assets.cleaning.slices import ANY, fails, judged_alone, quick, texts

ROOT = Path(__file__).parents[3]
SHARED = os.environ.get("TOKKA_SHARED")
needs_shared = pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with the larger corpora")
MISREAD = dict(zip("eclionhtuäösrkvd", "cel1ounbtaosn lyo", strict=False))
NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopqsdfghjklaxcvbnmz", strict=True))


def known(*languages: str) -> list[Trigrams]:
    found = [trigrams(language) for language in languages]
    return [model for model in found if model is not None]


def long_documents(file: Path, least: int = 800, most: int = 3000) -> list[str]:
    with gzip.open(file, "rt") as lines:
        found = [json.loads(line)["text"][:most] for line in lines]
    return [text for text in found if len(text) >= least]


def replaced(text: str, seed: int, rate: float, by: Callable[[str, random.Random], str]) -> str:
    chance = random.Random(seed)
    return "".join(by(c, chance) if c.isalpha() and chance.random() < rate else c for c in text)


def any_letter(_: str, chance: random.Random) -> str:
    return chance.choice("abcdefghijklmnopqrstuvwxyzäö")


@pytest.mark.parametrize("language", ["fi", "en"])
def test_clean_pages_stay_and_noisy_ones_go(language: str) -> None:
    clean = long_documents(ROOT / f"infra/demo/corpora/heldout_{language}.jsonl.gz")
    assert len(clean) > 30
    assert not any(fails(StrangeWords(), *clean, language=language))
    ways: list[tuple[Callable[[str, random.Random], str], float, float]] = [
        (any_letter, 0.09, 0.97),
        (any_letter, 0.12, 1.0),
        (lambda c, _: MISREAD.get(c, c), 0.15, 0.95),
        (lambda c, _: NEIGHBOURS.get(c, c), 0.12, 0.97),
    ]
    for by, rate, least in ways:
        noisy = [replaced(text, seed, rate, by) for seed, text in enumerate(clean)]
        assert sum(fails(StrangeWords(), *noisy, language=language)) >= least * len(clean)


def test_what_is_no_language_goes() -> None:
    chance = random.Random(1)
    page = long_documents(ROOT / "infra/demo/corpora/heldout_fi.jsonl.gz")[0]
    letters = "".join(chance.choice("abcdefghijklmnopqrstuvwxyzäö    ") for _ in range(1500))
    mash = " ".join("".join(chance.choice("asdfghjklöä") for _ in range(chance.randint(3, 9))) for _ in range(150))
    shuffled = " ".join("".join(chance.sample(word, len(word))) for word in page.split())
    noise = [letters, mash, codecs.encode(page, "rot13"), page[::-1], shuffled]
    assert fails(StrangeWords(), *noise, page, language="fi") == [*[True] * 5, False]


def test_names_codes_and_english_are_no_strange_words() -> None:
    page = """Asenna Microsoft Dynamics 365 Supply Chain Management -sovellus ja valitse XMLHttpRequest. Tšaikovski ja Dvořák
    kävivät Reykjavíkissa, Szczecinissä ja Kyrgyzstanissa. Tuotekoodit ABX-123, qW3rTy, x86_64 ja RTX4090 ovat varastossa.
    Avaa settings, highlight ja keyboard, jos knowledge on right. Lopuksi tallenna tiedosto ja sulje ohjelma tavalliseen
    tapaan, niin muutokset tulevat voimaan seuraavalla kerralla."""
    assert fails(StrangeWords(), page, language="fi") == [False]
    words = different_words(page, known("fi", "en"))
    assert "asenna" not in words and "tšaikovski" not in words  # capitals, and letters that are not Finnish
    assert words["keyboard"] is False and different_words("keyboard", known("fi")) == {"keyboard": True}


def test_spoken_and_old_finnish_stay() -> None:
    spoken = """mä en tiiä mitä sä aattelet mut musta toi on ihan hyvä juttu, ku mennään sit vaikka huomenna sinne mökille
    niin ei tarvii enää tänään lähtee. jos sulla on aikaa nii soita mulle, oon kotona koko illan enkä lähe mihinkään"""
    verse = """mieleni minun tekevi, aivoni ajattelevi lähteäni laulamahan, saa'ani sanelemahan, sukuvirttä suoltamahan,
    lajivirttä laulamahan. sanat suussani sulavat, puhe'et putoelevat, kielelleni kerkiävät, hampahilleni hajoovat"""
    assert fails(StrangeWords(), spoken, verse, language="fi") == [False, False]


def test_what_a_file_says() -> None:
    model = Trigrams.of_lines(["# words: kala, ala", "_a l", "_k a", "ka l", "al a", "la _"])
    assert model.letters == "akl"
    assert model.has("kala") and model.has("ala") and not model.has("kalla")
    assert model.knows("lalla") and not model.knows("kalä")


def test_a_language_without_a_file_is_not_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not (FOLDER / "sv.txt").exists()
    assert fails(StrangeWords(), "qwx zxcv bnmq wrtp " * 50, language="sv") == [False]
    assert set(StrangeWords().model_dump()["files"]) == {"en", "et", "fi"}
    (tmp_path / "sv.txt").write_text("_s l\n", "utf-8")
    monkeypatch.setattr(strange_words, "FOLDER", tmp_path)
    assert set(digests()) == {"sv"}


PIECES = st.lists(st.sampled_from([*"aiknpsxqzäöAÄß éд1-'\n ", "kala", "strange", "zxq", "\U00010400"]), max_size=30)


@quick
@given(st.lists(ANY | PIECES.map("".join), max_size=8))
def test_the_vectors_count_what_a_loop_counts(strings: list[str]) -> None:
    own, english = known("fi", "en")
    words, strange = running_words(texts(strings, "fi"), [own, english])
    for text, counted, odd in zip(strings, words.tolist(), strange.tolist(), strict=True):
        runs = "".join(c if c.isalpha() and ord(c) < 0x10000 else " " for c in text).split()
        judged = [run for run in runs if len(run) >= 3 and own.knows(run)]
        assert counted == len(judged)
        assert odd == sum(not own.has(run) and not (english.knows(run) and english.has(run)) for run in judged)


@quick
@given(st.lists(ANY | PIECES.map(" ".join), max_size=6))
def test_any_text_is_judged_by_itself(strings: list[str]) -> None:
    assert judged_alone(StrangeWords(few=0), strings, "fi")


@needs_shared
def test_verse_news_encyclopedia_and_novels_stay() -> None:
    for name, most in (
        ("fi/kalevala_fi", 0),
        ("fi/turku_ner_fi", 0.01),
        ("fi/fiwiki_sample_fi", 0),
        ("en/gutenberg_en", 0),
    ):
        clean = long_documents(Path(str(SHARED)) / f"{name}.jsonl.gz", 200)
        assert sum(fails(StrangeWords(), *clean, language=name[:2])) <= most * len(clean), name
