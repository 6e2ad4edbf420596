"""Repetition, against plain reference implementations and by examples."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.cleaning.measures import MEASURES
from assets.cleaning.profiles import PROFILES
from assets.cleaning.repetition import CharacterRuns, RepeatedWords, repeated_shares, run_shares
from assets.cleaning.steps import Test
from tests.assets.cleaning.slices import ANY, documents, fails, judged_alone, quick, texts

SHARED = os.environ.get("TOKKA_SHARED")
SENTENCE = "Markkinointisuunnitelman avulla yritys voi tunnistaa, houkutella ja säilyttää asiakkaita."
PROSE = (
    "Helsingin kaupunki rakentaa uuden sillan satamasta keskustaan ensi vuoden aikana. Hankkeen arvioidaan maksavan "
    "kymmeniä miljoonia euroja, mutta rahoituksesta päätetään vasta syksyllä. Asukkaat ovat toivoneet parempia yhteyksiä "
    "pyöräilijöille ja kävelijöille, ja silta lyhentäisi monen työmatkaa. Vastustajien mielestä se pilaisi maiseman."
)
# Few words, so that n-grams repeat, and texts that share them.
FEW = st.lists(st.sampled_from(["aa", "b", "ää", "B", "1", "-", "\n", "aa,", "»"]), max_size=40).map(" ".join)
RUNS = st.lists(st.sampled_from(["a", "ä", "-=", "abc", " ", "\n", "a" * 9, "ab" * 9, "€" * 8]), max_size=20).map(
    "".join
)


def letter(character: str) -> str:
    """What a character is among letters, said anew and plainly."""
    code = ord(character)
    if code < 0x80:
        return character.lower() if character.isalpha() else " "
    if code <= 0xBF or code in (0xD7, 0xF7) or 0x2000 <= code <= 0x2FFF or code > 0xFFFF:
        return " "
    return chr(code + 32) if 0xC0 <= code <= 0xDE else character


def plain_shares(text: str) -> list[float]:
    """The shares of ``RepeatedWords`` by counting n-grams one by one."""
    words = "".join(map(letter, text)).split()
    lengths = [len(word.encode()) for word in words]
    total = max(sum(lengths), 1)
    shares = []
    for size in range(2, 11):
        grams = [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]
        if size <= 4:
            counts = Counter(grams)
            taken = (n * len("".join(gram).encode()) for gram, n in counts.items() if n > 1)
            shares.append(max(taken, default=0) / total)
        else:
            seen: set[tuple[str, ...]] = set()
            covered: set[int] = set()
            for place, gram in enumerate(grams):
                if gram in seen:
                    covered.update(range(place, place + size))
                seen.add(gram)
            shares.append(sum(lengths[place] for place in covered) / total)
    return shares


def plain_runs(text: str) -> float:
    data = text.encode()
    covered: set[int] = set()
    for unit in (1, 2, 3, 4):
        for first in range(len(data)):
            last = first + unit
            while last < len(data) and data[last] == data[last - unit] and data[last] > 32:
                last += 1
            if last - first >= 8 * unit:
                covered.update(range(first, last))
    return len(covered) / max(len(data), 1)


@quick
@given(strings=st.lists(FEW | ANY | RUNS, min_size=1, max_size=8))
def test_shares_are_those_of_a_plain_count(strings: list[str]) -> None:
    for found, text in zip(repeated_shares(texts(strings).letters).tolist(), strings, strict=True):
        assert found == pytest.approx(plain_shares(text))
    assert run_shares(texts(strings).column).tolist() == pytest.approx([plain_runs(text) for text in strings])


@quick
@given(strings=st.lists(FEW | ANY | RUNS, min_size=1, max_size=8))
def test_a_document_is_judged_by_itself(strings: list[str]) -> None:
    for test in (RepeatedWords(), CharacterRuns(at_most=0.1)):
        assert judged_alone(test, strings)


def interleaved(text: str) -> str:
    """A sentence between each two words of another text."""
    return " ".join(f"{word} {SENTENCE}" for word in text.split())


@pytest.mark.parametrize(
    "text",
    [
        f"{SENTENCE} " * 60,
        "\n".join([SENTENCE] * 60),
        "\n\n".join(f"{number}. {SENTENCE}" for number in range(60)),
        "".join(f"{SENTENCE} Katso kuva {number} ja taulukko {number + 1}. " for number in range(60)),
        interleaved(PROSE),
        f"{PROSE} {SENTENCE * 12}",
    ],
    ids=["in one line", "in lines", "numbered", "with numbers between", "interleaved", "after other text"],
)
def test_copies_of_a_sentence_go(text: str) -> None:
    web = next(step for step in PROFILES["web"].steps if isinstance(step, RepeatedWords))
    assert fails(RepeatedWords(), text) == fails(web, text) == [True]


def test_text_that_is_no_copy_stays() -> None:
    assert fails(RepeatedWords(), PROSE, "", "sana", "\n") == [False] * 4
    # Not one n-gram is the other text's.
    assert fails(RepeatedWords(), PROSE, PROSE) == [False, False]


@pytest.mark.parametrize("size", [5, 6, 7, 8, 9, 10])
def test_each_threshold_counts(size: int) -> None:
    gram = ["yksi", "kaksi", "kolme", "neljä", "viisi", "kuusi", "seitsemän", "kahdeksan", "yhdeksän", "kymmenen"][
        :size
    ]
    text = " ".join([*gram, "muuta", *gram, "kuin sitä samaa koko ajan", *PROSE.split()[:30]])
    off = {f"top_{n}": 9.0 for n in (2, 3, 4)} | {f"repeated_{n}": 1.0 for n in range(5, 11)}
    assert fails(RepeatedWords(**off), text) == [False]  # type: ignore[arg-type]
    assert fails(RepeatedWords(**off | {f"repeated_{size}": 0.05}), text) == [True]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        (PROSE, False),
        (f"Otsikko\n=======\n{PROSE}", False),
        (f"{PROSE}{'.' * 60}{PROSE}", False),
        ("a" * 100, True),
        (PROSE[:100] + "haha" * 10, True),
        ("lol " * 50, False),
        (PROSE[:80] + "-=" * 30 + "ÄÄÄÄÄÄÄÄÄÄÄÄ", True),
    ],
)
def test_character_runs(text: str, removed: bool) -> None:
    assert fails(CharacterRuns(at_most=0.1), text) == [removed]


def test_repeated_paragraphs() -> None:
    measure = MEASURES["repeated_paragraphs"]
    found = measure(texts([f"{SENTENCE}\n\n{PROSE}\n \n{SENTENCE}", f"{SENTENCE}\n{SENTENCE}", "", SENTENCE]))
    assert found.tolist() == pytest.approx([len(SENTENCE) / len(SENTENCE * 2 + PROSE), 0, 0, 0])


@pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with real corpora")
@pytest.mark.parametrize("corpus", ["fi/fiwiki_sample_fi", "fi/turku_ner_fi", "en/gutenberg_en", "en/msdocs_en"])
def test_real_text_stays(corpus: str) -> None:
    with gzip.open(Path(str(SHARED)) / f"{corpus}.jsonl.gz", "rt", encoding="utf-8") as lines:
        real = documents([json.loads(line)["text"] for line in lines])
    web: list[Test] = [step for step in PROFILES["web"].tests if isinstance(step, RepeatedWords | CharacterRuns)]
    assert len(web) == 2
    for test in web:
        assert test.fails(real).mean() <= 0.01
