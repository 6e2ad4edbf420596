"""Masks of telephone numbers and of long numbers."""

import pytest

from assets.cleaning.personal import EMAIL_MASK, IBAN_MASK, IDENTITY_CODE_MASK, IPV4_MASK, IPV6_MASK
from assets.cleaning.phones import PHONE_MASK, mask_long_numbers, mask_phones


@pytest.mark.parametrize(
    "number",
    [
        # Finnish mobile numbers.
        *(
            "040 123 4567",
            "040-1234567",
            "0401234567",
            "(040) 123 4567",
            "040/123 4567",
            "050 123 45 67",
            "040123 4567",
        ),
        *(
            "0457 123 4567",
            "0400-123456",
            "0400 123 456",
            "040.123.4567",
            "040\xa0123\xa04567",
            "040‑123‑4567",
            "040 - 1234567",
        ),
        # Areas, service and corporate numbers.
        *("09-123 456", "(09) 123 4567", "09 1234 5678", "03 123 4567", "013 123 456", "029 501 8000", "0295 018 000"),
        *("0800 12345", "010 123 4567", "020 7946 0958", "0600 12345"),
        # With a country code.
        *(
            "+358401234567",
            "+358 40 123 4567",
            "+358 (0)40 123 4567",
            "+358-40-1234567",
            "+358.40.1234567",
            "+358 9 123 456",
        ),
        *("00358 40 123 4567", "00 358 40 123 4567", "(+358) 40 123 4567", "+ 358 40 123 4567", "+358 040 123 4567"),
        *(
            "+46 8 123 456 78",
            "+44 20 7946 0958",
            "+49 (0) 30 123456",
            "+1 (212) 555-1234",
            "+1-800-555-0100",
            "0046 70 123 4567",
        ),
        # American.
        *("212-555-1234", "(425) 555-0100", "1-800-555-0199", "425.555.0100"),
    ],
)
def test_numbers_are_masked(number: str) -> None:
    assert mask_phones(f"Soita {number}, niin kuulet.") == (f"Soita {PHONE_MASK}, niin kuulet.", 1)
    assert mask_phones(f"puh. {number}\n") == (f"puh. {PHONE_MASK}\n", 1)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("puh. 123 4567", f"puh. {PHONE_MASK}"),
        ("Tel: 555 1234 (toimisto)", f"Tel: {PHONE_MASK} (toimisto)"),
        ("040-1234567/050-7654321", f"{PHONE_MASK}/{PHONE_MASK}"),
        ("040 1234567,050 7654321", f"{PHONE_MASK},{PHONE_MASK}"),
        ("(040 1234567)", f"({PHONE_MASK})"),
        ("numeroon 0401234567.", f"numeroon {PHONE_MASK}."),
        ("040 123 4567 12 henkeä", f"{PHONE_MASK} 12 henkeä"),
        ("klo 12 040 1234567", f"klo 12 {PHONE_MASK}"),
        ("+358 40 123 4567 2. kerros", f"{PHONE_MASK} 2. kerros"),
    ],
)
def test_what_stands_beside_a_number_stays(text: str, masked: str) -> None:
    assert mask_phones(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        # Dates, times, years.
        *(
            "09.12.2004",
            "09-12-2004",
            "2004-01-02",
            "01-02-2004",
            "0800-1600",
            "klo 08.00-16.00",
            "2004-2005",
            "02.02 2009",
        ),
        *("03 2004", "tel 1998-2003", "046110 2008"),
        # Numbers.
        *(
            "+2147483647",
            "0.1234567",
            "0,0512345678",
            "98 765,43",
            "12 345 678",
            "20 040 123 456",
            "+12 345 678 euroa",
            "1e10",
        ),
        *(
            "010 020 030 040",
            "005 010 015 020 025",
            "05 06 07 08 09 10",
            "+12.5 13.6 14.2 15.1",
            "0100011101",
            "x + 907133923",
        ),
        # Versions, products, books, papers, files, addresses on the web.
        *(
            "1.2.3.4",
            "KB 4056107",
            "00000123",
            "0123456789012",
            "0x0401234567",
            "IMG_0401234567",
            "ISBN 0198526636",
            "0355-0648",
        ),
        *("ISBN 951-0-12345-6", "ISBN 050 0300 100 001", "doi.org/10.1561/0400000010", "10.1016/0020-0190(73)90029-X"),
        *("2008/08/080801_food.shtml", "110180-0401", "99000855", PHONE_MASK, IBAN_MASK, IDENTITY_CODE_MASK, IPV4_MASK),
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_phones(text) == (text, 0)
    assert mask_phones(f"Arvo on {text}.") == (f"Arvo on {text}.", 0)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Asiakas 1234567 soitti", "Asiakas 1200000 soitti"),
        ("040 123 4567", "040 000 0000"),
        ("12 345 678 kertaa", "12 000 000 kertaa"),
        ("1234567890123", "1200000000000"),
        ("tili 123456-785", "tili 120000-000"),
    ],
)
def test_long_numbers_keep_their_first_two_digits(text: str, masked: str) -> None:
    assert mask_long_numbers(text) == (masked, 1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "12.12.2004",
            "2004-12-24",
            "1998–2003",
            "12 345 678 euroa",
            "1 000 000 ihmistä",
            "1234567 €",
            "123456",
            "12345678901234",
        ),
        *(
            "1200000",
            "v1234567",
            f"puh. {PHONE_MASK}",
            IBAN_MASK,
            IDENTITY_CODE_MASK,
            f"{IPV4_MASK} 5",
            EMAIL_MASK,
            IPV6_MASK,
        ),
    ],
)
def test_dates_amounts_and_masks_stay(text: str) -> None:
    assert mask_long_numbers(text) == (text, 0)
