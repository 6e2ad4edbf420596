"""Masks of telephone numbers, and FinGPT's mask of all long numbers.

FinGPT has no mask for telephone numbers: its mask of long numbers takes them along with every other number of seven digits
and more (high recall, low precision, as it says). That suits what people write to each other, and ruins documentation and
encyclopedias; so telephone numbers have a mask of their own here, which asks for the shape of one.
"""

import re
from collections import deque
from itertools import pairwise
from typing import ClassVar

from assets.cleaning.personal import IBAN_MASK, IDENTITY_CODE_MASK, IPV4_MASK, IPV6_MASK, Span, masked
from assets.cleaning.steps import Mask

# No number has a 0 behind the country code and the 0 that stands in for it at home.
PHONE_MASK = "+358 00 000 0000"

# What stands between two digits of a number.
_GAP = r"(?:[ \xa0/.‐‑–-]{0,2}|[ ][–-][ ])"
# Where a number may begin. Begun with a set of characters, the pattern is found twenty times faster than ``_NUMBER``.
_PLACE = re.compile(r"[+(0-9](?<![0-9][0-9])")
_NUMBER = re.compile(
    rf"""
    (?<![\w+])(?:(?:\((?=\+[0-9]{{1,3}}\)))?\+(?:[ ](?=358))?\(?|(?<![0-9][-.,:])00(?:[ ]?(?=358)|(?=[1-9][0-9]{{0,2}}[ ])))
        (?P<abroad>[1-9](?:[()]?(?:[ \xa0/.‐‑–-]{{1,2}}[()]?)?[0-9]){{6,15}})(?![0-9])
    | (?<![\w+])(?<![0-9][-.:])(?P<home>(?:\(0[1-9][0-9]{{0,2}}\)|0[1-9])(?:{_GAP}[0-9]){{4,11}})(?![0-9])
    | (?<![\w+(-])(?<![0-9][.,])(?P<american>(?:1[-. ])?(?:\([2-9][0-9]{{2}}\)[ ]?|[2-9][0-9]{{2}}[-. ])
        [2-9][0-9]{{2}}[-.][0-9]{{4}})(?![\w-])
    """,
    re.VERBOSE,
)
_NAME = re.compile(
    r"\b(?:(?:puh|gsm|tel|fax|faksi)[.:]{0,2}|(?:puhelin|puhelinnumero|matkapuhelin|telephone|phone|mobile):) ?\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?P<named>(?!00)[0-9](?:[ \xa0-]?[0-9]){5,11})(?![0-9])")
# Country codes in use (ITU-T E.164, list of assigned codes).
_COUNTRY = re.compile(
    r"1|7|2(?:[07]|1[1-3568]|[2-6][0-9]|9[0-9])|3(?:[0-469]|[57][0-9]|8[0-35-79])|4(?:[013-9]|2[013])"
    r"|5(?:[1-8]|[09][0-9])|6(?:[0-6]|[78][0-9]|9[0-2])|8(?:[1246]|0[08]|[578][0-9])|9(?:[0-58]|[679][0-9])"
)
# How Finnish numbers begin (Traficom's numbering regulation): mobile, service and corporate, areas.
_PREFIX = re.compile(r"0(?:4[0-9]{1,2}|50[0-9]?|[1-35-8]00|10[0-9]?|[23]0[0-9]?|29[0-9]?|[235689]|1[3-9])")
_LONG_PREFIX = re.compile(r"0(?:4[0-9]|50)[0-9]{2,5}")
_YEAR_NUMBER = re.compile("(?:19|20)[0-9]{2}")
_COMPACT = re.compile(r"0(?:4[0-9]|50)[0-9]{6,8}|0(?:[23]0|29|10|[235689]|1[3-9]|[678]00)[0-9]{6,7}")
# 09-12-2004, 0800-1600, 2004-2005.
_TIMES = re.compile(
    r"[0-9]{1,2}([-–/. ])[01]?[0-9]\1(?:[12][0-9])?[0-9]{2}(?![0-9])"
    r"|[0-2][0-9][0-5][0-9] ?[-–] ?[0-2][0-9][0-5][0-9](?![0-9])|(?:19|20)[0-9]{2} ?[-– ] ?(?:19|20)[0-9]{2}(?![0-9])"
)
_AMOUNT = re.compile(r" ?(?:[%‰°€$£]|eur|mark|mk\b|milj|kpl|kg\b|km\b|m[²³]?\b)", re.IGNORECASE)
# What stands in front of a number that is no telephone: a book, the decimals of a number, a path or a query.
_BOOK = re.compile(r"IS[BS]N[-–: \xa00-9X]{0,16}\Z", re.IGNORECASE)
_PATH = re.compile(r"(?:[A-Za-z_]|/[0-9]{1,4}|(?<![0-9]{3})\.[0-9]{1,4})/\Z")
_WITHIN = re.compile(r"(?:[0-9],|=)\Z")
_WORD = re.compile(r"\w")
_DECIMALS = re.compile(r"[.,][1-9][0-9]?(?![0-9])")
_DIGITS = re.compile("[0-9]+")
_THOUSANDS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:[ \xa0][0-9]{3})*[ \xa0]\Z")
_BEFORE = re.compile(r"(?:[0-9]{1,16}[ \xa0]){1,8}\Z")
_AFTER = re.compile(r"(?:[ \xa0][0-9]{1,16}){1,8}")


def _phone(place: re.Match[str]) -> Span | None:
    """The span of a telephone number that begins at a place: behind a word for telephone, or by its shape."""
    text, start = place.string, place.start()
    patterns = (_NAMED, _NUMBER) if _NAME.search(text, max(0, start - 20), start) else (_NUMBER,)
    for pattern in patterns:
        if (match := pattern.match(text, start)) and (span := _span(match)):
            return span
    return None


def _span(match: re.Match[str]) -> Span | None:
    """The span of a telephone number at a match: its longest beginning, by groups of digits, that can be one."""
    kind, text, start = str(match.lastgroup), match.string, match.start()
    if kind in ("home", "american") and _BOOK.search(text, max(0, start - 24), start):
        return None
    groups = [group.span() for group in _DIGITS.finditer(text, *match.span(kind))]
    for last in range(len(groups), 0, -1):
        spans = groups[:last]
        # What the mask of long numbers leaves is no number any more.
        made_up = not "".join(_digits(text, spans))[2:].strip("0")
        end = spans[-1][1]
        amount = _AMOUNT.match(text, end) or (kind != "home" and _DECIMALS.match(text, end))
        if not made_up and not amount and _IS_PHONE[kind](text, spans):
            return start, end
    return None


def _digits(text: str, spans: list[Span]) -> list[str]:
    return [text[start:end] for start, end in spans]


def _gaps(text: str, spans: list[Span]) -> list[str]:
    return [text[before[1] : after[0]] for before, after in pairwise(spans)]


def _is_abroad(text: str, spans: list[Span]) -> bool:
    groups, gaps = _digits(text, spans), _gaps(text, spans)
    digits = "".join(groups)
    country = _COUNTRY.match(digits)
    if country is None or len(digits) > 16 or any(len(group) < 2 for group in groups[3:]):
        return False
    # 12.5 13.6 are no groups of digits.
    if any("." in gap for gap in gaps) and not all(gap == "." for gap in gaps):
        return False
    rest = digits[country.end() :].removeprefix("0")
    if country[0] == "1":
        return re.fullmatch("[2-9][0-9]{2}[2-9][0-9]{6}", rest) is not None
    at_least, at_most = (5, 10) if country[0] == "358" else (7, 12)
    return rest[:1] != "0" and at_least <= len(rest) <= at_most


def _is_home(text: str, spans: list[Span]) -> bool:
    """Finnish numbers: a prefix and groups of digits behind it, or all digits in one."""
    groups = _digits(text, spans)
    start, end = spans[0][0], spans[-1][1]
    binary = not "".join(groups).strip("01")
    if binary or text[end : end + 1] == "_" or _PATH.search(text, max(0, start - 24), start):
        return False
    if len(groups) == 1:
        apart = not _WITHIN.search(text, max(0, start - 24), start) and not _WORD.match(text, end)
        return apart and _COMPACT.fullmatch(groups[0]) is not None
    shaped = _are_shaped(groups) and _are_parted(groups, _gaps(text, spans))
    return shaped and not _TIMES.match(text, start) and not _is_series(text, groups, spans)


def _are_shaped(groups: list[str]) -> bool:
    """Groups of digits as numbers have them: a prefix, then two digits and more, three in one of them at least."""
    digits = sum(map(len, groups))
    if _LONG_PREFIX.fullmatch(groups[0]) and digits >= 9 and not _YEAR_NUMBER.fullmatch(groups[-1]):
        at_most = 11
    elif _PREFIX.fullmatch(groups[0]):
        at_most = 10 if len(groups[0]) == 2 else 11
    else:
        return False
    return 7 <= digits <= at_most and min(map(len, groups)) >= 2 and max(map(len, groups[1:])) >= 3


def _are_parted(groups: list[str], gaps: list[str]) -> bool:
    """Behind the prefix all gaps are alike; dots are everywhere or nowhere; `` - `` stands behind mobile prefixes."""
    first, *others = (gap.replace("\xa0", " ").strip(")") for gap in gaps)
    if len(set(others)) > 1 or any(gap not in (" ", "-", "‐", "‑", ".") for gap in others):
        return False
    if "." in first and any(gap != "." for gap in others):
        return False
    return len(first) < 3 or groups[0][1] in "45"


def _is_series(text: str, groups: list[str], spans: list[Span]) -> bool:
    """010 020 030 040, or 20 040 123 456: groups of a longer number, or of a row of numbers."""
    if len({len(group) for group in groups}) > 1:
        return False
    start, end = spans[0][0], spans[-1][1]
    before = text[max(0, start - 40) : start]
    if len(groups[0]) == 3 and _THOUSANDS.search(before):
        return True
    left, right = _BEFORE.search(before), _AFTER.match(text, end)
    around = (left[0] if left else "").split() + (right[0] if right else "").split()
    return bool(around) and all(len(group) == len(groups[0]) for group in around)


def _is_american(text: str, spans: list[Span]) -> bool:
    return sum(end - start for start, end in spans) >= 10


def _is_named(text: str, spans: list[Span]) -> bool:
    """Any number of six digits and more behind a word for telephone."""
    groups = _digits(text, spans)
    return (
        6 <= sum(map(len, groups)) <= 12
        and min(map(len, groups[1:]), default=2) > 1
        and not _TIMES.match(text, spans[0][0])
    )


_IS_PHONE = {"abroad": _is_abroad, "home": _is_home, "american": _is_american, "named": _is_named}


def mask_phones(text: str) -> tuple[str, int]:
    """The text with its telephone numbers masked, Finnish, American and with a country code, and how many masks were put
    in.
    """
    return masked(text, _PLACE, _phone, PHONE_MASK)


class Phones(Mask):
    """Telephone numbers are masked."""

    candidates: ClassVar[str] = (
        r"\+ ?\(?[1-9](?:[ \x{a0}()/.‐‑–-]{0,4}[0-9]){6}"
        r"|(?:^|[^0-9A-Za-z_+])\(?0[0-9](?:[ \x{a0}()/.‐‑–-]{0,4}[0-9]){4}"
        r"|[2-9][0-9]{2}[-.) ]{1,2}[2-9][0-9]{2}[-.][0-9]{4}"
        r"|(?i:puh|gsm|tel|fax|faksi|puhelin|puhelinnumero|matkapuhelin|phone|mobile)[.:]{0,2} ?[0-9](?:[ \x{a0}-]?[0-9]){5}"
    )
    name: str = "phones"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_phones(text)


# Long numbers

_SPACE = r"[^\S\r\n]"
_RUN = re.compile(rf"(?<!\w)[0-9](?:(?:{_SPACE}|[().+–—-]){{0,3}}[0-9]){{6,}}+(?!\w)")
_DAY = rf"{_SPACE}?[.–—-]{_SPACE}?"
_YEAR = r"(?:20[0-9]{2}|1[0-9]{3}|[0-9]{2})"
# What FinGPT spares: dates, ranges of years, amounts with a unit.
_SPARED = re.compile(
    rf"\b(?:[0-3]?[0-9]{_DAY}[01]?[0-9]{_DAY}{_YEAR}|{_YEAR}{_DAY}[0-3]?[0-9]{_DAY}[0-3]?[0-9])\b"
    rf"|\b(?:1[0-9]{{3}}|20[0-9]{{2}}){_DAY}(?:1[0-9]{{3}}|20[0-9]{{2}})\b"
)
_DIGIT = re.compile("[0-9]")
_UNIT = re.compile(
    rf"{_SPACE}?(?:metri|euro|markka|markal|mk\.|dollar|kruunu|ihmistä|henkeä|henkilöä|asukasta|katsojaa|sotilasta|suomalaista"
    r"|vuotta|merkkiä|kappaletta|kpl\.|e\b(?!-)|[€$])"
)
_MASKS = re.compile("|".join(map(re.escape, (PHONE_MASK, IBAN_MASK, IDENTITY_CODE_MASK, IPV4_MASK, IPV6_MASK))))


def mask_long_numbers(text: str) -> tuple[str, int]:
    """The text with the digits of long numbers 0 but for the first two, and how many numbers were changed.

    FinGPT's rule (mask_numbers.py of TurkuNLP/finngen-tools): 7 to 13 digits with spaces, brackets and dashes between
    them, unless they are dates, a range of years, or have a unit. Here a row of digits is judged as a whole, and what
    other masks put in stays.
    """
    pieces, place, found = [], 0, 0
    known = deque(mask.span() for mask in _MASKS.finditer(text))
    for run in _RUN.finditer(text):
        start, end = run.span()
        while known and known[0][1] <= start:
            known.popleft()
        digits = [digit.start() for digit in _DIGIT.finditer(text, start, end)]
        spared = (known and known[0][0] < end) or _SPARED.search(text, start, end) or _UNIT.match(text, end)
        behind = digits[1] + 1
        zeros = _DIGIT.sub("0", text[behind:end])
        if len(digits) <= 13 and not spared and zeros != text[behind:end]:
            pieces += [text[place:behind], zeros]
            place, found = end, found + 1
    return ("".join([*pieces, text[place:]]), found) if found else (text, 0)


class LongNumbers(Mask):
    """FinGPT's mask of long numbers, for what people write to each other."""

    candidates: ClassVar[str] = r"[0-9](?:[ \x{a0}().+–—-]{0,3}[0-9]){6}"
    name: str = "long_numbers"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_long_numbers(text)
