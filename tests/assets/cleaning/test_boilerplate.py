"""Lines of a web page's furniture, and documents that are little else."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.cleaning import furniture
from assets.cleaning.boilerplate import (
    CERTAIN,
    CUT_SHARE,
    LIKELY,
    Boilerplate,
    MostlyBoilerplate,
    MostlyHeadings,
    expanded,
    line_weight,
    phrases_of,
)
from assets.cleaning.measures import MEASURES
from assets.cleaning.profiles import PROFILES, Profile
from assets.cleaning.run import edit
from tests.assets.cleaning.slices import ANY, documents, edited, fails, judged_alone, quick, texts

SHARED = os.environ.get("TOKKA_SHARED")
TITLE = "Sillan rakentaminen alkaa keväällä"
BODY = """Helsingin kaupunki rakentaa uuden sillan satamasta keskustaan ensi vuoden aikana.
Haku
Hakemukset käsitellään siinä järjestyksessä, jossa ne tulevat. Kirjaudu sisään ja valitse Tallenna.
Kirjaudu sisään
Palveluun kirjaudutaan verkkopankin tunnuksilla. Sivusto muistaa kirjautumisen, jos selain sallii evästeet.
Tulosta
Kun lomake on valmis, se tulostetaan ja lähetetään kaupungille."""
HEADERS = {
    "fi": ["Siirry sisältöön", "☰ Valikko", "Kirjaudu sisään / Rekisteröidy", "Etusivu > Uutiset > Kotimaa"],
    "en": ["Skip to main content", "Menu", "Log in | Sign up", "You are here: Home » News » Local"],
    "sv": ["Hoppa till innehållet", "Meny", "Logga in", "Hem > Nyheter > Inrikes"],
    "shop": [
        "Etusivu | Tuotteet | Tarjoukset | Yhteystiedot",
        "Ostoskori (0)",
        "Ostoskorisi on tyhjä.",
        "FI / SV / EN",
    ],
    "notice": ["Käytämme evästeitä parantaaksemme käyttökokemustasi. Hyväksy kaikki evästeet", "", "Lue lisää »"],
}
FOOTERS = {
    "fi": [
        "Jaa artikkeli:",
        "Facebook Twitter WhatsApp",
        "3 kommenttia",
        "« Edellinen",
        "1 2 3",
        "Seuraava »",
        "Takaisin ylös",
    ],
    "en": ["Share on Facebook", "12 comments", "Leave a Reply", "Privacy Policy | Terms & Conditions", "Back to top ↑"],
    "sv": [
        "Dela på Facebook",
        "Kommentarer (0)",
        "Om oss",
        "Integritetspolicy",
        "© 2024 Företaget AB. Alla rättigheter förbehållna.",
    ],
    "short": ["Tietosuojaseloste", "Käyttöehdot"],
    "rights": ["© 2012–2024 Yritys Oy. Kaikki oikeudet pidätetään."],
}
LINES = st.sampled_from(
    [
        *(
            "Haku",
            "Seuraava",
            "Kirjaudu sisään",
            "Tietosuojaseloste",
            "Jaa Facebookissa",
            "© 2024 Yritys Oy",
            "Etusivu > Uutiset",
        ),
        *("", "1 2 3", "Tämä on tekstiä.", "Otsikko", "Käytämme evästeitä.", "Haku Uutiset Yhteystiedot Kirjaudu"),
    ]
)
PAGES = st.lists(LINES, max_size=12).map("\n".join)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS.keys())
def test_what_stands_around_a_text_is_cut_and_the_text_stays(header: list[str], footer: list[str]) -> None:
    own = [TITLE, *BODY.split("\n")]
    assert edited(Boilerplate(), "\n".join([*header, *own, *footer])).split("\n") == own


def test_certain_lines_are_cut_in_the_middle_and_other_ones_only_in_a_long_run() -> None:
    first, *_, last = BODY.split("\n")
    for lines, stays in (
        (["Jaa Facebookissa"], False),
        (["Juttu jatkuu mainoksen jälkeen"], False),
        (["This website uses cookies to ensure you get the best experience."], False),
        (["Kirjaudu sisään"], True),
        (["Tuotteet", "Palvelut", "Uutiset", "Tapahtumat", "Yritys", "Media", "Haku"], True),
        (["Kirjaudu sisään", "Tuotteet", "Yhteystiedot", "", "Haku"], False),
        (["Kirjaudu sisään, ja avaa valikko."], True),
        (["Avaa valikko."], True),
    ):
        text = "\n".join([first, *lines, last])
        assert edited(Boilerplate(), text) == (text if stays else f"{first}\n{last}")


@pytest.mark.parametrize(
    "line",
    [
        "Evästeet ovat pieniä tekstitiedostoja, jotka selain tallentaa.",
        "Käytämme esimerkissä valikkoa, josta valitaan Haku.",
        "Valitse Tallenna.",
        "Tulosta-toiminto",
        "Kaikki oikeudet pidätetään niille, jotka ovat mukana",
        "Home - Insert",
        "Tuotteet, joita palautetaan",
        "All rights reserved is a phrase that ended the notices of copyright in the Americas",
        "“Yes.”",
        "Etusivun uudistus",
        "Jaan tämän kirjoituksen huomenna",
        "(C) vaihtoehto",
    ],
)
def test_a_line_of_a_text_is_no_furniture(line: str) -> None:
    assert line_weight(texts([line]).letters.lines[0][0], line).total < LIKELY


def forms(text: str) -> list[str]:
    return [form for phrase in phrases_of(text) for form in expanded(phrase)]


def test_every_phrase_of_the_data_is_found() -> None:
    certain = [form for language in furniture.LANGUAGES for form in forms(language.CERTAIN)]
    likely = [form for language in furniture.LANGUAGES for form in forms(language.LIKELY)]
    notices = [
        form.replace("…", "jotakin aivan muuta").replace("*", "Sivusto")
        for language in furniture.LANGUAGES
        for form in forms(language.NOTICES)
    ]
    assert len(certain) > 1000 and len(likely) > 500 and len(notices) > 100
    for phrases, weight in ((certain, CERTAIN), (likely, LIKELY), (notices, CERTAIN)):
        for phrase, (letters,) in zip(phrases, texts(phrases).letters.lines, strict=True):
            assert letters.strip() and line_weight(letters, phrase.capitalize()).greatest >= weight, phrase


def test_notation() -> None:
    found = sorted(forms("\njaa [tämä] (sivu|juttu)\n    nyt | tulosta\ntoinen rivi\n"))
    assert found == [
        "jaa juttu nyt",
        "jaa sivu nyt",
        "jaa tämä juttu nyt",
        "jaa tämä sivu nyt",
        "toinen rivi",
        "tulosta",
    ]


MENU = ["Etusivu", "Tuotteet", "Kirjaudu sisään", "Huvipuistot", "Ostoskori", "Yhteystiedot", "Haku"]
FOOT = ["Lue myös", "Tulosta sivu", "Mainostoimisto Esimerkki", "Tietosuoja", "Takaisin ylös", "Puuha-Pete"]


def test_a_lone_label_goes_with_the_furniture_that_it_stands_within_or_ends() -> None:
    body = BODY.split("\n", maxsplit=1)[0]
    assert edited(Boilerplate(), "\n".join([*MENU, body, *FOOT]), language="fi") == body
    # A title between the menu and the page's tools is none, nor is a label that is no label: a sentence, or two lines.
    page = ["Etusivu", "Kirjaudu sisään", TITLE, "Tulosta", "Jaa Facebookissa", body]
    assert edited(Boilerplate(), "\n".join(page), language="fi").split("\n")[:1] == [TITLE]
    for between in ("Silta on valmis.", "Silta\nValmis"):
        text = "\n".join([*MENU[:3], between, *MENU[4:], body])
        assert edited(Boilerplate(), text, language="fi").startswith(between)


def test_lines_that_signs_part_are_rows_of_furniture() -> None:
    notice = "Käytämme evästeitä. Voit muuttaa asetuksia. | Hyväksy kaikki | Vain välttämättömät | Tietosuoja"
    assert edited(Boilerplate(), f"{notice}\n{BODY}", language="fi") == BODY
    table = "Silta | 120 metriä | Uutiset\nTunneli | 300 metriä | Haku"
    assert edited(Boilerplate(), f"{table}\n{BODY}", language="fi") == f"{table}\n{BODY}"


def test_what_speaks_of_cookies_goes_with_furniture_only() -> None:
    speaks = "Valitse, mitä evästeitä sallit"
    assert edited(Boilerplate(), "\n".join([speaks, *HEADERS["fi"], BODY]), language="fi") == BODY
    article = f"{speaks}\nEvästeet ovat pieniä tekstitiedostoja.\n{BODY}\nNäin evästeet poistetaan"
    assert edited(Boilerplate(), article, language="fi") == article


def test_counts_and_share() -> None:
    body, *_ = BODY.split("\n")
    made = Boilerplate().apply(texts([f"Jaa Facebookissa\n{body}", body, ""]))
    assert made.counts["lines_boilerplate"].tolist() == [1, 0, 0]
    assert made.facts[CUT_SHARE].tolist() == pytest.approx([16 / (16 + len(body)), 0, 0])
    assert Boilerplate().apply(given_texts := texts([body])).column is given_texts.column


def test_nothing_but_furniture_goes() -> None:
    found = documents(["\n".join(HEADERS["fi"] + FOOTERS["fi"] * 3 + FOOTERS["short"]), BODY], "fi")
    after, _ = edit(found, Profile(steps=(Boilerplate(),)))
    assert after.text.strings == ["", BODY]
    assert MostlyBoilerplate(at_most=0.7).fails(after).tolist() == [True, False]
    assert fails(MostlyBoilerplate(at_most=0.7), "ilman muokkausta") == [False]


FRAME = """3.16. Täytä taustavärillä
3. ”Muokkaa” valikko
3.16. Täytä taustavärillä
Komento täyttää valinnan yhtenäisellä värillä.
Kuva 14.8. Esimerkki
3.16.1. Aktivoi komento
Löydät tämän komennon valikosta.
Luku 4. Seuraava"""


def test_frames_of_manuals_go_and_lists_stay() -> None:
    contents = "\n".join(f"{part}.{section}. Luvun otsikko" for part in range(1, 5) for section in range(1, 9))
    steps = "\n".join(f"{number}. Avaa valikko ja valitse asetukset" for number in range(1, 9))
    report = "1.1. Johdanto\n" + f"{BODY}\n" * 3 + "1.2. Tulokset\n" + f"{BODY}\n" * 3 + "2.1. Yhteenveto\n" + BODY
    assert fails(MostlyHeadings(), FRAME, contents) == [True, True]
    assert fails(MostlyHeadings(), steps, report, BODY, "", "1.2. Yksi\n1.3. Kaksi") == [False] * 5


def test_sentences() -> None:
    measure = MEASURES["sentences"]
    menu = "Avaa tiedosto\nTallenna nimellä\n1.2. Uusi ikkuna\nKatso myös ohjeet\nVersio 2.10."
    found = measure(
        texts(
            [BODY, menu, "", "He said: “It is what it is.” Then he left the room.", "საქართველო არის ლამაზი ქვეყანა."]
        )
    )
    assert found[0] > 5 and found[3] > 0 and found[4] > 0
    assert found[[1, 2]].tolist() == [0, 0]


@quick
@given(strings=st.lists(PAGES | ANY, min_size=1, max_size=6))
def test_any_text(strings: list[str]) -> None:
    once = edited(Boilerplate(), *strings, "")
    assert edited(Boilerplate(), *once) == once
    assert once == [edited(Boilerplate(), text) for text in [*strings, ""]]
    for text, left in zip([*strings, ""], once, strict=True):
        remaining = iter(text.split("\n"))
        assert left == "" or all(line in remaining for line in left.split("\n"))
    assert judged_alone(MostlyHeadings(), [*strings, FRAME])


@pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with real corpora")
@pytest.mark.parametrize(
    "corpus",
    ["fi/msdocs_fi", "fi/libreoffice_help_fi", "fi/turku_ner_fi", "en/libreoffice_help_en", "en/gnome_help_en"],
)
def test_texts_about_menus_and_buttons_keep_their_lines(corpus: str) -> None:
    with gzip.open(Path(str(SHARED)) / f"{corpus}.jsonl.gz", "rt", encoding="utf-8") as lines:
        real = [json.loads(line)["text"] for line in lines]
    assert Boilerplate().apply(texts(real)).counts["lines_boilerplate"].sum() <= 0.0001 * sum(
        text.count("\n") for text in real
    )
    assert fails(MostlyHeadings(), *real).count(True) <= 0.003 * len(real)


@pytest.mark.parametrize("profile", ["web", "documentation", "news", "wiki"])
def test_profiles_cut_before_they_judge(profile: str) -> None:
    names = [step.name for step in PROFILES[profile].steps]
    assert names.index("boilerplate") < names.index("spacing") < names.index("mostly_boilerplate")
