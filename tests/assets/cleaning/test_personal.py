"""Masks of e-mail addresses, identity codes, bank accounts and IP addresses."""

import pytest

from assets.cleaning.personal import (
    EMAIL_MASK,
    IBAN_MASK,
    IDENTITY_CODE_MASK,
    mask_emails,
    mask_ibans,
    mask_identity_codes,
    mask_ip_addresses,
)

# E-mail addresses


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Kirjoita: etunimi.sukunimi@yritys.fi.", "Kirjoita: email@example.com."),
        ("<mailto:a+b@mail.co.uk>", "<mailto:email@example.com>"),
        ("mäki.ähtäri@älykäs.fi", "email@example.com"),
        ("matti.testaaja(at)yritys.fi", "email@example.com"),
        ("matti (at) yritys.fi", "email@example.com"),
        ("matti [at] yritys (dot) fi", "email@example.com"),
        ("matti ät yritys piste fi", "email@example.com"),
        ("matti(ät)yritys(piste)fi", "email@example.com"),
        ("matti(a)yritys.fi, maija＠yritys.fi", "email@example.com, email@example.com"),
        ("-matti@yritys.fi-", "-email@example.com-"),
        ("https://matti:pw@palvelin.fi/x", "https://matti:email@example.com/x"),
        ("a@b.fix@d.fi", "email@example.com"),
        ("a@b.fi,c@d.fi", "email@example.com,email@example.com"),
    ],
)
def test_addresses_are_masked(text: str, masked: str) -> None:
    assert mask_emails(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        *(
            "5 @ 3.50",
            "@property",
            "git@github.com:a/b.git",
            "icon@2x.png",
            "x@y",
            "me@localhost",
            "user@host:~$",
            "a@1.2",
        ),
        *(
            "bootstrap@5.1.3/dist",
            "kohta (a) Muut",
            "f(a)",
            "katso (at)",
            "look at example.com",
            "email@example.com",
            "@",
        ),
    ],
)
def test_what_is_no_address_stays(text: str) -> None:
    assert mask_emails(text) == (text, 0)


def test_masks_that_stood_in_the_text_are_not_counted() -> None:
    assert mask_emails("email@example.com a@b.fi email@example.com") == (" ".join([EMAIL_MASK] * 3), 1)


# Identity codes


@pytest.mark.parametrize(
    "code",
    [
        *("131052-308T", "131052-308t", "010199Y9005", "280164-929B", "131052–308T", "131052\u2011308T"),
        *("010190+906M", "010100A909X"),
    ],
)
def test_identity_codes_are_masked(code: str) -> None:
    """Old separators and those of 2023, codes that are never issued, and dashes that typesetting puts in."""
    digits = code[:6] + code[7:10]
    right = code[:10] + "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31]
    assert mask_identity_codes(f"Tunnus {right}.") == (f"Tunnus {IDENTITY_CODE_MASK}.", 1)


@pytest.mark.parametrize(
    "text", ["131052-308X", "311352-308T", "321052-308T", "1131052-308T", "131052-308TT", "131052-30", "010101-001Z"]
)
def test_what_is_no_identity_code_stays(text: str) -> None:
    assert mask_identity_codes(text) == (text, 0)


def test_every_check_character_is_known() -> None:
    """Of the 31 characters exactly the right one makes a code."""
    for birth in ("010190", "311299", "150775"):
        masked = [
            check for check in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if mask_identity_codes(f"{birth}-123{check}")[1]
        ]
        assert len(masked) == 1


# Bank accounts


@pytest.mark.parametrize(
    "account",
    [
        *(
            "FI21 1234 5600 0007 85",
            "FI2112345600000785",
            "fi21 1234 5600 0007 85",
            "FI21\xa01234\xa05600\xa00007\xa085",
        ),
        *("FI21-1234-5600-0007-85", "FI21 123456-00000785", "GB33BUKB20201555555555", "DE89 3704 0044 0532 0130 00"),
        *(
            "NO93 8601 1117 947",
            "MT84MALT011000012345MTLCAST001S",
            "LC55HEMM000100010012001200023015",
            "BE68 5390 0754 7034",
        ),
    ],
)
def test_accounts_are_masked(account: str) -> None:
    """Examples of the IBAN registry."""
    assert mask_ibans(f"Tili {account} on hänen.") == (f"Tili {IBAN_MASK} on hänen.", 1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "FI22 1234 5600 0007 85",
            "FI21 1234 5600 0007",
            "XX21 1234 5600 0007 85",
            "FI21 1234 5600 0007 85A",
            IBAN_MASK,
        ),
        *("1FI21 1234 5600 0007 85", "SE20 sivua kirjoista ja lehdistä", "AB12CD34EF56AB12CD34EF56"),
    ],
)
def test_what_is_no_account_stays(text: str) -> None:
    assert mask_ibans(text) == (text, 0)


def test_an_account_behind_what_looks_like_one_is_masked() -> None:
    assert mask_ibans("AB12 FI21 1234 5600 0007 85") == (f"AB12 {IBAN_MASK}", 1)


# IP addresses


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Palvelin 93.184.216.34 vastasi.", "Palvelin 192.0.2.1 vastasi."),
        ("http://93.184.216.34:8080/", "http://192.0.2.1:8080/"),
        ("66.249.64.0/19", "192.0.2.1/19"),
        ("IP-osoite 8.8.8.8 on", "IP-osoite 192.0.2.1 on"),
        ("DNS: 1.1.1.1", "DNS: 192.0.2.1"),
        ("from 80.1.2.90, port 22", "from 192.0.2.1, port 22"),
        ("[2a00:1450:4009:80b::200e]:443", "[2001:db8::1]:443"),
        ("2001:4860:4860:0:0:0:0:8888.", "2001:db8::1."),
    ],
)
def test_global_addresses_are_masked(text: str, masked: str) -> None:
    assert mask_ip_addresses(text) == (masked, 1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "127.0.0.1",
            "192.168.1.42",
            "10.0.0.138",
            "255.255.255.0",
            "0.0.0.0",
            "203.0.113.77",
            "224.0.0.251",
            "300.1.2.3",
        ),
        *(
            "versio 8.2.1.207",
            "version: 62.94.102.5",
            "v91.64.72.33",
            "firefox-78.99.44.33",
            "==65.66.67.68",
            "luku 4.55.66.7",
        ),
        *(
            "8.2.4.44 Otsikko",
            "1.2.3.4",
            "12.12.20.04",
            "1.3.6.1.4.1.311",
            "4.0.30319.42000",
            "fe80::1",
            "std::vector",
            "::1",
        ),
        *("a::b", "12:34:56", "2001:10:12", "dead::beef", "2001:db8::7", "00:1a:2b:3c:4d:5e"),
    ],
)
def test_versions_headings_and_private_addresses_stay(text: str) -> None:
    assert mask_ip_addresses(text) == (text, 0)
