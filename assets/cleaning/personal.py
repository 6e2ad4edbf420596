"""Masks of personal data: e-mail addresses, Finnish personal identity codes, bank accounts, IP addresses, long numbers.

Telephone numbers are in ``phones``, secrets in code in ``secrets``. Every mask is a fixed string that looks like what it
stands for, belongs to nobody, and is found by no mask again. Patterns look at a bounded number of characters from each
place, so that no text makes them slow.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from assets.cleaning.steps import Mask

# FinGPT's masks (mask_email.py, mask_ids.py of TurkuNLP/finngen-tools). Z is no check character, so no mask is a code.
EMAIL_MASK = "email@example.com"
IDENTITY_CODE_MASK = "010101-001Z"
# Check digits run from 02 to 98 (ISO 13616-1, 6.4).
IBAN_MASK = "FI00 0000 0000 0000 00"
# Addresses for documentation: RFC 5737, RFC 3849.
IPV4_MASK = "192.0.2.1"
IPV6_MASK = "2001:db8::1"


Span = tuple[int, int]


def masked(
    text: str, pattern: re.Pattern[str], span: Callable[[re.Match[str]], Span | None], mask: str
) -> tuple[str, int]:
    """The text with ``mask`` in place of what ``pattern`` finds, and how many masks were put in.

    ``span`` says what of a match has to go, or None for a match that stays; the search then goes on behind its first
    character.
    """
    pieces, place, search = [], 0, 0
    while match := pattern.search(text, search):
        if found := span(match):
            pieces += [text[place : found[0]], mask]
            place = search = found[1]
        else:
            search = match.start() + 1
    return ("".join([*pieces, text[place:]]), len(pieces) // 2) if pieces else (text, 0)


# E-mail addresses

_AT = re.compile(r"[@＠﹫]|\((?:a|at|ät)\)| ?[(\[{<] ?(?:at|ät) ?[)\]}>] ?| ät ", re.IGNORECASE)
_LABEL = r"[\w\u0300-\u036f-]"
_DOT = r"(?:\.| ?[(\[{<] ?(?:dot|piste) ?[)\]}>] ?| piste )"
_DOMAIN = re.compile(rf"(?:{_LABEL}++{_DOT})+([^\W\d_]{{2,}})", re.IGNORECASE)
_DOMAIN_BEGINS = re.compile(rf"(?:{_LABEL}++{_DOT})+", re.IGNORECASE)
_DOMAIN_GOES_ON = re.compile(rf"{_LABEL}*+{_DOT}(?:{_LABEL}++{_DOT})*", re.IGNORECASE)
# What stands behind the @ of a file's name, as in icon@2x.png, and is no top-level domain.
_FILES = frozenset(
    {
        *("avif", "bmp", "gif", "ico", "jpeg", "jpg", "pdf", "png", "svg", "webp"),
        *("css", "htm", "html", "js", "json", "jsx", "map", "mjs", "scss", "tsx", "txt", "xml"),
    }
)


def _in_local_part(character: str) -> bool:
    return character.isalnum() or character in "._%+-" or "\u0300" <= character <= "\u036f"


def _emails(text: str) -> list[Span]:
    """Where addresses stand. Those that touch each other are one, so that a mask never makes an address of what is
    beside it.
    """
    spans: list[Span] = []
    failed: list[Span] = []
    for at in _AT.finditer(text):
        floor = spans[-1][1] if spans else 0
        if at.start() < floor:
            continue
        start = _local_start(text, at.start(), floor)
        domain = _DOMAIN.match(text, at.end())
        if start is None:
            continue
        if domain is None or domain[1].lower() in _FILES:
            failed.append((start, at.end()))
            continue
        # An @ before it whose domain would be one with a mask at its end.
        while failed and _DOMAIN_BEGINS.fullmatch(text, failed[-1][1], start):
            start, _ = failed.pop()
        if spans and (start == floor or _DOMAIN_GOES_ON.fullmatch(text, floor, start)):
            spans[-1] = (spans[-1][0], domain.end())
        else:
            spans.append((start, domain.end()))
        failed.clear()
    return spans


def _local_start(text: str, end: int, floor: int) -> int | None:
    """Where the name in front of an @ begins, ``floor`` where it touches what stands there; None where there is none."""
    start = end
    while start > floor and _in_local_part(text[start - 1]):
        start -= 1
    if floor and start == floor:
        return start
    while start < end and not text[start].isalnum():
        start += 1
    # git@github.com is where a program is, not who wrote it.
    return None if start == end or text[start:end] == "git" else start


def mask_emails(text: str) -> tuple[str, int]:
    """The text with its e-mail addresses masked, also those written with (at), and how many masks were put in."""
    pieces, place, found = [], 0, 0
    for start, end in _emails(text):
        pieces += [text[place:start], EMAIL_MASK]
        found += text[start:end] != EMAIL_MASK
        place = end
    return ("".join([*pieces, text[place:]]), found) if found else (text, 0)


# Finnish personal identity codes

# Day, month, year, century (with the characters that came in 2023), individual number, check character.
_CODE = re.compile(
    r"(?<![0-9A-Za-z])((?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2})[-+A-FU-Y‐‑‒–—−]([0-9]{3})([0-9A-FHJ-NPR-Y])"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_CHECK = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _identity_code(match: re.Match[str]) -> Span | None:
    """A code has the right check character (Digital and Population Data Services Agency: the remainder by 31)."""
    birth, individual, check = match.groups()
    return match.span() if _CHECK[int(birth + individual) % 31] == check.upper() else None


def mask_identity_codes(text: str) -> tuple[str, int]:
    """The text with its identity codes masked, those never issued (900 to 999) too, and how many masks were put in."""
    return masked(text, _CODE, _identity_code, IDENTITY_CODE_MASK)


# Bank accounts

# Lengths of account numbers by country (SWIFT, IBAN Registry, release 99).
_IBANS = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
    FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
    LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
    SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?:[ \xa0-]?[0-9A-Za-z]){11,29}")


def _iban(match: re.Match[str]) -> Span | None:
    """An account number has its country's length, and the remainder 1 by 97 (ISO 13616-1, ISO 7064)."""
    length = _IBAN_LENGTHS.get(match[0][:2].upper(), 0)
    places = [place for place, character in enumerate(match[0]) if character not in " \xa0-"]
    if not length or len(places) < length:
        return None
    end = match.start() + places[length - 1] + 1
    compact = re.sub(r"[ \xa0-]", "", match.string[match.start() : end])
    remainder = int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97
    ends = not re.match("[0-9A-Za-z]", match.string[end : end + 1])
    return (match.start(), end) if remainder == 1 and ends else None


def mask_ibans(text: str) -> tuple[str, int]:
    """The text with its bank account numbers (IBAN, of any country) masked, and how many masks were put in."""
    return masked(text, _IBAN, _iban, IBAN_MASK)


# IP addresses

_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?<!:)(?![\w:]|\.[0-9]{1,3}\.)")
# What stands beside an address, whatever its parts are, and beside a number of four parts that is none.
_NAMED = re.compile(r"(?:\bIP|osoit\w*|address|server|palvelin|palvelime\w*|host|DNS|ping|://)\W{0,3}\Z", re.IGNORECASE)
_NETWORK = re.compile(r"[/:][0-9]")
_NUMBERED = re.compile(
    r"(?:\b(?:v|ver|version|versio\w*|release|rel|build|firmware|kernel|driver|ohjain|section|sec|chapter|clause|article"
    r"|luku|luvu\w*|kohta|kohda\w*|kohta\w*|artikla\w*|osa|taulukko|kuva|table|figure|oid)[\s.:=#(]*|§ ?|[A-Za-z]-|==)\Z",
    re.IGNORECASE,
)


def _global(address: str) -> bool:
    from ipaddress import ip_address

    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast


def _ipv4(match: re.Match[str]) -> Span | None:
    """Fewer than two parts above 31 are a version or the number of a heading, unless the text says it is an address.

    Of all addresses that is one in a hundred.
    """
    if not _global(match[0]):
        return None
    text, start, end = match.string, match.start(), match.end()
    if _NAMED.search(text, max(0, start - 24), start) or _NETWORK.match(text, end):
        return start, end
    alike = sum(int(part) > 31 for part in match[0].split(".")) > 1
    return (start, end) if alike and not _NUMBERED.search(text, max(0, start - 24), start) else None


def _ipv6(match: re.Match[str]) -> Span | None:
    return match.span() if _global(match[0]) else None


def mask_ip_addresses(text: str) -> tuple[str, int]:
    """The text with its global IP addresses masked, and how many masks were put in. Versions stay."""
    text, first = masked(text, _IPV4, _ipv4, IPV4_MASK)
    text, second = masked(text, _IPV6, _ipv6, IPV6_MASK)
    return text, first + second


class Emails(Mask):
    """E-mail addresses are masked."""

    candidates: ClassVar[str] = (
        r"[\p{L}\p{N}\p{M}._%+-](?:[@＠﹫]|(?i:\((?:a|at|ät)\)| ?[(\[{<] ?(?:at|ät) ?[)\]}>] ?| ät ))"
        r"[\p{L}\p{N}\p{M}_-]+(?:\.| ?[(\[{<]|(?i: piste ))"
    )
    name: str = "emails"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_emails(text)


class IdentityCodes(Mask):
    """Finnish personal identity codes are masked."""

    candidates: ClassVar[str] = r"[0-9]{6}[-+A-Fa-fU-Yu-y‐‑‒–—−][0-9]{3}[0-9A-Ya-y]"
    name: str = "identity_codes"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_identity_codes(text)


class Ibans(Mask):
    """Bank account numbers are masked."""

    candidates: ClassVar[str] = r"[A-Za-z]{2}[0-9]{2}(?:[ \x{a0}-]?[0-9A-Za-z]){11}"
    name: str = "ibans"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_ibans(text)


class IpAddresses(Mask):
    """Global IP addresses are masked."""

    candidates: ClassVar[str] = r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:"
    name: str = "ip_addresses"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_ip_addresses(text)
