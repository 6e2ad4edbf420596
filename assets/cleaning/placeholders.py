"""What a program fills in or reads in a message: formats, named fields, markup, shortcut keys, escapes.

A translation has the same ones as its source, however the words around them move (GNU gettext manual, section 15.3:
``msgfmt --check-format``).
"""

import re

CANDIDATE = r"[%{$&~<\\@#]|(?:^|[^\w])_\pL"
"""What every placeholder has, for RE2."""
PLACEHOLDER = (
    r"%(?:[0-9]+\$)?[-+#0']*[0-9*]*(?:\.[0-9*]*)?(?:hh|h|ll|l|q|j|z|t)?[diouxXeEfgGcspm@]|%L?[0-9]{1,2}%?|%[({<]\w+[)}>][sdif]?|"
    r"\{+\w*(?:[.:,][^{}]*)?\}+|\$[({][\w.]+[)}]|\$[0-9]|[%$@#][A-Z_]{2,}[%@#]?|</?[a-zA-Z]\w* ?/?>|\\[nrt]"
)
"""A placeholder, for RE2; not the letters that only mark a shortcut key."""

# A format of C, Python, PHP: argument, and conversion. "50 %" and "%%" are none, nor is a format of a date.
_PRINTF = re.compile(
    r"(?<![\d%])%(?:(\d{1,9})\$)?[+#0']*(?:-(?=[\d*]))?(?:\d+|\*)?(?:\.(?:\d+|\*)?)?(?:hh|h|ll|l|q|j|z|t|L)?"
    r"([diouxefgcspm@]|[XEG](?![A-Za-z_]))"
)
_DATE = re.compile(r"%[-_0^EO]?[YHMBbAayIjklZTFRDV]\b|%[-_0^EO]?[YHMBbAaIj]")
_CLASSES = {**dict.fromkeys("diu", "d"), **dict.fromkeys("oxX", "x"), **dict.fromkeys("eEfgG", "f")}
# Arguments by number: %1 of Qt and KDE, {0}; $1 of wikis, which may be money.
_NUMBERED = re.compile(r"(?<![\d%])%L?([1-9]\d?)(?![\d$])")
_ONLY_NUMBERED = re.compile(r"(?<![\d%])%L?[1-9]\d?(?![\d$.]|[diouxXeEfgGcsp])")
_DOLLAR = re.compile(r"(?<![\w$])\$([1-9])(?![\d.,]*\d| ?[kmb]\b)")
_MONEY = re.compile(r"dollar|usd|\$|€|euro", re.IGNORECASE)
_NAMED = re.compile(
    r"%[({<](\w+)[)}>]|\$\{([\w.]+)\}|\$\(([\w.]+)\)|(?<![\w{])\{\{?(\w+)(?:[.\[][^{}]*)?(?:![rsa])?(?::[^{}\s]*)?\}|"
    r"[%$]([A-Z][A-Z_]+[A-Z])|@([A-Z_]{2,})@|#([A-Z_]{2,})#"
)
# ICU's plurals and choices, and those of wikis: their words are translated, their argument is not.
_CHOICE = re.compile(r"\{(\w+),\s*(plural|select|selectordinal|number|date|time)\b|\{\{(PLURAL|GENDER|GRAMMAR):")
_ENDS = re.compile(r"</([a-zA-Z][\w-]*)>|<([a-zA-Z][\w-]*) ?/>|<(br|hr|img)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([nt])")
_PATH = re.compile(r"\b[A-Za-z]:\\|\\\\")
_SHORTCUTS = {
    "&": re.compile(r"(?<![&\w])&(?=[^\W\d_])(?!#?\w+;)"),
    "_": re.compile(r"(?<!\w)_(?=[^\W\d_])"),
    "~": re.compile(r"(?<!\w)~(?=[^\W\d_])"),
}


def placeholders_differ(one: str, other: str) -> bool:
    """Whether the sides of a pair have other placeholders than each other."""
    signs = set(one + other)
    return (
        ("%" in signs and _formats_differ(one.replace("%%", ""), other.replace("%%", "")))
        or (not signs.isdisjoint("%{$@#") and _named(one) != _named(other))
        or ("$" in signs and _dollars_differ(one, other))
        or ("<" in signs and _found(_ENDS, one) != _found(_ENDS, other))
        or ("\\" in signs and _escapes(one) != _escapes(other))
        or any(
            sign in signs and {len(mark.findall(one)), len(mark.findall(other))} == {0, 1}
            for sign, mark in _SHORTCUTS.items()
        )
    )


def _escapes(text: str) -> set[str]:
    return set() if _PATH.search(text) else set(_ESCAPE.findall(text))


def _formats_differ(one: str, other: str) -> bool:
    if _ONLY_NUMBERED.search(one) or _ONLY_NUMBERED.search(other):
        return set(_NUMBERED.findall(one)) != set(_NUMBERED.findall(other))
    if _DATE.search(one) or _DATE.search(other):
        return False
    return _arguments(one) != _arguments(other)


def _arguments(text: str) -> dict[int, str]:
    """The conversion of each argument of a format, by its number."""
    found: dict[int, str] = {}
    for number, (position, conversion) in enumerate(_PRINTF.findall(text), start=1):
        found[int(position or number)] = _CLASSES.get(conversion, conversion)
    return found


def _named(text: str) -> set[str]:
    choices = _found(_CHOICE, text)
    if choices:
        return choices
    return _found(_NAMED, text)


def _dollars_differ(one: str, other: str) -> bool:
    here, there = set(_DOLLAR.findall(one)), set(_DOLLAR.findall(other))
    if here and there:
        return here != there
    # "$5" on one side alone may be five dollars.
    return (
        here != there
        and not _MONEY.search(other if here else one)
        and not _stands(here or there, other if here else one)
    )


def _stands(numbers: set[str], text: str) -> bool:
    return any(re.search(rf"(?<!\d){number}", text) for number in numbers)


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    """What the groups of a pattern match in a text, in lower case."""
    return {"".join(groups).lower() for groups in pattern.findall(text)}
