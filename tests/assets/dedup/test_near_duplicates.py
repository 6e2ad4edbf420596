"""The search for near-duplicates against exact comparison of all pairs, on real corpora."""

import os

import pytest

from assets.recipe.data import Dedup
from infra.bench.near_duplicates import report, texts_of


def check(texts: list[str], least: int) -> None:
    found = report(texts, Dedup())
    assert found["true_pairs"] >= least
    assert found["recall"] >= 0.98
    assert found["precision"] >= 0.98
    assert found["removed_by_brute_force"] > 0
    assert found["removed_otherwise"] == 0


def test_pages_of_the_demo(help_pages: list[str]) -> None:
    check(help_pages, least=100)


@pytest.mark.skipif("TOKKA_SHARED" not in os.environ, reason="TOKKA_SHARED does not name the larger corpora")
def test_finnish_and_english_of_the_larger_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKKA_EVAL_DATA", os.environ["TOKKA_SHARED"])
    check(texts_of("mini-rich")[:10_000], least=100)
