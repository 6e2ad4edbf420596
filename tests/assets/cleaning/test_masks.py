"""What holds for all masks: any text, texts made to be slow, and the labelled cases."""

import gzip
import json
import os
import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.cleaning.left import KINDS
from assets.cleaning.personal import (
    EMAIL_MASK,
    IBAN_MASK,
    IDENTITY_CODE_MASK,
    IPV4_MASK,
    IPV6_MASK,
    Emails,
    Ibans,
    IdentityCodes,
    IpAddresses,
)
from assets.cleaning.phones import PHONE_MASK, LongNumbers, Phones
from assets.cleaning.profiles import PROFILES
from assets.cleaning.secrets import SECRET_MASK, Secrets
from assets.cleaning.steps import Mask

PROSE = (Emails(), IdentityCodes(), Ibans(), IpAddresses(), Phones(), LongNumbers())
CODE = (Secrets(), Emails(), IdentityCodes(), Ibans(), IpAddresses())
ALL: dict[str, Mask] = {step.name: step for step in (*PROSE, *CODE)}
FIXED = (EMAIL_MASK, IDENTITY_CODE_MASK, IBAN_MASK, IPV4_MASK, IPV6_MASK, PHONE_MASK, SECRET_MASK)

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
CLOSE = st.text("0123456789abFI+-–.,:;/@_% ()\n\xa0éä\u0301٣²", max_size=40)
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "a@b.fi",
                "x.y",
                "email@example.com",
                "(at)",
                " ät ",
                "(piste)",
                "b.fi",
                "com",
                "git@",
                "icon@2x.png",
                "@",
            ),
            *("131052-308T", "010101-001Z", "131052", "-308T", "FI21 1234 5600 0007 85", "FI2112345600000785", "FI21"),
            *("GB33BUKB20201555555555", "FI00 0000 0000 0000 00", "1234", "5600 0007 85", "93.184.216.34", "192.0.2.1"),
            *("8.8.8.8", "2a00:1450:4009:80b::200e", "2001:db8::1", "version ", "IP ", "::", "1.2.3", ".34", ":53"),
            *(
                "040 123 4567",
                "0401234567",
                "040-1234567",
                "+358 40 123 4567",
                "+358401234567",
                "+46 8 123 456 78",
                "09",
            ),
            *(
                "09 123 456",
                "(09)",
                "+358 00 000 0000",
                "puh. ",
                "123 456",
                "ISBN ",
                "040",
                "+",
                "(",
                ")",
                "0",
                "00",
                "12",
            ),
            *(
                "345",
                "4567",
                "1234567",
                "12345678901234",
                " euroa",
                " kpl",
                "2004",
                "12.12.2004",
                'password = "',
                "token: '",
            ),
            *(
                '"',
                "'",
                "aB3xY7kQ9mZ2pL5w",
                "aB3xY7kQ9mZ2pL5wR8tU",
                "<KEY>",
                "secret",
                "AKIA" + "Q3EGLLQXZ7WPN5TD",
                "://u:",
                "@h",
            ),
            *(
                "-----BEGIN PRIVATE KEY-----",
                "-----END PRIVATE KEY-----",
                "ghp_" + "aB3xY7kQ9mZ2pL5wR8tUvC4nJ6hG1fD0sE3q",
            ),
            *(
                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4",
                "\\n",
                "x",
                "ä",
                ".",
                "-",
            ),
            *(",", ":", "/", " ", "  ", "\n", "\u0301", "_", "%"),
        ]
    ),
    max_size=10,
).map("".join)
TEXT = ANY | CLOSE | PIECES
many = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def composed(text: str, masks: tuple[Mask, ...]) -> tuple[str, int]:
    """A text after all masks in their order, and how many masks were put in; as a profile does it."""
    found = 0
    for mask in masks:
        text, here = mask.mask(text)
        found += here
    return text, found


@pytest.mark.parametrize("name", ALL)
@many
@given(text=TEXT)
def test_a_mask_is_idempotent_and_the_gate_finds_nothing(name: str, text: str) -> None:
    once, found = ALL[name].mask(text)
    assert ALL[name].mask(once) == (once, 0)
    assert KINDS[name].count(once) == 0
    assert (once == text) == (found == 0)


@pytest.mark.parametrize("masks", [PROSE, PROSE[:-1], CODE], ids=["prose", "without_long_numbers", "code"])
@many
@given(text=TEXT)
def test_all_masks_together_are_idempotent_and_leave_nothing(masks: tuple[Mask, ...], text: str) -> None:
    once, _ = composed(text, masks)
    assert composed(once, masks) == (once, 0)
    for mask in masks:
        assert KINDS[mask.name].count(once) == 0


@pytest.mark.parametrize("name", [name for name in ALL if name != "long_numbers"])
@many
@given(text=TEXT)
def test_text_outside_masks_stays_as_it_is(name: str, text: str) -> None:
    once, found = ALL[name].mask(text)
    place = 0
    for piece in re.split("|".join(map(re.escape, FIXED)), once):
        assert piece in text[place:]
        place = text.index(piece, place) + len(piece)
    assert sum(map(once.count, FIXED)) <= sum(map(text.count, FIXED)) + found


@pytest.mark.parametrize("name", ALL)
@many
@given(text=TEXT)
def test_what_is_masked_matches_the_candidates(name: str, text: str) -> None:
    if ALL[name].mask(text)[1]:
        assert pc.match_substring_regex(pa.array([text]), ALL[name].candidates)[0].as_py()
    if KINDS[name].count(text):
        assert pc.match_substring_regex(pa.array([text]), KINDS[name].candidates)[0].as_py()


@many
@given(text=st.text("0123456789 -", max_size=30))
def test_long_numbers_change_digits_only(text: str) -> None:
    once, _ = ALL["long_numbers"].mask(text)
    assert len(once) == len(text)
    assert all(a == b or (a.isdigit() and b == "0") for a, b in zip(text, once, strict=True))


ADVERSARIAL = [
    *(
        "a",
        "@",
        "a@",
        "a.",
        "@a.",
        "a@b.",
        "-.",
        "@-.1",
        "(at)",
        "a(at)b(dot)",
        " ät ",
        "a piste ",
        "\u0301",
        "\n",
        " ",
    ),
    *(
        "0",
        "1 ",
        "0 ",
        "+1",
        "+1(1",
        "+358 ",
        "040 1234567,",
        "1-",
        "ISBN 0 ",
        "1.",
        "1.1.1.1",
        "2a00:",
        ":",
        "131052-308",
    ),
    *(
        "FI21",
        "FI21 ",
        "A1 ",
        "password = '",
        "token:",
        "token",
        "AKIA",
        "eyJaaaaaaaaaaaa.",
        "eyJaaaaaaaaaaaa-",
        "xoxb-1",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----A",
        "-----",
        "AAAAAAAAAAAAAAAA=",
        "://u:p@",
        "secret_key_",
    ),
]


@pytest.mark.parametrize("name", ALL)
def test_no_text_makes_a_mask_or_the_gate_slow(name: str) -> None:
    """A pattern that backtracks takes minutes for 40,000 characters of one of these; here each takes milliseconds."""
    ALL[name].mask("warm")
    for unit in ADVERSARIAL:
        text = (unit * 40_000)[:40_000]
        started = time.perf_counter()
        ALL[name].mask(text)
        KINDS[name].count(text)
        assert time.perf_counter() - started < 2, unit


def test_the_labelled_cases_are_masked() -> None:
    """Every code, number, address and account that the cases hold is gone, and nothing else is."""
    shared = os.environ.get("TOKKA_SHARED")
    if not shared:
        pytest.skip("TOKKA_SHARED is not set: the labelled cases are not at hand")
    lines = gzip.decompress((Path(shared) / "eval" / "noise_cases.jsonl.gz").read_bytes()).splitlines()
    cases = [case["text"] for case in map(json.loads, lines) if case["expect"] == "mask"]
    assert len(cases) == 13
    personal = re.compile(
        r"(henkilötunnus )\S{11}(, puh\. )\+358 40 \d{7}(, )[\w.]+@example\.fi(, tili )FI21 1234 5600 0007 85"
    )
    for text in cases:
        before, after = personal.search(text), composed(text, PROSE[:-1])
        assert before is not None
        replaced = rf"\g<1>{IDENTITY_CODE_MASK}\g<2>{PHONE_MASK}\g<3>{EMAIL_MASK}\g<4>{IBAN_MASK}"
        assert after == (personal.sub(replaced, text), 4)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_mask_in_the_order_of_these_tests(name: str) -> None:
    masks = [step.name for step in PROFILES[name].steps if isinstance(step, Mask)]
    assert masks == [step.name for step in (CODE if name == "code" else PROSE) if step.name in masks]
