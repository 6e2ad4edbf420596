"""The letters that languages are written with beyond a to z: data by which letters of others are told."""

from functools import cache

ALPHABETS = {
    "en": "",
    "fi": "åäö",
    "sv": "åäö",
    "da": "æøå",
    "no": "æøå",
    "de": "äöüß",
    "et": "äöõüšž",
    "se": "áčđŋšŧž",
    "lv": "āčēģīķļņšūž",
    "lt": "ąčęėįšųūž",
    "pl": "ąćęłńóśźż",
}
"""Lower case, by the code of their language (ISO 639). Finnish: FinGPT's (filter_jsonl.py of TurkuNLP/finngen-tools)."""


@cache
def letters_of(language: str) -> tuple[str, str] | None:
    """The small and the capital letters of a language, as they stand in a character class; None where they are not known."""
    own = ALPHABETS.get(language)
    return None if own is None else (f"a-z{own}", f"A-Z{own.upper()}")
