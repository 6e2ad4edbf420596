"""The figures between the commands of docs/add-a-language.md are those of what it speaks of."""

import random
import re
import string
from pathlib import Path

import pyarrow as pa
import pytest

from assets.cleaning.alphabets import ALPHABETS
from assets.cleaning.languages import MIN_LINE
from assets.cleaning.personal import mask_identity_codes
from assets.cleaning.phones import mask_phones
from assets.cleaning.strange_words import StrangeWords
from assets.cleaning.texts import Documents, Texts
from assets.corpora.language import identify
from assets.recipe.load import load_recipe
from tests.workplace import demo_rows

PROJECT = Path(__file__).parents[1]
GUIDE = PROJECT / "docs" / "add-a-language.md"
ALL = 1_000_000


def texts(language: str, *strings: str) -> Texts:
    return Texts(pa.array(strings, pa.large_string()), language)


def documents(language: str, *strings: str) -> Documents:
    side = texts(language, *strings)
    return Documents({"text": side}, pa.array(["MPL-2.0"] * len(side), pa.large_string()))


def figures(before: str, pattern: str) -> list[float]:
    """The numbers of the guide's groups in ``pattern``, in the sentence that begins with ``before``."""
    text = " ".join(GUIDE.read_text("utf-8").split())
    found = re.match(f".*?{pattern}", text[text.index(before) :])
    assert found is not None, (before, pattern)
    return [float(number.replace(",", "")) for number in found.groups()]


N = r"([0-9][0-9.,]*[0-9]|[0-9])"
"""A number within a sentence."""


def test_the_guide_counts_the_corpora_as_they_are() -> None:
    assert figures("took, from Debian", f"{N} pages.*?{N}\\).*?{N}\\)") == [
        len(demo_rows(name, ALL)) for name in ("libreoffice_help_et", "libreoffice_pairs_et", "gettext_pairs_et")
    ]
    names = ("libreoffice_help_et", "libreoffice_pairs_et", "gettext_pairs_et")
    size = sum(len(str(row.get("text") or row["et"]).encode()) for name in names for row in demo_rows(name, ALL))
    assert figures("A file from", f"{N} MB") == [round(size / 1e6, 1)]


def test_the_guide_says_how_rare_false_alarms_are() -> None:
    pages = [row["text"] for row in demo_rows("libreoffice_help_et", ALL)]
    alarms = sum(bool(mask_identity_codes(page)[1] or mask_phones(page)[1]) for page in pages)
    assert (
        alarms == 1
        and "(one in 696 Estonian pages)" in " ".join(GUIDE.read_text("utf-8").split())
        and len(pages) == 696
    )


def test_the_guide_reads_its_table_of_identification() -> None:
    text = GUIDE.read_text("utf-8")
    finnish = [
        float(each) for each in re.findall(r"^[0-9]+-\S*\s+[0-9]+\s+[0-9.]+% \(fi ([0-9.]+)%", text, re.MULTILINE)
    ]
    assert figures("Estonian is taken for Finnish", f"in {N} %.*?in {N} %") == [round(each) for each in finnish]
    (sure,) = set(re.findall(r"^1-14\s.*?%.*?%.*?(?=fi)fi ([0-9.]+)%\)  30", text, re.MULTILINE))
    assert figures("Where an identifier is sure", f"at {N} %") == [float(sure)]
    assert figures("- lines under", f"under {N} characters") == [MIN_LINE]


def test_the_guide_says_how_well_pairs_are_identified() -> None:
    said = figures("- pairs of short labels", f"{N} %.*?{N} %.*?{N}; of.*?{N} % and {N} %, so {N}")
    recipe = load_recipe(PROJECT / "orchestration" / "recipes" / "mini-et.yaml")
    for name, shares, bound in (
        ("libreoffice_pairs_et", said[:2], said[2]),
        ("gettext_pairs_et", said[3:5], said[5]),
    ):
        for side, share in zip(("et", "en"), shares, strict=True):
            rows = [row[side] for row in demo_rows(name, ALL)]
            right = sum(found == side for found, _ in identify(rows, side)) / len(rows)
            assert share == pytest.approx(100 * right, abs=0.6)
        assert recipe.sources[name].bounds.language_share == bound


def test_the_guide_says_how_much_noise_the_trigrams_find() -> None:
    pages = [row["text"] for row in demo_rows("heldout_et", ALL)]
    letters = string.ascii_lowercase + ALPHABETS["et"]

    def fail(rate: float) -> int:
        chances = [random.Random(seed) for seed in range(len(pages))]
        noisy = [
            "".join(chance.choice(letters) if c.isalpha() and chance.random() < rate else c for c in page)
            for chance, page in zip(chances, pages, strict=True)
        ]
        return int(StrangeWords().fails(documents("et", *noisy)).sum())

    said = figures("of the 35 held-out pages", f"{N} held-out.*?{N} fail.*?{N} with {N} %.*?{N} with {N} %")
    assert said == [len(pages), fail(0), fail(0.03), 3, fail(0.06), 6]
