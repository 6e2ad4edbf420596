"""Steps for translation pairs, and that good pairs of the demo stay."""

import gzip
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.cleaning.numbers import numbers_differ
from assets.cleaning.pairs import Identical, LengthRatio, NoLetters, Numbers, PairLanguage, Placeholders, Repeated
from assets.cleaning.placeholders import placeholders_differ
from assets.cleaning.profiles import PROFILES
from assets.cleaning.run import edit, judge
from assets.recipe.load import PROJECT
from tests.assets.cleaning.slices import ANY, pair_fails, pairs, quick

DEMO = PROJECT / "infra" / "demo" / "corpora" / "libreoffice_pairs.jsonl.gz"
EN = "The quick brown fox jumps over the lazy dog and runs into the dark forest."
FI = "Ketterä ruskea kettu hyppää laiskan koiran yli ja juoksee pimeään metsään."
SV = "Den snabba bruna räven hoppar över den lata hunden och springer in i den mörka skogen."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%s of %d files", "%s / %d tiedostoa"),
        ("%s of %d files", "%2$d tiedostosta %1$s"),
        ("Need to get %sB of archives.", "Noudettavaa %st arkistoa."),
        ("%-10s %.2f %5d", "%-8s %.1f %3d"),
        ("%ld bytes, %u files", "%d tavua, %i tiedostoa"),
        ("Use % as wildcard, 50 % of it", "Käytä %-merkkiä jokerina, 50 %:n verran siitä"),
        ("100%% done, %s", "%s on valmis, 100 %%"),
        ("%Y-%m-%d %I:%M %p", "%d.%m.%Y %H.%M"),
        ("%(name)s has %(count)d", "%(count)d on %(name)s:lla"),
        ("Huge (%1x%2)", "Valtava (%1 × %2)"),
        ("%1 and %2", "%2 ja %1"),
        ("{0} of {1:d}", "{1}:stä {0}"),
        ("Hello {name}!", "Hei {name}!"),
        ("{count, plural, one {# file} other {# files}}", "{count, plural, one {# tiedosto} other {# tiedostoa}}"),
        ("{{PLURAL:$1|one page|$1 pages}}", "{{PLURAL:$1|yksi sivu|$1 sivua}}"),
        ("It costs $5.", "Se maksaa 5 dollaria."),
        ("${user} is here", "${user} on täällä"),
        ("%PRODUCTNAME is new", "%PRODUCTNAMEn uusi versio"),
        ("<b>Open</b> it", "Avaa <b>se</b>"),
        ("See <name>", "Katso <nimi>"),
        ("&File", "&Tiedosto"),
        ("E_xit", "Lopeta"),
        ("R&D and AT&T", "tutkimus ja AT&T"),
        ("line\\nline", "rivi\\nrivi toinen\\nrivi"),
        ("a snake_case name", "nimi"),
    ],
)
def test_the_same_placeholders(one: str, other: str) -> None:
    assert not placeholders_differ(one, other)
    assert not placeholders_differ(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%s of %d files", "%s tiedostoa"),
        ("%s of %d files", "%d tiedostosta %s"),
        ("Delete %s?", "Poistetaanko tiedosto?"),
        ("%(name)s", "%(nimi)s"),
        ("Reload document %1?", "Ladataanko asiakirja % uudestaan?"),
        ("{0} of {1}", "{0} kaikista"),
        ("Hello {name}!", "Hei {nimi}!"),
        ("{count, plural, one {# file} other {# files}}", "{n, plural, one {# tiedosto} other {# tiedostoa}}"),
        ('with name "$2" in "$1"', 'nimi "$1"'),
        ("${user} is here", "${käyttäjä} on täällä"),
        ("%PRODUCTNAME is new", "%TUOTENIMI on uusi"),
        ("<b>Open</b> it", "Avaa se"),
        ("line<br>line", "rivi rivi"),
        ("&File", "Tiedosto"),
        ("_Open", "Avaa"),
        ("Open", "~Avaa"),
        ("line\\nline", "rivi rivi"),
    ],
)
def test_other_placeholders(one: str, other: str) -> None:
    assert placeholders_differ(one, other)
    assert placeholders_differ(other, one)
    assert pair_fails(Placeholders(), (one, other), (one, one)) == [True, False]


@pytest.mark.parametrize(
    ("en", "fi"),
    [
        ("10,000.50 on 5/12/2020", "10 000,50 päivänä 12.5.2020"),
        ("The square root of 100", "Neliöjuuri sadasta"),
        ("I bought it for 300 yen.", "Ostin sen kolmella sadalla jenillä."),
        ("He is 17, she is 42.", "Poika on seitsemäntoista ja tyttö neljäkymmentäkaksi."),
        ("The last ten users", "10 viimeistä käyttäjää"),
        ("The plane departs at 5:30 PM.", "Kone lähtee klo 17.30."),
        ("Wake up at 6:00.", "Herää kuudelta."),
        ("He was busy until 2:30.", "Hän oli kiireinen puoli kolmeen saakka."),
        ("since 1998-08-01", "1.8.1998 lähtien"),
        ("In the 19th century", "1800-luvulla"),
        ("In the 80s", "1980-luvulla"),
        ("Is it 100% free?", "Onko se täysin ilmainen?"),
        ("Don&#8217;t open it", "Älä avaa sitä"),
        ("The Internationalization Team", "i18n-tiimi"),
        ("2 files", "kaksi tiedostoa"),
        ("Open file 2 or 3.", "Avaa tiedosto 2."),
        ("Version 2.10.3 of it", "Sen versio 2.10.3"),
        ("one file", "1 tiedosto"),
    ],
)
def test_the_same_numbers(en: str, fi: str) -> None:
    assert not numbers_differ(en, fi, ("en", "fi"), 2)
    assert not numbers_differ(fi, en, ("fi", "en"), 2)


@pytest.mark.parametrize(
    ("en", "fi"),
    [
        ("up to 29 digits", "jopa 19 numeroa"),
        ("In 1984", "Silloin"),
        ("HTML Export - Page 3", "HTML-vienti - Sivu 1"),
        ("32 bpp, 8-bit alpha", "32 bpp, 1-bittinen alfa"),
        ("UTF-16 characters", "UTF-8-merkkejä"),
        ("it costs 250 euros", "se maksaa 260 euroa"),
        ("on 5/12/2020", "12.6.2020"),
        ("at 5:30", "klo 17.45"),
    ],
)
def test_other_numbers(en: str, fi: str) -> None:
    assert numbers_differ(en, fi, ("en", "fi"), 2)
    assert numbers_differ(fi, en, ("fi", "en"), 2)
    assert pair_fails(Numbers(), (en, fi), (fi, fi)) == [True, False]


def test_sides_that_are_the_same() -> None:
    found = pair_fails(
        Identical(), ("Hiragana", "HIragana."), ("%s: Foo", "{0} Foo"), ("<b>OK</b> 2", "OK 2"), ("Menu", "Valikko")
    )
    assert found == [True, True, True, False]


def test_sides_without_letters() -> None:
    found = pair_fails(
        NoLetters(), ("%s: %d", "%s: %d"), ("12:30", "kello 12.30"), ("Open %s", "Avaa %s"), ("x = 1", "x = 1")
    )
    assert found == [True, True, False, False]


def test_lengths() -> None:
    found = pair_fails(LengthRatio(at_most=2.5), ("OK", "Hyväksy"), ("OK", "Hyväksy " * 8), (EN, FI))
    assert found == [False, True, False]


def test_a_side_that_repeats_itself() -> None:
    found = pair_fails(
        Repeated(), (EN, "kettu " * 12), (EN, FI), ("la " * 12, "laa " * 12), ("la la la", "laa laa laa")
    )
    assert found == [True, False, False, False]


def test_languages() -> None:
    shared = ("Add the Business Central app to Teams", "Lisää Business Central -sovellus Teamsiin")
    assert pair_fails(PairLanguage(), (EN, FI), ("Open", "Avaa"), shared) == [False] * 3
    assert pair_fails(PairLanguage(), (FI, EN), (SV, FI), (EN, SV)) == [True] * 3
    short = [("Tiedostoa ei voitu avata", "Could not open it"), ("Days in a month", "PV is the current value.")]
    assert pair_fails(PairLanguage(), *short) == [True, True]
    assert pair_fails(PairLanguage(), *((other, one) for one, other in short[:1])) == [False]


def reasons(sides: list[tuple[str, str]]) -> list[str | None]:
    documents, _ = edit(pairs(sides), PROFILES["pairs"])
    return [found[0] if found else None for found in judge(documents, PROFILES["pairs"])]


def test_the_profile() -> None:
    found = reasons(
        [
            *((EN, FI), ("", FI), ("Open %s", "Avaa"), ("Menu 12", "Valikko 14"), ("Menu", "Menu"), (FI, EN)),
            *(("%d / %d", "%d: %d"), ("OK", "Hyväksy " * 8), (EN, "kettu " * 12)),
        ]
    )
    assert found == [
        *(None, "empty", "placeholders", "numbers", "identical", "language"),
        *("no_letters", "length_ratio", "repeated"),
    ]


def demo() -> list[tuple[str, str]]:
    with gzip.open(DEMO, "rt", encoding="utf-8") as stream:
        return [(record["en"], record["fi"]) for record in map(json.loads, stream)]


def test_pairs_of_the_demo_stay() -> None:
    good = demo()
    gone = Counter(filter(None, reasons(good)))
    assert gone.total() < 0.01 * len(good), gone


def test_damaged_pairs_go() -> None:
    good = [(en, fi) for en, fi in demo() if len(en) > 40 and len(fi) > 40][:300]
    swapped = reasons([(fi, en) for en, fi in good])
    assert sum(reason is not None for reason in swapped) > 0.9 * len(good)
    numbered = [(f"{en} 4711", f"{fi} 4712") for en, fi in good]
    assert reasons(numbered).count("numbers") > 0.97 * len(good)
    filled = [(f"{en} %s", fi) for en, fi in good]
    assert reasons(filled).count("placeholders") > 0.97 * len(good)


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "%s",
                "%1$d",
                "%%",
                "%",
                "{0}",
                "{name}",
                "${x}",
                "$1",
                "<b>",
                "</b>",
                "&A",
                "_A",
                "~a",
                "\\n",
                "%1",
                "%-",
            ),
            *(
                "12",
                "12:30",
                " PM",
                "1800-luku",
                "kaksi",
                "two",
                "&#8217;",
                "%(n)s",
                "{n, plural, one {#}}",
                " ",
                "ä",
                "٣²",
            ),
        ]
    ),
    max_size=8,
).map("".join)
SIDES = st.lists(st.tuples(ANY | PIECES, ANY | PIECES), min_size=1, max_size=10)
TESTS = [NoLetters(), Identical(), LengthRatio(at_most=2.5), Repeated(), Placeholders(), Numbers(), PairLanguage()]


@settings(quick, max_examples=15)
@given(sides=SIDES)
def test_any_text_and_each_by_itself(sides: list[tuple[str, str]]) -> None:
    for test in TESTS:
        assert pair_fails(test, *sides) == [pair_fails(test, pair)[0] for pair in sides]


@quick
@given(sides=SIDES)
def test_a_side_has_its_own_placeholders_and_numbers(sides: list[tuple[str, str]]) -> None:
    for one, other in sides:
        assert not placeholders_differ(one, one)
        assert placeholders_differ(one, other) == placeholders_differ(other, one)
        assert not numbers_differ(one, one, ("en", "fi"), 1)
        assert numbers_differ(one, other, ("en", "fi"), 2) == numbers_differ(other, one, ("fi", "en"), 2)
