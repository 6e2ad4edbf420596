"""The stage on real corpora: nothing is lost, the bytes are the same twice, and people see why documents went."""

from pathlib import Path
from typing import Any

import pytest

from assets.cleaning.show import reasons
from assets.cleaning.stage import STAGE, config
from assets.recipe.load import PROJECT
from assets.stage import Plot, Table

CORPORA = PROJECT / "infra" / "demo" / "corpora"
SOURCES = [
    ("gnome_help_fi", {}),
    ("gnome_help_en", {"language": "en"}),
    ("heldout_code", {"language": "code", "cleaning": "code"}),
    ("heldout_pairs", {"format": "pairs_jsonl", "pair_language": "en", "cleaning": "pairs"}),
]


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[name for name, _ in SOURCES])
def test_every_document_is_kept_or_removed_with_a_reason(name: str, source: dict[str, Any], cleaned: Any) -> None:
    corpus = cleaned(CORPORA / f"{name}.jsonl.gz", **source)
    kept, removed = corpus.table(), corpus.table("removed")
    counts = corpus.clean.counts
    assert counts["documents_in"] == corpus.raw.counts["documents"] == len(kept) + len(removed)
    assert counts["documents"] == len(kept) > 0
    assert sum(reasons(corpus.clean).values()) == len(removed)
    assert {row["reason"] for row in removed} <= set(reasons(corpus.clean))
    assert len({row["id"] for row in kept} | {row["id"] for row in removed}) == len(kept) + len(removed)
    assert all(0 < len(row["excerpt"]) <= 500 for row in removed)
    assert [row["id"] for row in kept] == sorted(row["id"] for row in kept)


@pytest.mark.parametrize("name", ["heldout_fi", "heldout_en", "heldout_code", "heldout_pairs"])
def test_clean_text_survives(name: str, cleaned: Any) -> None:
    source = dict(SOURCES)[name] if name in dict(SOURCES) else {"language": name.removeprefix("heldout_")}
    corpus = cleaned(CORPORA / f"{name}.jsonl.gz", **source)
    assert corpus.clean.counts["documents"] >= 0.97 * corpus.clean.counts["documents_in"]
    assert corpus.clean.counts["characters"] >= 0.95 * corpus.clean.counts["characters_in"]


def test_english_goes_from_finnish_pages(cleaned: Any) -> None:
    from assets.corpora.language import identify

    corpus = cleaned(CORPORA / "gnome_help_fi.jsonl.gz")
    found = identify([row["text"] for row in corpus.table()], "fi")
    assert sum(language == "fi" for language, _ in found) >= 0.98 * len(found)
    assert corpus.clean.counts["lines_removed"] > 500


def test_the_same_bytes_twice(cleaned: Any) -> None:
    one = cleaned(CORPORA / "heldout_fi.jsonl.gz", lake="one")
    other = cleaned(CORPORA / "heldout_fi.jsonl.gz", lake="other")
    assert one.clean.digest == other.clean.digest
    assert one.clean.files == other.clean.files


def test_parts_stay_parts(cleaned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cleaned(CORPORA / "heldout_fi.jsonl.gz", lake="whole")
    monkeypatch.setattr("assets.corpora.stage.PART_ROWS", 20)
    parts = cleaned(CORPORA / "heldout_fi.jsonl.gz", lake="parts")
    assert (
        len(parts.clean.under("documents"))
        == len(parts.clean.under("removed"))
        == len(parts.raw.under("documents"))
        == 4
    )
    assert parts.table() == whole.table()
    assert parts.clean.counts == whole.clean.counts


def test_a_step_left_out_changes_the_version(cleaned: Any) -> None:
    text = (
        "Asenna ohjelma ja avaa valikko. Sitten voit valita tiedoston, jonka haluat avata, ja tallentaa sen uudelleen."
    )
    records = [{"id": "a", "text": f"{text} Kysy osoitteesta matti@yritys.fi."}]
    masked = cleaned(records)
    left = cleaned(records, without=("emails",))
    assert "email@example.com" in masked.table()[0]["text"] and masked.clean.counts["masked_emails"] == 1
    assert "matti@yritys.fi" in left.table()[0]["text"] and "masked_emails" not in left.clean.counts
    assert masked.clean.version != left.clean.version


def test_an_unknown_step_is_refused_with_the_known_ones(cleaned: Any) -> None:
    with pytest.raises(ValueError, match=r"sources.corpus.without: there is no cleaning step 'emojis'.*foreign_lines"):
        cleaned([{"id": "a", "text": "teksti"}], without=("emojis",))


def test_the_configuration_names_steps_thresholds_and_languages(cleaned: Any) -> None:
    corpus = cleaned([{"id": "a", "text": "teksti"}])
    declared = config(corpus.catalog, "corpus")
    assert declared["languages"] == {"text": "fi"}
    assert {"name": "too_short", "measure": "characters", "at_least": 100.0, "at_most": None} in declared["steps"]


def test_a_source_of_which_nothing_is_left(cleaned: Any) -> None:
    corpus = cleaned([{"id": "a", "text": "lyhyt"}, {"id": "b", "text": "\u200b"}])
    assert corpus.table() == []
    assert [row["reason"] for row in corpus.table("removed")] == ["too_short", "empty"]


def test_an_empty_source(cleaned: Any, tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("")
    corpus = cleaned(file)
    assert corpus.clean.counts["documents_in"] == corpus.clean.counts["documents"] == 0
    assert corpus.table() == corpus.table("removed") == []


def test_what_people_see(cleaned: Any) -> None:
    corpus = cleaned(CORPORA / "gnome_help_fi.jsonl.gz")
    shown = STAGE.show(corpus.lake, corpus.clean)
    table, plot = shown["reasons"], shown["plot"]
    assert isinstance(table, Table) and isinstance(plot, Plot)
    assert table.rows[0]["reason"] == "mixed_language"
    assert sum(row["documents"] for row in table.rows) == len(corpus.table("removed"))  # type: ignore[misc]
    assert plot.png.startswith(b"\x89PNG")
    assert isinstance(shown["removed"], Table) and {row["reason"] for row in shown["removed"].rows} >= {"too_short"}
    assert isinstance(shown["kept"], Table) and len(shown["kept"].rows) == 5


def test_excerpts_hold_no_personal_data(cleaned: Any) -> None:
    corpus = cleaned([{"id": "a", "text": "matti@yritys.fi 131052-308T"}], without=("emails", "identity_codes"))
    assert corpus.table("removed")[0]["excerpt"] == "email@example.com 010101-001Z"
