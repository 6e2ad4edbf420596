"""Cases that no rule was made from: good texts of many kinds stay, and the same texts damaged by many tools go or are mended.

``cases`` holds the texts, written for these tests. The shares are of the kinds of damage that web pages have; a kind is a
tool that is applied to every Finnish text that is long enough.
"""

import base64
import html
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.cleaning.profiles import PROFILES
from assets.cleaning.texts import Languages
from assets.cleaning.trial import try_profile

CASES = Path(__file__).parent / "cases"
KEPT = 0.97
HANDLED = 0.95


def cases(name: str) -> dict[str, str]:
    """The texts of a file by their names."""
    parts = re.split(r"(?m)^=== ", (CASES / f"{name}.txt").read_text("utf-8"))[1:]
    return {title: text.strip("\n") for title, _, text in (part.partition("\n") for part in parts)}


GOOD = cases("good_fi")
# Two together have the length of most documents, and enough of the letters that damage shows in.
LONG = ["\n\n".join(two) for two in zip(list(GOOD.values())[::2], list(GOOD.values())[1::2], strict=False)]


def tried(texts: list[str], language: str, profile: str = "web") -> list[tuple[list[str], str]]:
    """The reasons against each text, and what is left of it."""
    import pyarrow as pa

    strings = pa.large_string()
    nothing, licence = pa.nulls(len(texts), strings), pa.array(["CC0-1.0"] * len(texts), strings)
    table = pa.table({"text": pa.array(texts, strings), "translation": nothing, "license": licence})
    found = try_profile(table, [Languages(language)] * len(texts), PROFILES[profile])
    return list(zip(found["reasons"].to_pylist(), found["text"].to_pylist(), strict=True))


def test_good_texts_stay() -> None:
    """News, verse, dialects, chat, recipes, law, tables, formulas, names in other languages; and code of seventeen kinds."""
    judged = {
        f"{language}: {title}": reasons
        for language, profile in (("fi", "web"), ("en", "web"), ("code", "code"))
        for title, (reasons, _) in zip(
            cases(f"good_{language}"), tried(list(cases(f"good_{language}").values()), language, profile), strict=True
        )
    }
    gone = {title: reasons for title, reasons in judged.items() if reasons}
    assert len(judged) >= 95
    # Verse and glossaries without a full stop, and what is formulas or numbers by half, are the price of the bounds.
    assert len(gone) <= 4, gone


Damage = Callable[[str, random.Random], str]


def read_as(written: str, read: str, errors: str = "replace") -> Damage:
    return lambda text, _: text.encode(written, "replace").decode(read, errors)


def twice(damage: Damage) -> Damage:
    return lambda text, chance: damage(damage(text, chance), chance)


def escaped(form: str) -> Damage:
    return lambda text, _: re.sub(r"[äöåÄÖÅ]", lambda letter: form.format(ord(letter[0]), letter[0]), text)


MENDED: dict[str, Damage] = {
    "utf-8 as windows-1252": read_as("utf-8", "cp1252", "ignore"),
    "utf-8 as latin-1": read_as("utf-8", "latin-1"),
    "utf-8 as latin-9": read_as("utf-8", "iso8859-15"),
    "utf-8 as windows-1250": read_as("utf-8", "cp1250"),
    "utf-8 as cp850": read_as("utf-8", "cp850"),
    "utf-8 as macintosh": read_as("utf-8", "mac_roman"),
    "utf-8 as latin-1, twice": twice(read_as("utf-8", "latin-1")),
    "cp850 as windows-1252": read_as("cp850", "cp1252"),
    "latin-1 as cp850": read_as("latin-1", "cp850"),
    "macintosh as windows-1252": read_as("mac_roman", "cp1252"),
    "seven bits": lambda text, _: text.translate(str.maketrans("äöåÄÖÅ", "{|}[\\]")),
    "decimal references": escaped("&#{0};"),
    "hexadecimal references": escaped("&#x{0:X};"),
    "references twice": escaped("&amp;#{0};"),
    "json": lambda text, _: json.dumps(text)[1:-1].replace("\\n", "\n"),
    "named references": lambda text, _: re.sub(
        r"[äöåÄÖÅ]", lambda letter: f"&{html.entities.codepoint2name[ord(letter[0])]};", text
    ),
}


@pytest.mark.parametrize("damage", MENDED)
def test_texts_read_with_the_wrong_encoding_are_mended_or_go(damage: str) -> None:
    chance = random.Random(damage)
    bad = 0
    for good, (reasons, left) in zip(LONG, tried([MENDED[damage](text, chance) for text in LONG], "fi"), strict=True):
        umlauts = sum(map(good.count, "äöÄÖ"))
        bad += not reasons and sum(map(left.count, "äöÄÖ")) < 0.9 * umlauts
    assert len(LONG) >= 30
    assert bad <= (1 - HANDLED) * len(LONG)


def _noise(letters: str, share: float) -> Damage:
    return lambda text, chance: "".join(
        chance.choice(letters) if letter.isalpha() and chance.random() < share else letter for letter in text
    )


MISREAD = {
    "ä": ["a", "å", "ii"],
    "i": ["l", "1", "j"],
    "n": ["u", "ri"],
    "m": ["rn", "in"],
    "e": ["c", "o"],
    "t": ["f", "l"],
}
MISREAD |= {"k": ["h", "lc"], "s": ["5", "f"], "a": ["o", "n"], "o": ["0", "c"], "l": ["1", "I"], "u": ["n", "ii"]}


def _misread(text: str, chance: random.Random) -> str:
    return "".join(
        chance.choice(MISREAD[letter]) if letter in MISREAD and chance.random() < 0.2 else letter for letter in text
    )


def _sentence(text: str) -> str:
    return next((part for part in re.split(r"(?<=[.!?])\s+", text) if 40 <= len(part) < 200), text[:150])


def _words(text: str) -> list[str]:
    return sorted(set(re.findall(r"[A-Za-zÄÖäö]{4,}", text + " ".join(GOOD.values()))))


def _letters(letters: str) -> Damage:
    return lambda _, chance: "".join(chance.choice(letters) for _ in range(2_500))


def _bytes(chance: random.Random) -> bytes:
    return chance.randbytes(1_500)


GONE: dict[str, Damage] = {
    "latin-1 as utf-8": read_as("latin-1", "utf-8"),
    "utf-8 as ascii": read_as("utf-8", "ascii"),
    "letters to ?": lambda text, _: re.sub("[äöåÄÖÅ]", "?", text),
    "letters to ??": lambda text, _: re.sub("[äöåÄÖÅ]", "??", text),
    "letters to boxes": lambda text, _: re.sub("[äöåÄÖÅ]", "□", text),
    "noise": _noise("abcdefghijklmnopqrstuvwxyzäö1!", 0.12),
    "misread": _misread,
    "read as marks": _noise(".,:;*^~|·", 0.12),
    "random letters": _letters("abcdefghijklmnopqrstuvwxyzäö   "),
    "random capitals": _letters("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖ    "),
    "one row of the keyboard": _letters("asdfghjklöä  "),
    "base64": lambda _, chance: base64.b64encode(_bytes(chance)).decode(),
    "base64 in lines": lambda _, chance: base64.encodebytes(_bytes(chance)).decode(),
    "hexadecimal": lambda _, chance: _bytes(chance).hex(),
    "base85": lambda _, chance: base64.b85encode(_bytes(chance)).decode(),
    "one sentence": lambda text, _: " ".join([_sentence(text)] * 12),
    "numbered sentence": lambda text, _: "\n".join(f"{place}. {_sentence(text)}" for place in range(1, 30)),
    "ends in one sentence": lambda text, _: "\n".join([text, *[_sentence(text)] * 25]),
    "one word": lambda text, _: " ".join([text.split()[3]] * 400),
    "whole text six times": lambda text, _: "\n\n".join([text] * 6),
    "run of letters": lambda text, _: text[:200] + "a" * 2_000,
    "numbers": lambda _, chance: "\n".join(
        "\t".join(f"{chance.uniform(0, 1e4):.2f}".replace(".", ",") for _ in range(8)) for _ in range(60)
    ),
    "csv": lambda _, chance: "\n".join(";".join(str(chance.randrange(10**6)) for _ in range(10)) for _ in range(60)),
    "log": lambda _, chance: "\n".join(
        f"2019-03-{chance.randint(10, 28)} 12:{chance.randint(10, 59)} {chance.random():.6f} {chance.random():.3e}"
        for _ in range(80)
    ),
    "sorted words": lambda text, _: "\n".join(_words(text)[:400]),
    "words and commas": lambda text, chance: ", ".join(chance.sample(_words(text), 300)),
    "index of pages": lambda text, chance: "\n".join(
        f"{word}, {chance.randint(1, 300)}, {chance.randint(300, 500)}" for word in _words(text)[:200]
    ),
    "index of links": lambda text, _: "\n".join(f'<a href="/h/{word}">{word}</a>' for word in _words(text)[:150]),
    "index in javascript": lambda text, _: "\n".join(
        ["var index = [", *(f'{{url:"fi/{word}.html", text:"{word}"}},' for word in _words(text)[:150]), "];"]
    ),
    "cut short": lambda text, _: text[:60],
}


@pytest.mark.parametrize("damage", GONE)
def test_damaged_texts_go(damage: str) -> None:
    chance = random.Random(damage)
    outcomes = tried([GONE[damage](text, chance) for text in LONG], "fi")
    assert sum(not reasons for reasons, _ in outcomes) <= (1 - HANDLED) * len(LONG)


def test_furniture_and_licences_by_themselves_go() -> None:
    for name in ("furniture", "licences"):
        texts = cases(name)
        for title, (reasons, _) in zip(texts, tried(list(texts.values()), "en"), strict=True):
            assert reasons or title.endswith(" fi"), (name, title)
    finnish = {title: text for title, text in cases("furniture").items() if title.endswith(" fi")}
    assert len(finnish) >= 8
    for title, (reasons, _) in zip(finnish, tried(list(finnish.values()), "fi"), strict=True):
        assert reasons, title


TOP = ["Valitse, mitä evästeitä sallit", "Haku", "Asiakaspalvelu", "På svenska", "Ajankohtaista", "Kirjaudu sisään"]
BOTTOM = [
    "Y-tunnus 1234567-8",
    "Lue myös",
    "Tulosta sivu",
    "Toteutus: Mainostoimisto",
    "Tietosuoja",
    "© 2020 Esimerkki Oy",
]


def test_furniture_around_a_text_is_cut_and_the_text_stays() -> None:
    for good, (reasons, left) in zip(
        LONG, tried(["\n".join([*TOP, text, *BOTTOM]) for text in LONG], "fi"), strict=True
    ):
        lines = [line for line in good.splitlines() if line.strip()]
        assert not set(left.splitlines()) & {*TOP, *BOTTOM}
        assert not set(lines) - set(left.splitlines()) or reasons, good


@pytest.mark.parametrize("profile", ["web", "documentation"])
def test_texts_in_other_languages_go(profile: str) -> None:
    foreign = cases("foreign") | {f"en: {title}": text for title, text in cases("good_en").items() if len(text) >= 300}
    stay = [
        title for title, (why, _) in zip(foreign, tried(list(foreign.values()), "fi", profile), strict=True) if not why
    ]
    assert len(foreign) >= 20
    assert not stay


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_texts_of_two_languages_go(share: float) -> None:
    """Finnish and English paragraphs by turns, in equal parts or mostly English."""
    english = [text.replace("\n", " ") for text in cases("good_en").values() if len(text) >= 350]
    finnish = [text.replace("\n", " ") for text in LONG[: len(english)]]
    mixed = [
        "\n".join([a[: int(700 * (1 - share))], b, b[: int(700 * share)]])
        for a, b in zip(finnish, english, strict=True)
    ]
    assert all(reasons for reasons, _ in tried(mixed, "fi"))
