"""Whether the numbers of two texts that say the same in two languages are the same."""

import re

from assets.cleaning.encoding import unescaped

# A run of digits that is no part of a name with letters on both sides of it, such as i18n.
_DIGITS = re.compile(r"(?<!\d)(?:(?<![^\W\d_])\d+|\d+(?!\d|[^\W\d_]))")
# Digits; nobody writes a longer number in two ways, and int() refuses one of more than 4,300.
_LONGEST = 1_000
_TIME = re.compile(r"\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?[ap]\.?m\b|\bklo\b", re.IGNORECASE)
_AFTERNOON = re.compile(r"\bp\.?m\b", re.IGNORECASE)
# A number in words, by the least number that such a word is part of. Of compounds and of endings one part is enough.
_SPELLED: dict[str, tuple[tuple[int, str], ...]] = {
    "en": (
        (
            1,
            r"\b(?:one|two|three|four|five|six|seven|eight|nine|first|second|third|fourth|fifth|once|twice|single|both|pair)",
        ),
        (10, r"\bten\b|\btenth|\bdozen|\bdecade|teen|eleven|twelve|twelfth"),
        (20, r"(?:twen|thir|for|fif|six|seven|eigh|nine)t(?:y|ie)|score"),
        (100, r"hundred|centur"),
        (1_000, r"thousand|millenni|teen|twent"),
        (1_000_000, r"million|billion"),
    ),
    "fi": (
        (1, r"\b(?:yks|yht|yhde|kak|kah|kolm|nelj|vii[st]|viide|kuu|seitsem|kahdeks|yhdeks|ensim|tois|molem|pari)"),
        (10, r"kymmen|toista|tusina"),
        (20, r"kymmen|kymppi"),
        (100, r"sata|sada|satoj|vuosisa"),
        (1_000, r"tuha|sata|sada"),
        (1_000_000, r"miljoon|miljard"),
    ),
}
_SPELLED_TIME = {
    "en": r"o.clock|half|quarter|noon|midnight|\bone\b|\btwo\b|three|four|five|six|seven|eight|nine|\bten\b|eleven|twelve",
    "fi": r"puoli|vartti|keskip|keskiy|kello|yhde|kahde|kolme|neljä|viide|viisi|kuude|kuusi|seitsem|yksi",
}
_WHOLE = {"en": r"complete|entire|full|total|absolute|whole|all\b", "fi": r"täy[sdt]|koko|ehdot|kaik"}


def numbers_differ(one: str, other: str, languages: tuple[str, str], digits: int) -> bool:
    """Whether a run of at least ``digits`` digits of one side has nothing on the other side that it can stand for.

    Separators differ between languages (10,000 and 10 000, 5/12/2020 and 12.5.2020), so runs are looked for among all
    digits of the other side, in their order or as a run. Of English and Finnish, numbers in words, times of day and
    centuries are known. Where both sides have as many runs, shorter ones are looked for, too.
    """
    runs, others = _runs(one), _runs(other)
    if runs == others:
        return False
    least = 1 if len(runs) == len(others) else digits
    return _lacks(one, runs, other, others, languages[1], least) or _lacks(
        other, others, one, runs, languages[0], least
    )


def _runs(text: str) -> list[str]:
    return _DIGITS.findall(unescaped(text) if "&#" in text else text)


def _lacks(text: str, runs: list[str], other: str, others: list[str], language: str, digits: int) -> bool:
    there = "".join(others)
    missing = [run for run in runs if len(run) >= digits and run not in there]
    return any(len(run) > _LONGEST or not _said_otherwise(int(run), text, other, others, language) for run in missing)


def _said_otherwise(value: int, text: str, other: str, others: list[str], language: str) -> bool:
    """Whether a number of ``text`` stands in ``other`` in another way than with its digits."""
    values = {int(run) for run in others if len(run) <= _LONGEST}
    if value in values or _is_spelled(value, other, language):
        return True
    if value == 100 and "%" in text and re.search(_WHOLE.get(language, r"\Z.\A"), other, re.IGNORECASE):
        return True
    if _TIME.search(text) or _TIME.search(other):
        of_day = {value + 12, value - 12} if _AFTERNOON.search(text + " " + other) else set()
        spelled = re.search(_SPELLED_TIME.get(language, r"\Z.\A"), other, re.IGNORECASE)
        if value == 0 or of_day & values or (value < 60 and spelled):
            return True
    # 19th century is 1800-luku; the 80s are the 1980s.
    return (value < 30 and (value - 1) * 100 in values) or (
        1_000 <= value < 2_100 and ((value % 100 == 0 and value // 100 + 1 in values) or value % 100 in values)
    )


def _is_spelled(value: int, other: str, language: str) -> bool:
    words = [pattern for least, pattern in _SPELLED.get(language, ()) if least <= max(value, 1)]
    # Of a large number the largest words are looked for: a hundred is no ten.
    return bool(words) and re.search(words[-1], other, re.IGNORECASE) is not None
