"""Masks of personal data: e-mail addresses and Finnish personal identity codes."""

import re
from typing import TYPE_CHECKING

from assets.cleaning.steps import Edit, edited

if TYPE_CHECKING:
    from daft import DataFrame, Expression

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


def mask_emails(text: "Expression") -> "Expression":
    """The text with its e-mail addresses masked, also those written with (at)."""
    from daft.functions import regexp_replace

    return regexp_replace(text, EMAIL, EMAIL_MASK)


class Emails(Edit):
    """E-mail addresses are masked."""

    name: str = "emails"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("masked_emails",)

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        from daft import col, lit
        from daft.functions import clip, regexp_count

        known = regexp_count(col(column), EMAIL_MASK.replace(".", r"\.")).cast("int64")
        # A mask that stood in the text beside an address becomes one with it.
        found = clip(regexp_count(col(column), EMAIL).cast("int64") - known, min=lit(0))
        return frame.with_columns({column: mask_emails(col(column)), "masked_emails": col("masked_emails") + found})


class IdentityCodes(Edit):
    """Finnish personal identity codes are masked."""

    name: str = "identity_codes"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("masked_identity_codes",)

    def apply(self, frame: "DataFrame", column: str, language: str) -> "DataFrame":
        from daft import col
        from daft.functions import get

        return (
            frame.with_column("_masked", edited(col(column), _CANDIDATE, mask_identity_codes))
            .with_columns(
                {
                    column: get(col("_masked"), "text"),
                    "masked_identity_codes": col("masked_identity_codes") + get(col("_masked"), "found"),
                }
            )
            .exclude("_masked")
        )
