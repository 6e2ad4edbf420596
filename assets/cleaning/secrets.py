"""Masks of secrets in code: private keys, tokens whose issuer marks them, and passwords that are written out."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import ClassVar

from assets.cleaning.personal import Span, masked
from assets.cleaning.steps import Mask

# BigCode's mask (bigcode-dataset, pii; arXiv 2305.06161, section 4.2).
SECRET_MASK = "<KEY>"

# Private keys

_KEY_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{40}")
# Lines of a key whose end is missing, as they stand in a file or in the literals of a program.
_KEY_LINES = re.compile(r"(?:\\[nr]|[\s\"'+,;]|[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/]{1,15}(?:={1,2}|\Z))*")
_KEY_CHARACTERS = 20_000


def _private_key(match: re.Match[str]) -> Span | None:
    """From the first line to the last. What holds no 40 characters of base64 in a row is an example without a key."""
    text, start, body = match.string, match.start(), match.end()
    another = text.find("-----BEGIN", body, body + _KEY_CHARACTERS)
    limit = another if another >= 0 else body + _KEY_CHARACTERS
    if closing := _KEY_ENDS.search(text, body, limit):
        end = closing.end()
    else:
        lines = _KEY_LINES.match(text, body, limit)
        end = body + len(lines[0].rstrip()) if lines else body
    return (start, end) if _BASE64.search(text, body, end) else None


# Tokens

# The formats that issuers publish for secret scanners.
_TOKENS = (
    r"(?:AKIA|ASIA)[A-Z2-7]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{82}",
    r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{20,}|xapp-[A-Za-z0-9-]{20,}",
    r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,32}",
    r"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{30,}",  # Google
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{32,}",  # Stripe
    r"npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{60,}|hf_[A-Za-z0-9]{34}",
    r"sk-(?:ant|proj|svcacct)-[A-Za-z0-9_-]{40,}|sk-[A-Za-z0-9]{48}",
    r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|dop_v1_[0-9a-f]{64}|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",  # JWT
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_TOKENS)})(?![A-Za-z0-9_-])")
_NO_TOKEN = re.compile(r"example|redacted|xxxx|your|1234567|abcdefg|000000", re.IGNORECASE)


def _token(match: re.Match[str]) -> Span | None:
    return None if _NO_TOKEN.search(match[0]) or len(set(match[0])) < 10 else match.span()


# Passwords and keys that are assigned or given

_NAME = (
    r"(?:passwo?rd|passwd|passphrase|pwd|secret|token|credential|apikey"
    r"|(?:api|access|account|auth|private|client|encryption|signing|master|session|storage)[_-]?key)[A-Za-z0-9_]{0,30}"
)
_GIVEN = (
    rf"""{_NAME}["']?\]?[ \t]{{0,20}}(?::=|=>|[:=,(])[ \t]{{0,20}}[bru]?["'](?P<quoted>[!#-&(-~]{{8,256}})["']""",
    rf"{_NAME}[ \t]{{0,20}}[:=][ \t]{{0,20}}(?P<bare>[A-Za-z0-9+/_=-]{{20,256}})(?:[\s;,]|$)",
    r"""authorization["']?[ ]?[:=,][ ]?["']?(?:bearer|basic|token)[ ]{1,3}(?P<header>[A-Za-z0-9+/=._~-]{20,256})""",
    r"://[A-Za-z0-9._%+-]{1,64}:(?P<url>[A-Za-z0-9._~!$&*+=%-]{8,128})@[A-Za-z0-9]",
)
_ASSIGNED = re.compile("|".join(_GIVEN), re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|fake|mock|test|demo|foo|placeholder|change|replace|insert|redact|your|secret|token|passw|hunter2"
    r"|my[_-]|none|null|todo|xxx|\*\*\*|\.\.\.|[<>{}]|%\(|%s|\$\(|^\$\w+$|0123|1234|abcd|qwerty|aaaa|0000",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_SEPARATORS = re.compile(r"[-_./:,=]")
# Bits a character: detect-secrets takes 3.0 for hexadecimal strings, and 4.5 for base64 wherever they stand; GitGuardian
# takes 3.0 for what is assigned to a name like these (generic high entropy secret).
ENTROPY = 3.0


def entropy(value: str) -> float:
    """Shannon's entropy of the characters of a string in bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def _is_random(value: str) -> bool:
    """Enough entropy, and kinds of characters that change more often than in words and identifiers.

    Random letters of both cases and digits change at three places in five, random hexadecimal digits at two in five,
    sha256WithRSAEncryption at one in five.
    """
    if entropy(value) < ENTROPY:
        return False
    kinds = [_kind(character) for character in _SEPARATORS.sub("", value)]
    changes = sum(a != b for a, b in pairwise(kinds)) / max(len(kinds) - 1, 1)
    if "digit" in kinds and ("lower" in kinds or "upper" in kinds):
        return changes >= 0.25
    return "lower" in kinds and "upper" in kinds and len(kinds) >= 12 and changes >= 0.4


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    return "lower" if character.islower() else "upper" if character.isupper() else "other"


def _assigned(match: re.Match[str]) -> Span | None:
    kind = str(match.lastgroup)
    value = match[kind]
    if _PLACEHOLDER.search(value) or _UUID.fullmatch(value) or not _is_random(value):
        return None
    return match.span(kind)


def _loose(pattern: str) -> str:
    """The pattern for RE2, which writes counted repetitions out: every repetition open at its end, and 12 at the most."""
    return re.sub(r"\{([0-9]+)(?:,[0-9]*)?\}", lambda count: f"{{{min(int(count[1]), 12)},}}", pattern)


_ON_A_LINE = "|".join([_loose("|".join(_TOKENS)), f"(?i:{_loose('|'.join(_GIVEN))})"])


def mask_secrets(text: str) -> tuple[str, int]:
    """The text with private keys, tokens, and passwords of high entropy masked, and how many masks were put in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text, found = masked(text, _KEY_BEGINS, _private_key, SECRET_MASK)
    # RE2 finds the few lines to look at a hundred times faster than ``re`` would.
    lines = text.split("\n")
    for row in pc.indices_nonzero(pc.match_substring_regex(pa.array(lines), _ON_A_LINE)).to_pylist():
        line, tokens = masked(lines[row], _TOKEN, _token, SECRET_MASK)
        lines[row], given = masked(line, _ASSIGNED, _assigned, SECRET_MASK)
        found += tokens + given
    return ("\n".join(lines), found) if found else (text, 0)


class Secrets(Mask):
    """Private keys, tokens and passwords are masked."""

    candidates: ClassVar[str] = f"-----BEGIN |{_ON_A_LINE}"
    name: str = "secrets"

    def mask(self, text: str) -> tuple[str, int]:
        return mask_secrets(text)
