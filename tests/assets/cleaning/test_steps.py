"""Each step by examples that it keeps and removes."""

from typing import Any

import pytest

from assets.cleaning.personal import Emails, IdentityCodes, mask_identity_codes
from assets.cleaning.profiles import OPEN_LICENCES, PROFILES, Profile
from assets.cleaning.run import clean
from assets.cleaning.steps import Bound, Characters, Empty, Licence, MaxRepeat, Spacing, Step
from assets.cleaning.texts import Languages
from assets.lake.documents import document_schema

FI = "Asenna ohjelma ja avaa valikko, josta voit valita haluamasi tiedoston ja tallentaa sen uudelleen."
EN = "Install the program and open the menu, where you can choose a file and save it again afterwards."
SV = "Installera programmet och öppna menyn, där du kan välja en fil och sedan spara den på nytt."


def table(texts: list[str], translations: list[str] | None = None, licence: str = "CC0-1.0") -> Any:
    import pyarrow as pa

    rows = [
        {"id": str(i), "text": text, "source": "s", "language": "fi", "license": licence}
        | {"translation": translations[i] if translations else None, "url": None, "meta": None}
        for i, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, document_schema())


def edited(step: Step, text: str, language: str = "fi") -> str:
    result = clean(table([text]), Profile(steps=(step,)), Languages(language)).kept["text"].to_pylist()
    return str(result[0])


def fails(step: Step, text: str, translation: str | None = None, licence: str = "CC0-1.0") -> bool:
    languages = Languages("fi") if translation is None else Languages("en", "fi")
    part = table([text], None if translation is None else [translation], licence)
    return clean(part, Profile(steps=(step,)), languages).removed["reason"].to_pylist() == [step.name]


def reason(profile: str, text: str, language: str = "fi") -> str | None:
    removed = clean(table([text]), PROFILES[profile], Languages(language)).removed["reason"].to_pylist()
    return removed[0] if removed else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("Hy\u00advä\u200b\ufeff päi\x00vä\x9f\u202e", "Hyvä päivä"),
        ("12\u00a0000\u202f€", "12 000 €"),
        ("a\u0308iti", "äiti"),
        ("\tsarake\tsarake", "\tsarake\tsarake"),
        ("👩\u200d👩", "👩\u200d👩"),
        ("\ufdd0\U0001fffex", "x"),
    ],
)
def test_characters(text: str, expected: str) -> None:
    assert edited(Characters(), text) == expected


def test_characters_of_code_stay_composed_as_they_are() -> None:
    assert edited(Characters(prose=False), "s = 'a\u0308\u00a0'\r\n") == "s = 'a\u0308\u00a0'\n"


def test_spacing() -> None:
    assert edited(Spacing(), "\n\n  otsikko \t\n\n\n\nteksti  \n") == "  otsikko\n\nteksti"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kirjoita matti.meikalainen@yritys.fi.", "Kirjoita email@example.com."),
        ("<a+b@c-d.co.uk>, x_y@z.fi", "<email@example.com>, email@example.com"),
        ("päivi@pöytä.fi", "email@example.com"),
        ("matti (at) yritys.fi, liisa[ät]yritys.fi", "email@example.com, email@example.com"),
        ("user@localhost; @dataclass; 3 @ 4.5", "user@localhost; @dataclass; 3 @ 4.5"),
        ("a@b.fi.c@d.fi", "email@example.com"),
    ],
)
def test_emails(text: str, expected: str) -> None:
    assert edited(Emails(), text) == expected


def test_masks_are_counted() -> None:
    part = table(["a@b.fi ja c@d.fi, 131052-308T", "email@example.com", "ei mitään"])
    counts = clean(part, Profile(steps=(Emails(), IdentityCodes())), Languages("fi")).counts
    assert (counts["masked_emails"], counts["masked_identity_codes"]) == (2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("131052-308T", "010101-001Z"),
        ("(131052-308t)", "(010101-001Z)"),
        ("020516C903K", "010101-001Z"),
        ("131052-308U", "131052-308U"),
        ("321052-308T", "321052-308T"),
        ("1131052-308T", "1131052-308T"),
        ("131052-308TX", "131052-308TX"),
        ("010101-001Z", "010101-001Z"),
    ],
)
def test_identity_codes(text: str, expected: str) -> None:
    assert edited(IdentityCodes(), text) == mask_identity_codes(text)[0] == expected


@pytest.mark.parametrize(
    ("measure", "bound", "keeps", "removes"),
    [
        ("characters", {"at_least": 5}, "viisi", "viis"),
        ("words", {"at_least": 2}, "kaksi sanaa", "yksi 1 2 3 a"),
        ("min-words", {"at_least": 2}, "Kaksi sanaa", "YKSI sana"),
        ("avg-len", {"at_least": 3}, "yksi kaksi kolme neljä\n\nviisi kuusi", "yksi kaksi kolme\n\nviisi kuusi"),
        ("digit-ratio", {"at_most": 0.5}, "ab12", "a123"),
        ("upper-ratio", {"at_most": 0.5}, "ABcd", "ÄBCd"),
        ("punct-ratio", {"at_most": 0.5}, "ab!?", "a{!~"),
        ("foreign-ratio", {"at_most": 0.25}, "äöéa", "aşž1"),
        ("short-ratio", {"at_most": 0.5}, "on a ja b", "a b on"),
        ("type-token", {"at_least": 0.5}, "yksi kaksi yksi kaksi", "sama sama sama"),
        ("words_per_line", {"at_least": 2}, "yksi kaksi kolme\nneljä", "yksi\nkaksi\nkolme"),
        ("alphanumeric", {"at_least": 0.5}, "ab12----", "a1---"),
        ("lost_letters", {"at_most": 0.05}, "Mitä? Niinkö? Ehkä", "k?ytt??n t{m{ ty|"),
        ("encoding_damage", {"at_most": 0.01}, "São Paulo ja Tromsø", "sisÃ¤ltÃ¶ â€œ \ufffd"),
        ("data_marks", {"at_most": 0.1}, 'Hän sanoi: "talo" <b>', '{"nimi": "talo", "x":1}</p>'),
        ("repeated_lines", {"at_most": 0.5}, "sama\nsama\ntoinen", "sama\nsama\nsama"),
        ("compression", {"at_most": 10}, FI * 3, "Sama lause toistuu. " * 60),
        ("longest_line", {"at_most": 5}, "viisi\nviisi", "viisi\nkuusi!"),
        ("mean_line", {"at_most": 5}, "viisi\n\nviisi", "viisi\nkuusi!"),
    ],
)
def test_bounds(measure: str, bound: dict[str, float], keeps: str, removes: str) -> None:
    step = Bound(name="bound", measure=measure, **bound)  # type: ignore[arg-type]
    assert not fails(step, keeps)
    assert fails(step, removes)


def test_a_bound_needs_a_measure_and_one_side() -> None:
    with pytest.raises(ValueError, match="there is no measure 'mood'; the measures are characters"):
        Bound(name="mood", measure="mood", at_most=1)
    with pytest.raises(ValueError, match="exactly one of at_least and at_most"):
        Bound(name="words", measure="words")


def test_other_tests() -> None:
    assert fails(Empty(), " \n\t") and not fails(Empty(), " x")
    assert fails(MaxRepeat(repeats=5), "haha" * 4) and not fails(MaxRepeat(repeats=5), "hahahaha")
    licence = Licence(allowed=OPEN_LICENCES)
    assert not any(fails(licence, "x", licence=name) for name in ("CC-BY-SA-4.0", "mit", "GPL-2.0-or-later"))
    assert all(fails(licence, "x", licence=name) for name in ("unknown", "CC-BY-NC-4.0", "proprietary"))


@pytest.mark.parametrize("profile", ["documentation", "web", "news", "wiki", "books", "social"])
def test_profiles_of_prose(profile: str) -> None:
    text = " ".join(
        [
            "Helsingin kaupunki rakentaa uuden sillan satamasta keskustaan ensi vuoden aikana.",
            "Hankkeen arvioidaan maksavan kymmeniä miljoonia euroja, mutta rahoituksesta päätetään vasta syksyllä.",
            "Asukkaat ovat toivoneet parempia yhteyksiä pyöräilijöille ja kävelijöille.",
        ]
    )
    assert reason(profile, text) is None
    assert reason(profile, "\ufeff \n") == "empty"
    english = f"{EN} The city builds a new bridge, and people hope for better ways to walk and ride to the centre."
    assert reason(profile, english) in ("language", "mixed_language", "short-ratio")
    assert reason(profile, text.encode().decode("cp1252", "replace")) is None  # repaired
    assert reason(profile, text.encode("cp1252").decode("utf-8", "replace")) is not None


def test_fingpt_profiles_have_its_order() -> None:
    names = [step.name for step in PROFILES["social"].tests]
    assert names[1:11] == [
        *("avg-len", "punct-ratio", "upper-ratio", "digit-ratio", "foreign-ratio", "short-ratio"),
        *("type-token", "min-words", "max-repeat", "language"),
    ]


# TurkuNLP/finngen-tools, the READMEs of its sources: thresholds by profile; what a source's filters lack is None.
FINGPT = {
    "social": (0.1, 0.1, 0.1, 0.01, 0.05, 0.5, 5, 5, 5, 0.9),
    "news": (0.1, 0.1, 0.1, 0.01, 0.05, None, 25, 5, None, 0.999),
    "wiki": (0.1, 0.1, 0.1, 0.05, 0.1, None, 15, 5, None, 0.99),
    "books": (None, None, None, None, None, None, None, None, None, 0.9),
}


@pytest.mark.parametrize("name", FINGPT)
def test_fingpt_profiles_have_its_thresholds(name: str) -> None:
    tests = {test.name: test for test in PROFILES[name].tests}
    bounds = {title: test.at_most or test.at_least for title, test in tests.items() if isinstance(test, Bound)}
    order = (
        "digit-ratio",
        "punct-ratio",
        "upper-ratio",
        "foreign-ratio",
        "short-ratio",
        "type-token",
        "min-words",
        "avg-len",
    )
    found = [bounds.get(title) for title in order]
    repeats = getattr(tests.get("max-repeat"), "repeats", None)
    assert (*found, repeats, getattr(tests["language"], "at_least", None)) == FINGPT[name]


def test_a_profile_has_edits_first_and_each_step_once() -> None:
    with pytest.raises(ValueError, match="edits stand in front of tests"):
        Profile(steps=(Empty(), Spacing()))
    with pytest.raises(ValueError, match="two steps have the same name"):
        Profile(steps=(Empty(), Empty()))


def test_the_first_test_that_fails_gives_the_reason() -> None:
    costly = Bound(name="costly", measure="longest_line", at_most=3)
    last = Bound(name="last", measure="characters", at_most=3)
    profile = Profile(steps=(Empty(), costly, last))
    part = table(["", "ab", "abcd", "abcd\n", "ab\ncd"])
    assert clean(part, profile, Languages("fi")).removed["reason"].to_pylist() == ["empty", "costly", "costly", "last"]
