"""What is left of personal data in a text, in the gate's own words: written without the masks' patterns.

It looks for the plain forms only, so that what it finds is beyond doubt: whatever is found here, a mask has missed.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Left:
    """How one kind of data is looked for: ``count`` in texts that match ``candidates``, a pattern of RE2.

    ``masks`` are the strings that stand in place of such data, and are none.
    """

    candidates: str
    count: Callable[[str], int]
    masks: tuple[str, ...] = ()


_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}([A-Za-z]{2,63})"
)
_GENERIC_DOMAINS = frozenset({"com", "org", "net", "edu", "gov", "mil", "info", "biz"})


def emails(text: str) -> int:
    """E-mail addresses below generic and national domains."""
    found = 0
    for match in _ADDRESS.finditer(text):
        ending = match[1].lower()
        known = ending in _GENERIC_DOMAINS or (len(ending) == 2 and ending != "js")
        found += known and match[0] != "email@example.com" and not match[0].startswith("git@")
    return found


_CODE = re.compile(r"(?<![^\W_])(\d\d)(\d\d)(\d\d)[-+A-FU-Y](\d{3})([0-9A-Y])(?![^\W_])", re.ASCII)


def identity_codes(text: str) -> int:
    """Finnish personal identity codes: a day that can be, and the right check character."""
    found = 0
    for day, month, year, individual, check in _CODE.findall(text):
        remainder = int(day + month + year + individual) % 31
        right = str(remainder) if remainder < 10 else "ABCDEFHJKLMNPRSTUVWXY"[remainder - 10]
        found += 1 <= int(day) <= 31 and 1 <= int(month) <= 12 and check == right
    return found


_ACCOUNT = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![A-Za-z0-9])"
)
_ACCOUNT_LENGTHS = {"FI": 18, "SE": 24, "NO": 15, "DK": 18, "EE": 20, "DE": 22, "GB": 22, "FR": 27, "NL": 18, "ES": 24}


def ibans(text: str) -> int:
    """Bank accounts of ten countries, whose remainder by 97 is 1, in one or in groups of four."""
    found = 0
    for match in _ACCOUNT.findall(text):
        account = match.replace(" ", "")
        remainder = 0
        for character in account[4:] + account[:4]:
            number = int(character, 36)
            remainder = (remainder * (10 if number < 10 else 100) + number) % 97
        found += len(account) == _ACCOUNT_LENGTHS.get(account[:2]) and remainder == 1
    return found


_FOUR_PARTS = re.compile(r"(?<![\w.:=/§-])([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?![\w:/-]|\.\w)")
_UNICAST = re.compile("[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]+[0-9A-Fa-f]")
_LAST_WORD = re.compile(r"([^\W\d_]+)[\W\d_]*\Z")
_NUMBERED = (
    *("v", "rel", "build", "firm", "kern", "driv", "ohja", "sec", "chap", "claus", "art", "luku", "luvu", "koh", "osa"),
    *("tau", "kuva", "tab", "fig", "oid"),
)


def ip_addresses(text: str) -> int:
    """Global addresses: of version 4 those with three parts above 31 that no word before them calls something else."""
    found = 0
    for match in _FOUR_PARTS.finditer(text):
        word = _LAST_WORD.search(text, max(0, match.start() - 40), match.start())
        numbered = word is not None and word[1].lower().startswith(_NUMBERED)
        found += sum(int(part) > 31 for part in match.groups()) > 2 and not numbered and _is_global(match[0], 4)
    for token in text.split() if "::" in text or text.count(":") > 6 else ():
        address = token.lstrip("([\"'").rstrip(")].,;\"'")
        found += _UNICAST.fullmatch(address) is not None and _is_global(address, 6)
    return found


def _is_global(text: str, version: int) -> bool:
    from ipaddress import ip_address

    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == version and address.is_global and not address.is_multicast


_MOBILE = re.compile(
    r"(?<!\S)(?:\+358 ?(?:4[0-9]|50) ?[0-9]{3} ?[0-9]{4}|0(?:4[0-9]|50)(?:[ -][0-9]{3} ?|[0-9]{3})[0-9]{4})(?=[.,;)]?(?:\s|$))"
)
_NEIGHBOUR = re.compile(r"(?<!\S)\+(?:4[4679]|3[123])[1-9][0-9]{8,9}(?=[.,;)]?(?:\s|$))")
_UNIT = re.compile(r"\s[%°€$£ekm]")


def phones(text: str) -> int:
    """Finnish mobile numbers as they are mostly written, and numbers of some neighbours in one."""
    found = 0
    for match in (*_MOBILE.finditer(text), *_NEIGHBOUR.finditer(text)):
        book = re.search("IS[BS]N", text[max(0, match.start() - 30) : match.start()], re.IGNORECASE)
        found += len(set(match[0]) - set("+- 01")) > 1 and not book and not _UNIT.match(text.lower(), match.end())
    return found


_ALONE = re.compile(r"(?:^|[,;\n]|[^\W\d_] )([0-9]{7,13})(?=(?:[,;] ?| )[^\W\d_]|$)")
_UNITS = re.compile(
    r",? ?(?:metri|euro|mark|mk|dollar|kruunu|ihmis|henke|henki|asuka|katso|sotil|suomal|vuot|merk|kappal|kpl|e)"
)


def long_numbers(text: str) -> int:
    """Numbers of seven to thirteen digits without spaces, with words around them, and other digits than 0 at their end."""
    return sum(bool(match[1][2:].strip("0")) and not _UNITS.match(text, match.end()) for match in _ALONE.finditer(text))


_PRIVATE_KEY = re.compile(r"-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----\n[A-Za-z0-9+/]{60,}")
_MARKED = re.compile(
    r"(?<![\w-])(?:AKIA[A-Z2-7]{16}|gh[po]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9]{20}|npm_[A-Za-z0-9]{36}|AIza[A-Za-z0-9]{35}"
    r"|sk_live_[A-Za-z0-9]{24}|eyJ[A-Za-z0-9]{20,400}\.eyJ[A-Za-z0-9]{20,400}\.[A-Za-z0-9]{20,400})(?![\w-])"
)
_PASSWORD = re.compile(
    r"""(?:password|secret|token|api_key)["']? ?[:=] ?(?:"([A-Za-z0-9]{20,32})"|'([A-Za-z0-9]{20,32})')""",
    re.IGNORECASE,
)
_MADE_UP = re.compile(
    r"xxx|yyy|000|111|aaa|012|123|abc|qwe|exam|samp|dumm|fake|mock|test|demo|foo|bar|place|hold|change|repl|insert|redac"
    r"|your|secret|token|pass|hunter|none|null|todo|my",
    re.IGNORECASE,
)


def secrets(text: str) -> int:
    """Private keys, tokens of some issuers, and passwords between quotation marks that are letters and digits in a jumble."""
    tokens = [match[0] for match in _MARKED.finditer(text)]
    passwords = [match[1] or match[2] for match in _PASSWORD.finditer(text)]
    jumbled = [word for word in passwords if len(re.findall("[0-9]+", word)) >= 5 and _entropy(word) >= 3.5]
    made_up = sum(bool(_MADE_UP.search(word)) or len(set(word)) < 12 for word in (*tokens, *jumbled))
    return len(tokens) + len(jumbled) - made_up + len(_PRIVATE_KEY.findall(text))


def _entropy(word: str) -> float:
    """Bits a character."""
    return -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())


KINDS = {
    "emails": Left("[A-Za-z0-9]@[A-Za-z0-9]", emails, ("email@example.com",)),
    "identity_codes": Left("[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]", identity_codes, ("010101-001Z",)),
    "ibans": Left("[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}", ibans, ("FI00 0000 0000 0000 00",)),
    "ip_addresses": Left(
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:",
        ip_addresses,
        ("192.0.2.1", "2001:db8::1"),
    ),
    "phones": Left(r"\+[34][0-9]|(?:^|\s)0[45][0-9][ -]?[0-9]{3}", phones, ("+358 00 000 0000",)),
    "long_numbers": Left("[0-9]{7}", long_numbers),
    "secrets": Left(
        "-----BEGIN |AKIA|gh[po]_|glpat-|npm_|AIza|sk_live_|eyJ|(?i:password|secret|token|api_key)[\"']? ?[:=] ?[\"']",
        secrets,
        ("<KEY>",),
    ),
}
"""What is looked for, by the name of the step that masks it."""
