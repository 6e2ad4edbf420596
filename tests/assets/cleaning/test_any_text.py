"""Properties that hold for any Unicode text."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.cleaning.encoding import unescaped
from assets.cleaning.languages import ForeignLines
from assets.cleaning.left import KINDS
from assets.cleaning.personal import Emails, IdentityCodes
from assets.cleaning.profiles import PROFILES, Profile
from assets.cleaning.run import clean
from assets.cleaning.steps import Characters, Edit, Spacing
from assets.cleaning.texts import Languages
from assets.lake.documents import document_schema

# Lone surrogates are no UTF-8; raw corpora hold none.
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# What addresses and codes are made of, so that their borders meet.
CLOSE = st.text("ab1ä.@-+_% (\n)é\u0301٣²", max_size=40)
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "a@b.fi",
                "email@example.com",
                "x",
                ".",
                "-",
                "@",
                " ",
                "1",
                "ä",
                "(at)",
                " (ät) ",
                "b.fi",
                "\n",
                "\u0301",
                "com",
            ),
            *(
                "131052-308T",
                "010101-001Z",
                "131052",
                "-308",
                "\u200b",
                "\r",
                "_",
                "%",
                "040 123 4567",
                "+358401234567",
            ),
            *(
                "FI21 1234 5600 0007 85",
                "93.184.216.34",
                "2a00:1450::200e",
                "ghp_" + "aB3xY7kQ9mZ2pL5wR8tUvC4nJ6hG1fD0sE3q",
                "\u00ad",
            ),
        ]
    ),
    max_size=10,
).map("".join)
TEXTS = st.lists(ANY | CLOSE | PIECES, min_size=20, max_size=60)
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def table(texts: list[str], pairs: bool = False) -> Any:
    import pyarrow as pa

    rows = [
        {
            "id": f"{i:04}",
            "text": text,
            "source": "s",
            "language": "fi",
            "license": "CC0-1.0",
            "url": None,
            "meta": None,
        }
        | {"translation": texts[-1 - i] if pairs else None}
        for i, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, document_schema())


def edited(texts: list[str], *edits: Edit) -> list[str]:
    kept = clean(table(texts), Profile(steps=edits), Languages("fi")).kept
    return [str(text) for text in kept["text"].to_pylist()]


def personal(text: str, profile: Profile) -> list[str]:
    """The kinds of personal data that the gate finds in a text, of those that a profile masks."""
    return [step.name for step in profile.steps if step.name in KINDS and KINDS[step.name].count(text)]


@pytest.mark.parametrize("profile", list(PROFILES))
@settings(quick, max_examples=6)
@given(texts=TEXTS)
def test_nothing_crashes_and_nothing_is_lost(profile: str, texts: list[str]) -> None:
    pairs = profile == "pairs"
    part = table(texts, pairs)
    result = clean(part, PROFILES[profile], Languages("en", "fi") if pairs else Languages("fi"))
    ids = result.kept["id"].to_pylist() + result.removed["id"].to_pylist()
    assert sorted(ids) == part["id"].to_pylist()
    assert result.kept["id"].to_pylist() == sorted(result.kept["id"].to_pylist())
    counted = sum(n for name, n in result.counts.items() if name.startswith("removed_"))
    assert result.counts["documents_in"] == result.counts["documents"] + counted == len(texts)
    for text in result.kept["text"].to_pylist():
        assert text.strip()
        assert personal(text, PROFILES[profile]) == []


LONG = "9" * 5_000
"""A number of more digits than int() reads."""


@pytest.mark.parametrize("profile", list(PROFILES))
def test_no_number_is_too_long(profile: str) -> None:
    pairs = profile == "pairs"
    shapes = (
        "Luku {}.",
        "&#{};",
        "&#x{};",
        "\\u{}",
        "%{}$d",
        "{{{}}}",
        "1.{}",
        "FI{}",
        "&amp;#{};",
        "[0-9]{{{}}}",
        "+358{}",
    )
    texts = [shape.format(number) for shape in shapes for number in (LONG, "5")]
    result = clean(table(texts, pairs), PROFILES[profile], Languages("en", "fi") if pairs else Languages("fi"))
    assert result.kept.num_rows + result.removed.num_rows == len(texts)
    for text in texts:
        assert isinstance(personal(text, PROFILES[profile]), list)


def test_long_references_are_no_characters() -> None:
    assert unescaped(f"&#{LONG};&#228;&auml;&#{LONG} x") == "\ufffdää\ufffd x"


@pytest.mark.parametrize(
    "edit", [Characters(), Spacing(), Emails(), IdentityCodes(), ForeignLines()], ids=lambda e: e.name
)
@quick
@given(texts=TEXTS)
def test_edits_are_idempotent(edit: Edit, texts: list[str]) -> None:
    once = edited(texts, edit)
    assert edited(once, edit) == once


@quick
@given(texts=TEXTS)
def test_excerpts_hold_nothing_personal(texts: list[str]) -> None:
    for text in clean(table(texts), PROFILES["documentation"], Languages("fi")).removed["excerpt"].to_pylist():
        assert personal(text, PROFILES["documentation"]) == []
        assert len(text) <= 500
