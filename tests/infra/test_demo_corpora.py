"""The demo corpora: how pages become text, and what the committed files hold."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).resolve().parents[2] / "infra" / "demo"
sys.path.insert(0, str(DEMO))
extract = importlib.import_module("corpus_extract")
splits = importlib.import_module("corpus_split")

DOCUMENTS = {
    "aptitude_doc_fi",
    "gnome_help_en",
    "gnome_help_fi",
    "libreoffice_help_en",
    "libreoffice_help_fi",
    "manpages_fi",
    "python_stdlib",
    "heldout_code",
    "heldout_en",
    "heldout_fi",
    "libreoffice_help_et",
    "heldout_et",
}
PAIRS = {
    "libreoffice_pairs": "fi",
    "heldout_pairs": "fi",
    "libreoffice_pairs_et": "et",
    "gettext_pairs_et": "et",
    "heldout_pairs_et": "et",
}
"""Files of pairs, by the language that stands beside English."""
Rows = list[dict[str, Any]]

HTML = """<html><head><title>Solut</title><script>var a = 1;</script><style>p {}</style></head><body>
<header><p>LibreOffice 7.4:n ohje</p></header><aside><label>Sis&auml;llys</label></aside>
<div id="DisplayArea"><h1 id="hd_1">Solujen
 muotoilu</h1><p id="par_1">Valitse <span>Muotoilu - <b>Solut</b></span>.</p>
<ul><li><p id="par_2">Yksi</p></li><li><p id="par_2">Kaksi</p></li></ul>
<pre>Sub Esimerkki
    Print "a"
End Sub</pre><img src="a.png"><p id="par_3">Ensin<br>sitten</p></div>
<footer><p>This page is: /text/scalc/x.xhp</p></footer></body></html>"""

MALLARD = """<page xmlns="http://projectmallard.org/1.0/" id="x"><info><desc>Kuvaus</desc>
<credit><name>Joku</name></credit></info><title>Näppäimet</title>
<p>Avaa <gui>Asetukset</gui> ja anna
   <code>komento</code> näin.</p><steps><item><p>Paina <key>Alt</key>.</p></item></steps>
<code>rivi 1
  rivi 2</code><links type="section"><title>Muuta</title></links></page>"""

TROFF = """.\\" Copyright (c) 1999 Joku
.\\" All rights reserved.
.\\"
.\\" -*- toinen -*-
.TH AC 1 "2023" "versio" "Otsake"
.SH NIMI
ac \\- tulostaa \\fBtilaston\\fP
.SH KUVAUS
Pitkä rivi jatkuu
seuraavalla rivillä.
.TP
.B \\-v
Kertoo version.
"""


def test_html_gives_content_without_furniture() -> None:
    page = extract.html_page(HTML)
    assert page.title == "Solut"
    assert page.lines == [
        "Solujen muotoilu",
        "Valitse Muotoilu - Solut.",
        "Yksi",
        "Kaksi",
        "Sub Esimerkki",
        '    Print "a"',
        "End Sub",
        "Ensin",
        "sitten",
    ]
    # par_2 stands twice and aligns with nothing.
    assert page.by_id == {"hd_1": "Solujen muotoilu", "par_1": "Valitse Muotoilu - Solut.", "par_3": "Ensin sitten"}


def test_html_leaves_out_docbook_navigation() -> None:
    source = (
        '<body><div class="navheader"><table><tr><td>Edellinen<img/></td></tr></table><hr /></div>'
        '<div class="toc"><dl><dt>1. Luku</dt></dl></div><p>Itse teksti.</p><div class="navfooter">Alkuun</div></body>'
    )
    assert extract.html_page(source).lines == ["Itse teksti."]


def test_pairs_are_the_same_element_translated() -> None:
    english = extract.html_page('<p id="a">Cells</p><p id="b">LibreOffice</p><p id="c">Only here</p>')
    finnish = extract.html_page('<p id="a">Solut</p><p id="b">LibreOffice</p><p id="d">Vain tässä</p>')
    assert extract.aligned_pairs(english, finnish) == [("a", "Cells", "Solut")]


def test_mallard_gives_titles_paragraphs_and_listings() -> None:
    page = extract.mallard_page(MALLARD)
    assert page.title == "Näppäimet"
    assert page.lines == [
        "Näppäimet",
        "Avaa Asetukset ja anna komento näin.",
        "Paina Alt.",
        "rivi 1",
        "  rivi 2",
    ]


def test_broken_mallard_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="not well-formed XML"):
        extract.mallard_page("<page><p></page>")


@pytest.mark.skipif(shutil.which("groff") is None, reason="rendering needs groff")
def test_manual_page_is_unwrapped_text() -> None:
    text = extract.man_page(TROFF)
    assert text.startswith("NIMI\nac - tulostaa tilaston\n\nKUVAUS\nPitkä rivi jatkuu seuraavalla rivillä.")
    assert re.search(r"^-v +Kertoo version\.$", text, re.MULTILINE)
    assert "versio" not in text.splitlines()[-1].replace("version", "")


def test_rendered_manual_page_loses_header_footer_and_margin() -> None:
    rendered = (
        "AC(1)      Otsake      AC(1)\n\n\n\nNIMI\n       ac \u2010 yksi.  Kaksi.\n\n\n       kolme\n\n2023   AC(1)\n"
    )
    assert extract.clean_troff_output(rendered) == "NIMI\nac - yksi. Kaksi.\n\nkolme"


def test_a_page_that_points_elsewhere_is_no_document() -> None:
    assert extract.man_page(".so man1/ls.1\n") == ""


def test_notices_in_comments_are_found() -> None:
    assert extract.troff_notice(TROFF) == "Copyright (c) 1999 Joku\nAll rights reserved."
    assert extract.troff_notice(".SH NIMI\n") == ""


def test_language_by_function_words() -> None:
    assert splits.language_of("Valitse solu, jota käytetään, ja paina Enter.") == "fi"
    assert splits.language_of("Select the cell to use and press Enter.") == "en"
    assert splits.language_of("Ctrl+F4") == ""


def test_files_do_not_depend_on_order_or_time(tmp_path: Path) -> None:
    rows = [{"id": "b", "text": "ä"}, {"id": "a", "text": "x"}]
    splits.write_rows(tmp_path / "1.gz", rows)
    splits.write_rows(tmp_path / "other.gz", rows[::-1])
    assert (tmp_path / "1.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()
    assert [row["id"] for row in splits.read_rows(tmp_path / "1.gz")] == ["a", "b"]


def page_of(row: dict[str, Any]) -> str:
    """LibreOffice's or GNOME's page, the same in both languages and in pairs."""
    source, _, page = str(row["id"]).partition("/")
    return f"{source.split('-')[0]}/{page.partition('#')[0]}"


@pytest.fixture(scope="module")
def corpora() -> dict[str, Rows]:
    return {path.name.removesuffix(".jsonl.gz"): splits.read_rows(path) for path in (DEMO / "corpora").glob("*.gz")}


def test_all_files_are_there_and_small(corpora: dict[str, Rows]) -> None:
    assert set(corpora) == DOCUMENTS | PAIRS.keys()
    assert sum(path.stat().st_size for path in (DEMO / "corpora").iterdir()) <= 7_000_000


def test_rows_are_complete(corpora: dict[str, Rows]) -> None:
    for name, rows in corpora.items():
        language = PAIRS.get(name)
        expected = {"id", "en", language, "license"} if language else {"id", "text", "url", "license", "meta"}
        for row in rows:
            assert set(row) == expected, row["id"]
            assert all(row[field].strip() for field in expected - {"meta"}), row["id"]
            assert language or set(row["meta"]) == {"title", "package", "version"}
            assert not language or row["en"] != row[language]
        assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    identifiers = [row["id"] for rows in corpora.values() for row in rows]
    assert len(identifiers) == len(set(identifiers))


def test_held_out_pages_are_in_no_training_file(corpora: dict[str, Rows]) -> None:
    held = {page_of(row) for name, rows in corpora.items() if name.startswith("heldout") for row in rows}
    trained = {page_of(row) for name, rows in corpora.items() if not name.startswith("heldout") for row in rows}
    assert len(held) > 100
    assert not held & trained


def test_held_out_pairs_are_translations_that_training_does_not_show(corpora: dict[str, Rows]) -> None:
    trained = {row[side] for row in corpora["libreoffice_pairs"] for side in ("en", "fi")}
    for name in ("libreoffice_help_fi", "libreoffice_help_en"):
        trained |= {line for row in corpora[name] for line in row["text"].split("\n")}
    assert len(corpora["heldout_pairs"]) == 200
    for row in corpora["heldout_pairs"]:
        assert all(5 <= len(row[side].split()) <= 30 for side in ("en", "fi"))
        assert not {row["en"], row["fi"]} & trained


@pytest.mark.parametrize(("name", "language"), [("heldout_fi", "fi"), ("heldout_en", "en")])
def test_held_out_documents_are_in_their_language(corpora: dict[str, Rows], name: str, language: str) -> None:
    rows = corpora[name]
    assert 120_000 <= sum(len(row["text"]) for row in rows) <= 200_000
    assert all(len(row["text"]) >= 400 and splits.language_of(row["text"]) == language for row in rows)


def test_held_out_code_is_of_moderate_size(corpora: dict[str, Rows]) -> None:
    assert all(len(row["text"]) <= 20_000 for row in corpora["heldout_code"])


def test_finnish_help_is_half_english(corpora: dict[str, Rows]) -> None:
    """The reason for the language gate: nearly half of the pages are for the most part untranslated."""
    english = {page_of(row): set(row["text"].split("\n")) for row in corpora["libreoffice_help_en"]}
    untranslated = 0
    for row in corpora["libreoffice_help_fi"]:
        lines = row["text"].split("\n")
        same = sum(len(line) for line in lines if line in english.get(page_of(row), set()))
        untranslated += same > sum(map(len, lines)) / 2
    assert 0.43 <= untranslated / len(corpora["libreoffice_help_fi"]) <= 0.51


def test_every_licence_is_explained(corpora: dict[str, Rows]) -> None:
    explained = (DEMO / "LICENSES.md").read_text("utf-8")
    for license_id in {row["license"] for rows in corpora.values() for row in rows}:
        assert f"## {license_id}:" in explained
    for target in re.findall(r"\]\((licenses/[^)]+)\)", explained):
        assert (DEMO / target).is_file(), target
