"""Slices of documents for tests of single steps."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from assets.cleaning.steps import Edit, Test
from assets.cleaning.texts import Documents, Texts

# Lone surrogates are no UTF-8; raw corpora hold none.
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def texts(strings: list[str], language: str = "fi") -> Texts:
    import pyarrow as pa

    return Texts(pa.array(strings, pa.large_string()), language)


def documents(strings: list[str], language: str = "code") -> Documents:
    import pyarrow as pa

    return Documents({"text": texts(strings, language)}, pa.array(["MIT"] * len(strings), pa.large_string()))


def pairs(sides: list[tuple[str, str]], languages: tuple[str, str] = ("en", "fi")) -> Documents:
    import pyarrow as pa

    columns = zip(("text", "translation"), zip(*sides, strict=True), languages, strict=True)
    both = {name: texts(list(side), language) for name, side, language in columns}
    return Documents(both, pa.array(["MIT"] * len(sides), pa.large_string()))


def edited(edit: Edit, *strings: str, language: str = "code") -> Any:
    """What an edit makes of a text, or of several."""
    made = edit.apply(texts(list(strings), language)).column.to_pylist()
    return made[0] if len(strings) == 1 else made


def fails(test: Test, *strings: str, language: str = "code") -> list[bool]:
    found: list[bool] = test.fails(documents(list(strings), language)).tolist()
    return found


def pair_fails(test: Test, *sides: tuple[str, str]) -> list[bool]:
    found: list[bool] = test.fails(pairs(list(sides))).tolist()
    return found


def judged_alone(test: Test, strings: list[str], language: str = "code") -> bool:
    """Whether a test says the same of each document by itself as of a slice with others."""
    return fails(test, *strings, language=language) == [fails(test, text, language=language)[0] for text in strings]
