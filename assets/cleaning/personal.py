"""Masks of personal data: e-mail addresses and Finnish personal identity codes."""

import re
from typing import ClassVar

import regex

from assets.cleaning.steps import Mask

# FinGPT's masks (mask_email.py, mask_ids.py of TurkuNLP/finngen-tools). Z is no check character, so no mask is a code.
EMAIL_MASK = "email@example.com"
IDENTITY_CODE_MASK = "010101-001Z"

_LOCAL = r"[\p{L}\p{M}\p{N}._%+-]"
_AT = r"(?:@|\s?[(\[]\s?(?:at|ät|AT|ÄT)\s?[)\]]\s?)"
_DOMAIN = r"(?:[\p{L}\p{M}\p{N}-]+\.)+\p{L}{2,}"
# Addresses that touch each other become one mask, so that a mask never touches another address.
EMAIL = rf"[\p{{L}}\p{{N}}]{_LOCAL}*{_AT}{_DOMAIN}(?:{_LOCAL}*{_AT}{_DOMAIN})*"

# Day, month, year, century (with the characters that came in 2023), individual number, check character.
_CODE = re.compile(
    r"(?<![0-9A-Za-z])((?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2})[-+A-FU-Y]([0-9]{3})([0-9A-FHJ-NPR-Y])(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_CANDIDATE = r"[0-9]{6}[-+A-Fa-fU-Yu-y][0-9]{3}[0-9A-Ya-y]"
_CHECK = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def mask_identity_codes(text: str) -> tuple[str, int]:
    """The text with its identity codes masked, and how many they were. A code has the right check character."""
    found = 0

    def mask(match: re.Match[str]) -> str:
        nonlocal found
        birth, individual, check = match.groups()
        if _CHECK[int(birth + individual) % 31] != check.upper():
            return match[0]
        found += 1
        return IDENTITY_CODE_MASK

    masked = _CODE.sub(mask, text)
    return masked, found


_EMAIL = regex.compile(EMAIL)


def mask_emails(text: str) -> tuple[str, int]:
    """The text with its e-mail addresses masked, also those written with (at), and how many they were."""
    masked, _ = _EMAIL.subn(EMAIL_MASK, text)
    # A mask that stood in the text beside an address becomes one with it.
    return masked, max(0, masked.count(EMAIL_MASK) - text.count(EMAIL_MASK))


class Emails(Mask):
    """E-mail addresses are masked."""

    candidates: ClassVar[str] = EMAIL
    name: str = "emails"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_emails(text)


class IdentityCodes(Mask):
    """Finnish personal identity codes are masked."""

    candidates: ClassVar[str] = _CANDIDATE
    name: str = "identity_codes"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_identity_codes(text)
