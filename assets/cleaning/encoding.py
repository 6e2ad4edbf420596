"""Repair of text that was read with the wrong encoding, where it is certain what the text was.

Three kinds of damage are undone, again and again until none is left: characters written as escapes of HTML or JSON,
letters of the declared language in a national 7-bit set or another code page, and UTF-8 read as something else (ftfy,
Speer 2019). What is not certain stays as it is, for the tests ``encoding_damage`` and ``lost_letters`` to judge.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import Field

from assets.cleaning.steps import Edit, Edited, Test
from assets.cleaning.texts import Documents, Texts
from assets.recipe.base import Share

if TYPE_CHECKING:
    import numpy as np

# Bytes of UTF-8 as code pages show them (C2, C3 and C5 before anything but a letter of ASCII; E2 80; F0 9F), and C1.
_MISREAD = (
    "[ÂÃÅĂĆΓГ][^A-Za-z]|√[^A-Za-z0-9 ]|[├┬][^\u2500-\u257f ]|ц[\u2500-\u25a0]|[\x80-\x9f]"
    "|â[€„]|ā€|в[Ђђ]|[ðđ]Ÿ|‚Ä|[ΓÔ]Ç|Б─"
)
# Marks and strange letters between letters.
_STRANGE = "[A-Za-z][{|}„”†ŠšÑîèÜ‰ˆΣ÷õδφдцДЖФ]+[a-z]"
_CANDIDATES = rf"&#?[0-9A-Za-z]{{2,8}};|\\u[0-9a-fA-F]{{4}}|{_MISREAD}|{_STRANGE}"
"""Few healthy texts match this pattern, and no text is repaired that does not."""


class Encoding(Edit):
    """Texts read with the wrong encoding are put right where it is certain how; see ``repair``."""

    name: str = "encoding"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("repaired_encoding",)

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        repaired = np.zeros(len(texts), np.int64)
        rows = pc.indices_nonzero(pc.match_substring_regex(texts.column, _CANDIDATES)).to_pylist()
        changed = texts.strings.copy() if rows else []
        for row in rows:
            changed[row] = repair(changed[row], texts.language)
            repaired[row] = changed[row] != texts.strings[row]
        column = pa.array(changed, pa.large_string()) if repaired.any() else texts.column
        return Edited(column, {"repaired_encoding": repaired})


class MissingLetters(Test):
    """A text that has hardly any of its language's letters beyond ASCII: they were lost, or written without their dots.

    Judged are texts of ``characters`` and more in the languages of ``_FREQUENT``. Of 6,000 Finnish documents of that length
    five have a share of the characters under 0.0025 (help pages of mostly English and code), half have 0.025 to 0.05. Of 288
    Estonian help pages none has less than 0.004, half have 0.028 and more.
    """

    name: str = "missing_letters"
    at_least: Share = 0.0025
    characters: int = Field(500, gt=0)

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        texts = documents.text
        own = _FREQUENT.get(texts.language)
        if own is None:
            return np.zeros(len(texts), bool)
        counts = np.fromiter((sum(map(text.count, own)) for text in texts.strings), np.int64, len(texts))
        return (texts.characters >= self.characters) & (counts < self.at_least * texts.characters)


def repair(text: str, language: str) -> str:
    """A text in ``language`` (ISO 639-1) without the damage that is certain; the same text where there is none.

    Repairing it again changes nothing.
    """
    before = None
    # Each repair shortens the text, or puts letters of the language or marks where there were none; so this ends.
    while text != before:
        before = text
        text = mojibake(code_page(escapes(text), language))
    return text


# Escapes

_ESCAPE = re.compile(r"&(?:amp;)*(#[0-9]{2,6}|#[xX][0-9a-fA-F]{2,5}|[A-Za-z]{2,8}[0-9]{0,2});|\\u([0-9a-fA-F]{4})")
_MARKUP = re.compile(
    r"<[/!?]?[a-z]|&(?:amp;)*[lg]t;|[{}]|\bx?html|\bxml|\bphp\b|\bjson\b|\bunicode|entit", re.IGNORECASE
)
_PLAIN_MARKS = frozenset("\"'&")
_SPACES = frozenset("\xa0\xad")


def escapes(text: str) -> str:
    """A text with the characters that its escapes stand for, if the text, or else a line of it, was surely escaped.

    It was where letters and apostrophes within words, spaces between words or typographic marks are escapes more often
    than they are themselves. A text about markup shows escapes too, but writes its own letters plainly; in such a text
    two letters within words are asked for, and marks prove nothing.
    """
    if not _ESCAPE.search(text):
        return text
    about_markup = _MARKUP.search(text) is not None
    if _escaped(text, about_markup):
        return _ESCAPE.sub(_unescaped, text)
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if "&" in line and "<" not in line and _escaped(line, about_markup):
            lines[place] = _ESCAPE.sub(_unescaped, line)
    return "\n".join(lines)


# Python's int() refuses more than 4,300 digits, and html.unescape() uses it. No character has a number of so many.
_NO_CHARACTER = re.compile(r"&#[0-9]{4000,};?")


def unescaped(text: str) -> str:
    """What ``html.unescape`` makes of a text, for any text."""
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text))


def _unescaped(escape: re.Match[str]) -> str:
    """The character that an escape stands for, or the escape itself where it stands for none, or for several."""
    found = chr(int(escape[2], 16)) if escape[2] else html.unescape(f"&{escape[1]};")
    if len(found) == 1 and found != "\ufffd" and (found.isprintable() or unicodedata.category(found) in ("Cf", "Zs")):
        return found
    return escape[0]


def _escaped(text: str, about_markup: bool) -> bool:
    letters = 0
    marks: Counter[str] = Counter()
    for escape in _ESCAPE.finditer(text):
        character = _unescaped(escape)
        before, after = text[max(escape.start() - 1, 0) : escape.start()], text[escape.end() : escape.end() + 1]
        if len(character) > 1:
            continue
        if character.isalpha():
            known = not character.isascii() and (not escape[2] or character <= "ÿ")
            letters += known and (before.isalpha() or after.isalpha() or after in ("&", "\\"))
        elif escape[2]:
            continue
        elif character in _SPACES:
            marks[character] += before.isalnum() and after.isalnum()
        elif character in _PLAIN_MARKS:
            marks[character] += before.isalnum() or after.isalnum() or before == after == " "
        else:
            marks[character] += not character.isascii()
    rest = _ESCAPE.sub("", text)
    if letters >= 1 + about_markup:
        return letters > sum(c.isalpha() and not c.isascii() for c in rest)
    return not about_markup and sum(marks.values()) > sum(rest.count(mark) for mark in marks)


# Code pages

_LETTERS = {"fi": "äöåÄÖÅ", "sv": "äöåÄÖÅ"}
"""The letters beyond ASCII of the languages whose code pages are repaired; the first two are in every longer text."""
_FREQUENT = _LETTERS | {"et": "äõüöÄÕÜÖ"}
"""Letters beyond ASCII of which every longer text of a language has some."""
_SIGNS = {
    "fi": re.compile(
        r"\b(?:että|myös|sekä|eikä|sitä|tä\w+|nä\w+|käy\w+|pää\w+|lisä\w*|jälk\w+|hän\w*"
        r"|\w+(?:ssä|stä|llä|ltä|ttä|nsä|ään|ivät|jä))\b",
        re.IGNORECASE,
    ),
    "sv": re.compile(
        r"\b(?:för|är|på|från|när|så|där|år|måste|även|två|då|än|också|någon|några|över|både)\b", re.IGNORECASE
    ),
}
"""Frequent words and endings with these letters."""
_SEVEN_BIT = "{|}[\\]"
"""The same letters in the 7-bit sets of Finland and Sweden (ISO 646-FI, 646-SE)."""
_PAGES = (
    *(("cp850", read) for read in ("cp1252", "latin-1", "mac_roman", "cp1251")),
    *(("mac_roman", read) for read in ("cp1252", "latin-1", "cp850", "cp437")),
    *(("cp1252", read) for read in ("cp850", "cp437", "mac_roman", "cp1251", "cp1253", "koi8_r", "iso8859_5", "cp866")),
)
"""How bytes were written, and how they were read."""
_SHOWN = re.compile(_STRANGE)
# A square bracket with its partner, or else a capital letter; and lower-case letters beside others.
_CAPITAL = re.compile(
    r"(?P<pair>\[[^\[\]\n]{0,80}\](?![A-Za-z{|}\[\\]))"
    r"|(?<![a-z{|}0-9:\\/])[\[\\\]](?=[A-Za-z{|}\[\\\]])|(?<=[A-Z])[\[\\\]]"
)
_LOWER = re.compile(r"(?<=[A-Za-zÄÖÅ:])[{|}]+|[{|}]+(?=[A-Za-z])")


def code_page(text: str, language: str) -> str:
    """A text with the letters of its language where another code page or a 7-bit set shows other characters for them.

    It is certain where these characters stand between letters in three words at least and in 3 % of all, the letters
    themselves nowhere, or ten times more rarely (running Finnish and Swedish have them in a third of the words), and the
    result has frequent words or endings of the language.
    """
    if language not in _LETTERS or not _SHOWN.search(text):
        return text
    letters = _LETTERS[language]
    own = sum(map(text.count, letters))
    words = text.count(" ") + text.count("\n")
    least = max(3, 10 * own, words * 3 // 100)
    if least > words:
        return text
    best, most = None, (least, -len(text))
    for shown, table in _tables(letters):
        inside = len(_between_letters(shown[:3]).findall(text))
        if inside < most[0] or not _between_letters(shown[0]).search(text):
            continue
        unknown = sum(ord(c) not in table for c in text if not c.isascii())
        if (inside, -unknown) > most:
            best, most = table, (inside, -unknown)
    if best is None:
        return text
    repaired = _from_seven_bits(text, letters) if ord("{") in best else text.translate(best)
    return repaired if len(_SIGNS[language].findall(repaired)) >= 2 else text


def _from_seven_bits(text: str, letters: str) -> str:
    table = str.maketrans(_SEVEN_BIT, letters)
    with_capitals = _CAPITAL.sub(lambda match: match[0] if match["pair"] else match[0].translate(table), text)
    return _LOWER.sub(lambda match: match[0].translate(table), with_capitals)


@lru_cache
def _tables(letters: str) -> list[tuple[str, dict[int, str]]]:
    """What stands for each of ``letters``, and what every character stands for, by code point."""
    tables = [(_SEVEN_BIT, {ord(c): letter for c, letter in zip(_SEVEN_BIT[:3], letters[:3], strict=True)})]
    for written, read in _PAGES:
        high = [(_character(byte, read), _character(byte, written)) for byte in range(0x80, 0x100)]
        shown = {right: wrong for wrong, right in high}
        tables.append(("".join(shown[letter] for letter in letters), {ord(wrong): right for wrong, right in high}))
    return tables


def _character(byte: int, page: str) -> str:
    """What a byte is in a code page; where it is nothing, the control character of that number, as browsers have it."""
    try:
        return bytes([byte]).decode(page)
    except UnicodeDecodeError:
        return chr(byte)


@lru_cache
def _between_letters(characters: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=[A-Za-z])[{re.escape(characters)}]+(?=[a-z])")


# UTF-8 read as something else

_CAPITAL_WITHIN = re.compile(r"[a-zß-öø-ÿ][À-ÖØ-Þ](?=[a-zß-öø-ÿ])")
_MOJIBAKE = re.compile(_MISREAD)
# Letters of a repair that are of no western language, from this many on, are text.
_MANY = 10
# So many times the other characters are those of western text that let them pass.
_FEW = 5


def mojibake(text: str) -> str:
    """A text, or else those of its lines, that are UTF-8 read with a code page, once or several times, read as UTF-8.

    Beyond ftfy's own heuristics a repair must bring forth what western text has (or ten letters of one other script;
    among much that is western, other characters too, where all was UTF-8), no capital within a word, and not only letters
    by themselves, which a text about encodings would show.
    """
    if not _MOJIBAKE.search(text) or _line_ends(text):
        return text
    repaired = _read_again(text)
    if repaired != text or "\n" not in text:
        return repaired
    return "\n".join(_read_again(line) if _MOJIBAKE.search(line) else line for line in text.split("\n"))


def _line_ends(text: str) -> bool:
    """Whether U+0085 ends the lines of a text, which is what it is for; ftfy takes it for Windows' ellipsis."""
    return "\x85" in text and "\n" not in text and not re.search("[\x80-\x84\x86-\x9f]", text)


def _read_again(text: str) -> str:
    return next((reading for reading, strict in _readings(text) if _certain(text, reading, strict)), text)


def _readings(text: str) -> Iterator[tuple[str, bool]]:
    """What a text may have been, likelier ones first, and whether all of it was UTF-8."""
    import ftfy

    for page in ("cp850", "koi8_r", "sloppy-windows-1252", None, "iso8859_15", "cp1257", "mac_roman"):
        try:
            yield (text.encode(page).decode(), True) if page else (ftfy.fix_encoding(text), False)
        except UnicodeError:
            continue


def _certain(text: str, reading: str, strict: bool) -> bool:
    if reading == text:
        return False
    new = Counter(reading)
    new.subtract(text)
    strange = {c: count for c, count in new.items() if count > 0 and not _western(c)}
    western = sum(count for c, count in new.items() if count > 0 and c not in strange)
    if strange and not (strict and sum(strange.values()) * _FEW <= western):
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in strange}
        if len(scripts) > 1 or not all(map(_letter, strange)) or len(text) - len(reading) < _MANY:
            return False
    if len(_CAPITAL_WITHIN.findall(reading)) > len(_CAPITAL_WITHIN.findall(text)):
        return False
    there = set(text.split())
    tokens = [_LETTERS_ONLY.findall(token) for token in reading.split() if token not in there]
    return any(not token or max(map(len, token)) > 1 for token in tokens) or not tokens


def _letter(character: str) -> bool:
    """Whether a character is a letter, and of the Latin ones one that a language of today is written with."""
    if 0x180 <= ord(character) < 0x2B0:
        return character in "ƠơƯưȘșȚț"
    return character.isalpha()


_LETTERS_ONLY = re.compile(r"[^\W\d_]+")
_WESTERN = ((0xA0, 0xFF), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2100, 0x27EF), (0x1F000, 0x1FAFF), (0x20, 0x7E))


def _western(character: str) -> bool:
    """Whether a character is in Latin-1 or Windows-1252, a typographic mark, a symbol or a pictograph."""
    code = ord(character)
    return character in "ŒœŠšŸŽž\n\t\u200d\ufe0f" or any(first <= code <= last for first, last in _WESTERN)
